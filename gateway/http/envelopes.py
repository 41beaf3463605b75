"""Envelopes over HTTP: create, read, list, send, void, resend, correct, sign, download, history."""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from adapters.kit.port import Part
from gateway.claims import Claim
from gateway.envelopes.correct import CorrectionInput, correct_recipient
from gateway.envelopes.create import create_envelope
from gateway.envelopes.dispatch import carry_out
from gateway.envelopes.download import Download, download_part
from gateway.envelopes.draft import EnvelopeInput
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.plan import Plan
from gateway.envelopes.provider_history import read_provider_history
from gateway.envelopes.resend import resend_envelope
from gateway.envelopes.search import EnvelopeFilter, list_envelopes
from gateway.envelopes.send import plan_send
from gateway.envelopes.signing_url import make_signing_url
from gateway.envelopes.store import load_envelope
from gateway.envelopes.view import EnvelopeLineView, EnvelopeView, view_envelope, view_line
from gateway.envelopes.void import void_envelope
from gateway.http import examples
from gateway.http.background import finish_within
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.examples import with_examples
from gateway.http.openapi import problems
from gateway.http.problems import BadRequest, problem_response
from gateway.services import Caller, Services
from gateway.tenants.scopes import Scope
from normalizer.envelope import AuditRecord
from normalizer.errors import CountersignError, InvalidTransition, ValidationFailed
from normalizer.ids import Kind, read_id
from normalizer.moments import vet_moment
from normalizer.status import EnvelopeStatus

READ = {"scope": Scope.ENVELOPES_READ}
WRITE = {"scope": Scope.ENVELOPES_WRITE}
Limit = Annotated[int, QueryParameter(ge=1, le=200)]
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])")


class EnvelopePageView(msgspec.Struct, frozen=True):
    """`next_cursor` is empty on the last page."""

    envelopes: tuple[EnvelopeLineView, ...]
    next_cursor: str


class VoidInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str


class ResendInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without `recipient_ids` everybody whose turn it is, is asked again."""

    recipient_ids: tuple[str, ...] = ()
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""


class SigningUrlInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`origins` may frame the page, where the provider lets them be named: https://host, exactly."""

    return_url: Annotated[str, msgspec.Meta(max_length=470)]
    origins: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=300)], ...], msgspec.Meta(max_length=20)
    ] = ()


class SigningUrl(msgspec.Struct, frozen=True):
    """Use it at once and once; do not store or mail it."""

    url: str


class ProviderHistory(msgspec.Struct, frozen=True):
    records: tuple[AuditRecord, ...]


@post(
    "/envelopes",
    opt=WRITE,
    status_code=201,
    responses=problems(409, 413, 422, 502, 503, 504),
    operation_class=with_examples(examples.CREATE),
)
async def create(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    data: JSONBody[EnvelopeInput],
    wait: FromQuery[float | None] = None,
) -> Response[EnvelopeView]:
    """Make an envelope, and send it when `send` is true. With `Prefer: respond-async` or a short `wait`
    the answer is 202 while the provider is still working.
    """
    patience = _patience(request, services, wait)
    claim: Claim | None = request.scope["state"].get("claim")
    if claim is not None and claim.resource_id is not None:
        return await _resume(services, caller, claim.resource_id, 201, patience, send=data.send)
    created = await create_envelope(services, caller, data, claim)
    envelope = created.envelope
    if created.plan is None:
        return _answer(await _load(services, caller, envelope.id), 201)
    return await _dispatch(services, caller, created.plan, 201, patience)


@get("/envelopes", opt=READ, responses=problems())
async def find(
    services: TheServices,
    caller: TheCaller,
    sender_id: FromQuery[str] = "",
    status: FromQuery[EnvelopeStatus | None] = None,
    provider: FromQuery[str] = "",
    reference: FromQuery[str] = "",
    created_from: FromQuery[datetime | None] = None,
    created_before: FromQuery[datetime | None] = None,
    cursor: FromQuery[str] = "",
    limit: Limit = 50,
) -> EnvelopePageView:
    """Envelopes, newest first."""
    findings = (*vet_moment("?created_from", created_from), *vet_moment("?created_before", created_before))
    if findings:
        raise ValidationFailed("A time cannot be asked for.", findings)
    wanted = EnvelopeFilter(
        sender_id=sender_id,
        status=status,
        provider=provider,
        reference=reference,
        created_from=created_from,
        created_before=created_before,
    )
    page = await list_envelopes(services, caller, wanted, cursor, limit)
    return EnvelopePageView(tuple(view_line(line) for line in page.lines), page.next_cursor)


