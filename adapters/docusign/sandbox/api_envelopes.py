"""Envelopes: create, get, list, change status, audit events, recycle bin."""

from datetime import timedelta

import msgspec
from litestar import get, post, put

from . import building, lifecycle, render
from .catalogue import JsonObject
from .clock import parse_query_date, seven_digits
from .exchange import (
    Answer,
    HttpRequest,
    answer,
    body_of,
    decode,
    envelope_of,
    part,
    query,
    query_is_true,
    require_lock,
    world_of,
)
from .faults import FaultKind
from .multipart import read_parts
from .refusals import Refusal
from .state import Envelope
from .world import World

_INCLUDES = frozenset(
    [
        "custom_fields",
        "documents",
        "attachments",
        "extensions",
        "folders",
        "recipients",
        "powerform",
        "tabs",
        "payment_tabs",
    ]
)
_PURGE_STATES = frozenset(
    {
        "documents_queued", "documents_dequeued", "documents_and_metadata_queued",
        "documents_and_metadata_and_redact_queued",
    }
)  # fmt: skip
_UPDATABLE = frozenset(
    {
        "status",
        "voidedReason",
        "purgeState",
        "emailSubject",
        "emailBlurb",
        "allowReassign",
        "envelopeId",
    }
)
_LONGEST_PAGE = 1000
_TRANSACTION_DAYS = 7


@post("/envelopes", name="envelopes.create", status_code=201)
async def create(request: HttpRequest) -> Answer:
    world = world_of(request)
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raw_definition, files = read_parts(request.headers["content-type"], await request.body())
        definition = decode(raw_definition, "EnvelopeDefinition")
    else:
        definition, files = await body_of(request, "EnvelopeDefinition"), {}
    envelope = building.create(world, definition, files)
    if envelope.wire.get("asynchronous", "").lower() == "true":
        # Queued: the real answer has no envelopeId; the client looks it up by its transactionId.
        return answer({"status": "Processing", "statusDateTime": seven_digits(world.now())}, 201)
    return answer(render.summary(envelope), 201)


@get("/envelopes/{envelope_id:str}", name="envelopes.get")
async def show(request: HttpRequest) -> Answer:
    include = frozenset(name for name in query(request, "include").split(",") if name)
    unknown = sorted(include - _INCLUDES)
    if unknown:
        raise Refusal("get-include-unknown", f"{', '.join(unknown)}.")
    return answer(render.envelope(world_of(request), envelope_of(request), include))


@put("/envelopes/{envelope_id:str}", name="envelopes.update")
async def update(request: HttpRequest) -> Answer:
    """Sends, voids, resends or queues for purging; only the attributes of a minimal body are taken."""
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "Envelope", is_optional=True)
    require_lock(request, envelope)
    _check_update(body)
    answered: JsonObject = {"envelopeId": envelope.id}
    if "purgeState" in body:
        _queue_purge(world, envelope, str(body["purgeState"]))
        answered["purgeState"] = envelope.purge_state
    texts: JsonObject = {
        key: body[key] for key in ("emailSubject", "emailBlurb", "allowReassign") if key in body
    }
    if texts:
        if envelope.is_terminal:
            raise Refusal("update-invalid-state")
        building.check_texts(texts)
    match body.get("status"):
        case "sent":
            lifecycle.require_sendable(msgspec.structs.replace(envelope, wire={**envelope.wire, **texts}))
            envelope.wire.update(texts)
            lifecycle.send(world, envelope)
        case "voided":
            lifecycle.void(world, envelope, str(body["voidedReason"]))
        case _:
            envelope.wire.update(texts)
    if query_is_true(request, "resend_envelope"):
        lifecycle.resend(world, envelope)
    world.touch()
    return answer(answered)


@get("/envelopes", name="envelopes.list")
async def list_changes(request: HttpRequest) -> Answer:
    """Envelopes by date, ids, transaction ids, status or custom field, in pages."""
    ids = [text for text in query(request, "envelope_ids").split(",") if text]
    transactions = [text for text in query(request, "transaction_ids").split(",") if text]
    if not (query(request, "from_date") or ids or transactions):
        raise Refusal("list-without-criterion")
    return _listed(request, ids, transactions)


@put("/envelopes/status", name="envelopes.list_by_ids")
async def list_by_ids(request: HttpRequest) -> Answer:
    body = await body_of(request, "EnvelopeIdsRequest")
    ids, transactions = list(body.get("envelopeIds") or []), list(body.get("transactionIds") or [])
    if "request_body" not in {query(request, "envelope_ids"), query(request, "transaction_ids")}:
        raise Refusal("status-without-request-body")
    if not (query(request, "from_date") or ids or transactions):
        raise Refusal("list-without-criterion")
    return _listed(request, ids, transactions)


@get("/envelopes/{envelope_id:str}/audit_events", name="envelopes.audit_events")
async def audit_events(request: HttpRequest) -> Answer:
    return answer(render.audit_events(world_of(request), envelope_of(request)))


