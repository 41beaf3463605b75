"""The portal's pages of deliveries: a list that can be narrowed, and one of them with everything that was said."""

import hashlib
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath

from gateway.console.access import spend_form
from gateway.console.frame import Trouble
from gateway.console.view import AttemptView, DeliveriesPage, DeliveryPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.door import Visit, enter, enter_to_change, trouble_of, with_query
from gateway.http.portal.endpoints import list_endpoints
from gateway.http.portal.entry import OPEN
from gateway.http.sign.answers import redirect
from normalizer.errors import Conflict, CountersignError, NotFound
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import EventType
from webhooks.outbound.endpoint import Endpoint
from webhooks.outbound.event_deliveries import AtEndpoint, read_event_deliveries
from webhooks.outbound.read import (
    UNDELIVERED,
    Attempt,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    list_attempts,
    list_deliveries,
    read_delivery,
)
from webhooks.outbound.sent import SentMessage, read_sent
from webhooks.outbound.sign import SignatureProfile

_PAGE = 50
_MEMBERS = ("state", "endpoint", "envelope", "type")
_OVER = frozenset({DeliveryState.SUCCEEDED, DeliveryState.CANCELLED})
_AGAIN = frozenset({DeliveryState.SUCCEEDED, DeliveryState.EXHAUSTED})


@get("/s/{handle:str}/deliveries", **OPEN)
async def deliveries(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """The newest first; what has not arrived first of all, unless another state is asked for."""
    visit = await enter(request, services, handle)
    wanted = {name: visit.asked(name).strip() for name in _MEMBERS}
    wanted["state"] = wanted["state"] or ("any" if wanted["envelope"] else "undelivered")
    found: list[Delivery] = []
    trouble = None
    try:
        share = services.settings.delivery.in_flight_per_tenant
        found = await list_deliveries(
            services.database, visit.tenant_id, _filter(visit, wanted), tenant_share=share
        )
    except CountersignError as error:
        trouble = Trouble(word="filter", detail=error.detail)
    older = found[_PAGE - 1] if len(found) > _PAGE else None
    page = DeliveriesPage(
        frame=visit.frame("deliveries", is_live=visit.asked("live") == "yes", trouble=trouble),
        rows=tuple(found[:_PAGE]),
        endpoints=tuple(await list_endpoints(visit)),
        wanted=wanted,
        is_filtered=any(wanted[name] for name in _MEMBERS[1:]) or wanted["state"] != "undelivered",
        event_types=tuple(one.value for one in EventType),
        next_url=with_query(f"{visit.base}/deliveries", **wanted, before=print_id(Kind.DELIVERY, older.id))
        if older
        else "",
    )
    return visit.page(page, status=422 if trouble else 200)


@get("/s/{handle:str}/deliveries/{delivery_id:str}", **OPEN)
async def delivery(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], delivery_id: FromPath[str]
) -> Response[str]:
    """What was sent, what was answered, and why it has not arrived."""
    visit = await enter(request, services, handle)
    found = await find_delivery(visit, delivery_id)
    is_live = visit.asked("live") == "yes" and found.state not in _OVER
    return visit.page(await _page(visit, found, is_live=is_live))


@post("/s/{handle:str}/deliveries/{delivery_id:str}/replay", status_code=303, **OPEN)
async def replay(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], delivery_id: FromPath[str]
) -> Response[Any]:
    """Sends it again: the same bytes and id, the current secret."""
    visit = await enter_to_change(request, services, handle)
    found = await find_delivery(visit, delivery_id)
    path = f"{visit.base}/deliveries/{print_id(Kind.DELIVERY, found.id)}"
    caller = visit.session.caller
    if not await spend_form(services, visit.session, visit.form.get("form_id", "")):
        return redirect(with_query(path, done="sent_already"))
    try:
        await services.replays.replay_delivery(visit.tenant_id, found.id, caller.actor, caller.source)
    except Conflict as error:
        return visit.page(await _page(visit, found, trouble=trouble_of(error)), status=409)
    return redirect(with_query(path, done="replayed", live="yes"))