@get("/envelopes/{envelope_id:str}", opt=READ, responses=problems(404))
async def read(services: TheServices, caller: TheCaller, envelope_id: FromPath[str]) -> EnvelopeView:
    """One envelope with its recipients, documents and fields."""
    return view_envelope(await _load(services, caller, read_id(Kind.ENVELOPE, envelope_id)))


@post(
    "/envelopes/{envelope_id:str}/send",
    opt=WRITE,
    status_code=200,
    responses=problems(404, 409, 422, 502, 503),
)
async def send(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    wait: FromQuery[float | None] = None,
) -> Response[EnvelopeView]:
    """Send a draft."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    patience = _patience(request, services, wait)
    claim: Claim | None = request.scope["state"].get("claim")
    if claim is not None and claim.resource_id is not None:
        return await _resume(services, caller, own, 200, patience, send=True)
    plan = await plan_send(services, caller, own, claim)
    return await _dispatch(services, caller, plan, 200, patience)


@post(
    "/envelopes/{envelope_id:str}/void",
    opt=WRITE,
    status_code=200,
    responses=problems(404, 409, 422, 502, 503),
    operation_class=with_examples(examples.VOID),
)
async def void(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    data: JSONBody[VoidInput],
) -> EnvelopeView:
    """Withdraw a draft or an envelope in flight. The reason, up to 200 characters, is shown to recipients."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    try:
        await void_envelope(services, caller, own, data.reason)
    except InvalidTransition:
        # The same request, taken up again after a crash that followed its effect, is answered with it.
        claim: Claim | None = request.scope["state"].get("claim")
        envelope = await _load(services, caller, own)
        if claim is None or not claim.resumed or envelope.status is not EnvelopeStatus.VOIDED:
            raise
    return view_envelope(await _load(services, caller, own))


@post(
    "/envelopes/{envelope_id:str}/resend",
    opt=WRITE,
    status_code=200,
    responses=problems(404, 409, 422, 502, 503),
    operation_class=with_examples(examples.RESEND),
)
async def resend(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], data: JSONBody[ResendInput]
) -> EnvelopeView:
    """Ask outstanding recipients again."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    recipients = tuple(read_id(Kind.RECIPIENT, one) for one in data.recipient_ids)
    await resend_envelope(services, caller, own, recipients, data.note)
    return view_envelope(await _load(services, caller, own))


@post(
    "/envelopes/{envelope_id:str}/recipients/{recipient_id:str}/correct",
    opt=WRITE,
    status_code=200,
    responses=problems(404, 409, 422, 502, 503),
    operation_class=with_examples(examples.CORRECT),
)
async def correct(
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    recipient_id: FromPath[str],
    data: JSONBody[CorrectionInput],
) -> EnvelopeView:
    """Change the name or the address of a recipient of an envelope in flight."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await correct_recipient(services, caller, own, read_id(Kind.RECIPIENT, recipient_id), data)
    return view_envelope(await _load(services, caller, own))


@post(
    "/envelopes/{envelope_id:str}/recipients/{recipient_id:str}/signing-url",
    opt=WRITE,
    status_code=201,
    responses=problems(404, 409, 422, 502, 503),
    operation_class=with_examples(examples.SIGNING_URL),
)
async def signing_url(
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    recipient_id: FromPath[str],
    data: JSONBody[SigningUrlInput],
) -> SigningUrl:
    """A link by which an embedded recipient signs now."""
    url = await make_signing_url(
        services,
        caller,
        read_id(Kind.ENVELOPE, envelope_id),
        read_id(Kind.RECIPIENT, recipient_id),
        data.return_url,
        data.origins,
    )
    return SigningUrl(url)


@get("/envelopes/{envelope_id:str}/combined", opt=READ, responses=problems(404, 409, 502, 503))
async def download_combined(services: TheServices, caller: TheCaller, envelope_id: FromPath[str]) -> Stream:
    """All documents as one PDF, signed as far as they are."""
    return stream(await download_part(services, caller, read_id(Kind.ENVELOPE, envelope_id), Part.COMBINED))