@put("/folders/{folder_id:str}", name="folders.move")
async def move(request: HttpRequest) -> Answer:
    """The recycle bin: deletes drafts, voids what is in process."""
    world = world_of(request)
    if part(request, "folder_id") != "recyclebin":
        raise Refusal("folder-unknown", f"'{part(request, 'folder_id')}'.")
    body = await body_of(request, "FoldersRequest")
    ids = body.get("envelopeIds") or []
    if not ids:
        raise Refusal("folder-without-envelopes")
    for envelope in [world.envelope(str(envelope_id)) for envelope_id in ids]:
        lifecycle.discard(world, envelope)
    return answer({"envelopes": [], "folders": [], "resultSetSize": "0"})


def _check_update(body: JsonObject) -> None:
    extra = sorted(set(body) - _UPDATABLE)
    if "purgeState" in body and body["purgeState"] not in _PURGE_STATES:
        raise Refusal("update-purge-state-invalid")
    if extra:
        raise Refusal("update-attribute-read-only", f"{', '.join(extra)}.")
    if body.get("status") not in {None, "sent", "voided"}:
        raise Refusal("update-status-invalid", f"'{body['status']}'.")
    if body.get("status") == "voided" and not str(body.get("voidedReason") or "").strip():
        raise Refusal("update-void-without-reason")


def _queue_purge(world: World, envelope: Envelope, state: str) -> None:
    if envelope.status not in {"completed", "declined", "voided"}:
        raise Refusal("update-purge-invalid-state")
    envelope.purge_state = "unpurged" if state == "documents_dequeued" else state
    world.record(envelope, "Purge Queued", state)


def _listed(request: HttpRequest, ids: list[str], transactions: list[str]) -> Answer:
    world = world_of(request)
    found = [e for e in world.state.envelopes.values() if _matches(request, world, e, ids, transactions)]
    lag = world.faults.take(FaultKind.LOOKUP_LAG, "envelopes.list")
    if lag:
        youngest = world.now() - timedelta(seconds=lag.seconds or 3600.0)
        found = [envelope for envelope in found if envelope.created_at < youngest]
    is_descending = query(request, "order", "asc") == "desc"
    found.sort(key=lambda envelope: envelope.changed_at, reverse=is_descending)
    count, start = _page(request)
    shown = found[start : start + count]
    include = frozenset(name for name in query(request, "include").split(",") if name)
    listed = {
        "resultSetSize": str(len(shown)),
        "startPosition": str(start),
        "endPosition": str(start + len(shown) - 1 if shown else 0),
        "totalSetSize": str(len(found)),
        "nextUri": f"/envelopes?start_position={start + count}&count={count}"
        if start + count < len(found)
        else "",
        "previousUri": f"/envelopes?start_position={max(0, start - count)}&count={count}" if start else "",
        "lastQueriedDateTime": seven_digits(world.now()),
    }
    if shown:
        listed_envelopes = [render.envelope(world, envelope, include) for envelope in shown]
        if transactions:
            statuses = [
                {"envelopeId": e.id, "status": e.status, "transactionId": e.wire.get("transactionId")}
                for e in shown
            ]
            return answer({**listed, "envelopes": listed_envelopes, "envelopeTransactionStatuses": statuses})
        return answer({**listed, "envelopes": listed_envelopes})
    return answer(listed)


def _page(request: HttpRequest) -> tuple[int, int]:
    count, start = query(request, "count", str(_LONGEST_PAGE)), query(request, "start_position", "0")
    if not (count.isdigit() and start.isdigit() and 1 <= int(count) <= _LONGEST_PAGE):
        raise Refusal("list-page-invalid")
    return int(count), int(start)


def _matches(
    request: HttpRequest, world: World, envelope: Envelope, ids: list[str], transactions: list[str]
) -> bool:
    if ids and envelope.id not in ids:
        return False
    if transactions:
        is_forgotten = world.now() - envelope.created_at > timedelta(days=_TRANSACTION_DAYS)
        if envelope.wire.get("transactionId") not in transactions or is_forgotten:
            return False
    statuses = {text.strip().lower() for text in query(request, "status").split(",") if text.strip()}
    if statuses - {"any"} and envelope.status not in statuses:
        return False
    if not statuses and envelope.status == "deleted" and not ids:
        return False
    if not _is_in_range(request, envelope):
        return False
    name, _, value = query(request, "custom_field").partition("=")
    fields = [*envelope.text_fields, *envelope.list_fields]
    return not name or any(field.get("name") == name and field.get("value") == value for field in fields)


def _is_in_range(request: HttpRequest, envelope: Envelope) -> bool:
    """Whether the moment that `from_to_status` names (a change, by default) lies between the dates."""
    basis = query(request, "from_to_status", "changed").lower()
    moments = {
        "changed": envelope.changed_at,
        "created": envelope.created_at,
        "sent": envelope.sent_at,
        "delivered": envelope.delivered_at,
        "completed": envelope.completed_at,
        "declined": envelope.declined_at,
        "voided": envelope.voided_at,
    }
    if basis not in moments:
        raise Refusal("list-basis-unknown", f"'{basis}'.")
    at = moments[basis]
    earliest, latest = query(request, "from_date"), query(request, "to_date")
    if earliest and (at is None or at < parse_query_date(earliest, "from_date")):
        return False
    return not (latest and (at is None or at > parse_query_date(latest, "to_date")))