async def find_delivery(visit: Visit, printed: str) -> Delivery:
    """Raises NotFound, also for another endpoint's than the link was made for."""
    own = read_id(Kind.DELIVERY, printed)
    share = visit.services.settings.delivery.in_flight_per_tenant
    found = await read_delivery(visit.services.database, visit.tenant_id, own, tenant_share=share)
    if visit.session.endpoint_id not in {None, found.endpoint_id}:
        raise NotFound("delivery", printed)
    return found


def _filter(visit: Visit, wanted: dict[str, str]) -> DeliveryFilter:
    """Raises NotFound for an id of another kind; ValueError never: an unknown state is any."""
    known = {one.value: (one,) for one in DeliveryState} | {"undelivered": UNDELIVERED}
    endpoint_id = read_id(Kind.ENDPOINT, wanted["endpoint"]) if wanted["endpoint"] else None
    if endpoint_id is not None:
        visit.check_endpoint(endpoint_id)
    before = visit.asked("before")
    return DeliveryFilter(
        states=known.get(wanted["state"], ()),
        endpoint_id=visit.session.endpoint_id or endpoint_id,
        envelope_id=read_id(Kind.ENVELOPE, wanted["envelope"]) if wanted["envelope"] else None,
        event_type=wanted["type"] or None,
        before=read_id(Kind.DELIVERY, before) if before else None,
        limit=_PAGE + 1,
    )


async def _page(
    visit: Visit, found: Delivery, *, is_live: bool = False, trouble: Trouble | None = None
) -> DeliveryPage:
    services, tenant_id = visit.services, visit.tenant_id
    sent = await read_sent(services.database, tenant_id, found.id)
    try:
        endpoint: Endpoint | None = await services.endpoints.read(tenant_id, found.endpoint_id)
    except NotFound:
        endpoint = None
    attempts = await list_attempts(services.database, tenant_id, found.id)
    return DeliveryPage(
        frame=visit.frame(
            "deliveries", trouble=trouble, is_live=is_live if found.state not in _OVER else None
        ),
        delivery=found,
        endpoint=endpoint,
        body=sent.body.decode(),
        body_bytes=len(sent.body),
        body_sha256=hashlib.sha256(sent.body).hexdigest(),
        attempts=tuple(
            AttemptView(
                number=number,
                attempt=one,
                response=one.response.decode("utf-8", "replace"),
                headers=_headers(sent, endpoint, one),
                changed_since=endpoint is not None and endpoint.updated_at > one.started_at,
            )
            for number, one in reversed(list(enumerate(attempts, start=1)))
        ),
        may_replay=visit.session.may_change
        and found.state in _AGAIN
        and endpoint is not None
        and endpoint.active,
        elsewhere=await _elsewhere(visit, found),
    )


async def _elsewhere(visit: Visit, found: Delivery) -> tuple[tuple[Endpoint, AtEndpoint], ...]:
    """What became of the event at other endpoints; nothing where the session may see one alone."""
    if visit.session.endpoint_id is not None:
        return ()
    known = {one.id: one for one in await list_endpoints(visit)}
    share = visit.services.settings.delivery.in_flight_per_tenant
    event = await read_event_deliveries(
        visit.services.database, visit.tenant_id, found.event_id, tenant_share=share
    )
    return tuple(
        (known[one.endpoint_id], one)
        for one in event.endpoints
        if one.endpoint_id in known and one.endpoint_id != found.endpoint_id
    )


def _headers(sent: SentMessage, endpoint: Endpoint | None, attempt: Attempt) -> tuple[tuple[str, str], ...]:
    """The request's headers by name, with what is known of their values: signatures are made anew for each attempt
    and kept nowhere, and sensitive values are not shown. () when the endpoint is gone, or nothing was sent.
    """
    if endpoint is None or attempt.error.startswith("not sent"):
        return ()
    stamp = str(int(attempt.started_at.timestamp()))
    profile = endpoint.signature_profile
    headers: list[tuple[str, str]] = [("Content-Type", "application/json")]
    if profile is not SignatureProfile.SEED:
        headers += [("webhook-id", sent.message), ("webhook-timestamp", stamp), ("webhook-signature", "")]
    if profile is not SignatureProfile.STANDARD:
        headers += [
            ("X-Signature-Event", sent.type),
            ("X-Signature-Timestamp", stamp),
            ("X-Signature-Signature", ""),
        ]
    headers += endpoint.headers.items()
    headers += [(name, "***") for name in endpoint.sensitive_header_names]
    return tuple(headers)