@get("/envelopes/{envelope_id:str}/certificate", opt=READ, responses=problems(404, 409, 502, 503))
async def download_certificate(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str]
) -> Stream:
    """The provider's certificate of completion or audit report, as PDF."""
    return stream(
        await download_part(services, caller, read_id(Kind.ENVELOPE, envelope_id), Part.CERTIFICATE)
    )


@get("/envelopes/{envelope_id:str}/documents/{number:int}", opt=READ, responses=problems(404, 409, 502, 503))
async def download_single(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], number: FromPath[int]
) -> Stream:
    """One document by its 1-based number in the envelope."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    return stream(await download_part(services, caller, own, Part.DOCUMENT, number))


@get("/envelopes/{envelope_id:str}/provider-history", opt=READ, responses=problems(404, 409, 502, 503))
async def provider_history(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str]
) -> ProviderHistory:
    """The provider's own record of the envelope."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    return ProviderHistory(await read_provider_history(services, caller, own))


def stream(download: Download) -> Stream:
    """An attachment whose name is safe in a header and whose digest can be checked."""
    plain = download.name.encode("ascii", "replace").decode().replace('"', "'").replace("\\", "_")
    quoted = "".join(
        f"%{byte:02X}" if byte < 0x30 or byte > 0x7A else chr(byte) for byte in download.name.encode()
    )
    return Stream(
        download.chunks,
        media_type=download.media_type,
        headers={
            "content-length": str(download.size_bytes),
            "content-disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}",
            "x-content-sha256": download.sha256,
        },
    )


async def _load(services: Services, caller: Caller, envelope_id: UUID) -> StoredEnvelope:
    return await load_envelope(services.database, caller.tenant_id, envelope_id)


async def _dispatch(
    services: Services, caller: Caller, plan: Plan, done_status: int, patience_s: float
) -> Response[EnvelopeView]:
    """Carries the plan out, and answers 202 when the caller would rather not wait for its end."""
    settled = await finish_within(carry_out(services, caller, plan), patience_s)
    problem = settled.problem if settled is not None else None
    if problem is not None:
        return _failed(problem, plan.envelope)
    envelope = settled.envelope if settled is not None else None
    if envelope is None:
        envelope = await _load(services, caller, plan.envelope.id)
    # PROCESSING may also be a provider that prepares documents first: the caller hears more by webhook.
    is_open = settled is None or envelope.dispatch_state != DispatchState.SETTLED
    return _answer(envelope, 202 if is_open else done_status)


async def _resume(
    services: Services,
    caller: Caller,
    envelope_id: UUID,
    done_status: int,
    patience_s: float,
    *,
    send: bool,
) -> Response[EnvelopeView]:
    """Goes on where an earlier request with the same key stopped: the envelope exists already."""
    envelope = await _load(services, caller, envelope_id)
    if send and envelope.status is EnvelopeStatus.DRAFT:
        plan = await plan_send(services, caller, envelope_id)
        return await _dispatch(services, caller, plan, done_status, patience_s)
    is_open = envelope.dispatch_state in {DispatchState.CREATING, DispatchState.UNKNOWN}
    return _answer(envelope, 202 if is_open else done_status)


def _answer(envelope: StoredEnvelope, status: int) -> Response[EnvelopeView]:
    view = view_envelope(envelope)
    headers = {"location": f"/api/v1/signatures/envelopes/{view.id}"}
    if status == 202:
        headers["retry-after"] = "5"
    return Response(view, status_code=status, headers=headers)


def _failed(problem: CountersignError, envelope: StoredEnvelope) -> Response[Any]:
    return problem_response(problem, envelope_id=view_envelope(envelope).id)


def _patience(request: Request[Any, Any, Any], services: Services, wait: float | None) -> float:
    """Seconds to wait for the provider: `?wait=`, `Prefer: wait=` or `respond-async`, else the setting."""
    prefer = request.headers.get("prefer", "").lower()
    named = _WAIT.search(prefer)
    if wait is None and named:
        wait = float(named.group(1))
    if wait is None and "respond-async" in prefer:
        wait = 0.0
    if wait is not None and not 0 <= wait <= 120:
        raise BadRequest("wait is 0 to 120 seconds.")
    return services.settings.http.wait_s if wait is None else wait
