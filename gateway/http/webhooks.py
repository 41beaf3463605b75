"""Tenants' webhooks over HTTP: endpoints, secrets, test events, deliveries and their attempts, replay."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from config.secret import Secret
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.tenants.scopes import Scope
from normalizer.errors import Finding, ValidationFailed
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.endpoint import Endpoint, EndpointChange, NewEndpoint, ShownOnce
from webhooks.outbound.read import (
    UNDELIVERED,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    list_attempts,
    list_deliveries,
    read_delivery,
)
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile

READ: dict[str, Any] = {"opt": {"scope": Scope.WEBHOOKS_READ}, "responses": problems(404)}
WRITE: dict[str, Any] = {"opt": {"scope": Scope.WEBHOOKS_WRITE}, "responses": problems(404, 409)}
Limit = Annotated[int, QueryParameter(ge=1, le=200)]


class EndpointInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`events` empty: all types. `secret`: your own, 24 bytes or more; without one we make it."""

    url: Annotated[str, msgspec.Meta(max_length=2048)]
    description: Annotated[str, msgspec.Meta(max_length=500)] = ""
    events: tuple[str, ...] = ()
    active: bool = True
    secret: str = ""
    retry_profile: RetryProfile = RetryProfile.DESIGN
    retry_schedule: tuple[int, ...] = ()
    timeout_seconds: int = 30
    signature_profile: SignatureProfile = SignatureProfile.BOTH
    max_in_flight: int = 8


class EndpointPatch(EndpointChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays."""


class RotateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both secrets sign for `overlap_hours`; the design's header changes over after `cutover_hours`."""

    secret: str = ""
    overlap_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] = 24.0
    cutover_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] | None = None


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` and `standard_secret` are there in the answer that made the secret, and never again.

    `secret` signs X-Signature-Signature as it stands; `standard_secret` is the form that Standard Webhooks
    libraries take. They differ only for a secret of your own without the prefix whsec_.
    """

    id: str
    url: str
    description: str
    events: tuple[str, ...]
    active: bool
    disabled_reason: str
    retry_profile: RetryProfile
    retry_schedule: tuple[int, ...]
    timeout_seconds: int
    signature_profile: SignatureProfile
    max_in_flight: int
    next_sequence: int
    previous_until: datetime | None
    cutover_at: datetime | None
    created_at: datetime
    updated_at: datetime
    secret: str | None = None
    standard_secret: str | None = None


class TestSentView(msgspec.Struct, frozen=True):
    event_id: str
    delivery_id: str
    sequence: int


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """`explanation` says in words where it is and why."""

    id: str
    event_id: str
    event_type: str
    envelope_id: str | None
    endpoint_id: str
    sequence: int
    state: DeliveryState
    attempts: int
    replays: int
    possibly_delivered: bool
    due_at: datetime
    last_status: int | None
    last_error: str
    created_at: datetime
    finished_at: datetime | None
    explanation: str


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """`response`: the beginning of what the endpoint answered."""

    started_at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str
    response: str


class ReplayedView(msgspec.Struct, frozen=True):
    """`is_complete` false: more are left; ask again."""

    deliveries: tuple[str, ...]
    is_complete: bool


@post("/webhooks", status_code=201, **WRITE)
async def create(services: TheServices, caller: TheCaller, data: JSONBody[EndpointInput]) -> EndpointView:
    """Register an endpoint. The secret is shown this once."""
    given = msgspec.structs.asdict(data) | {"secret": Secret(data.secret) if data.secret else None}
    shown = await services.endpoints.create(
        caller.tenant_id, NewEndpoint(**given), caller.actor, caller.source
    )
    return _shown(shown)


@get("/webhooks", **READ)
async def find(
    services: TheServices, caller: TheCaller, after: FromQuery[str] = "", limit: Limit = 100
) -> list[EndpointView]:
    """Your endpoints; `after` is the last id of the page before."""
    last = read_id(Kind.ENDPOINT, after) if after else None
    return [_view(one) for one in await services.endpoints.list(caller.tenant_id, limit=limit, after=last)]


@get("/webhooks/{endpoint_id:str}", **READ)
async def read(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> EndpointView:
    """One endpoint."""
    return _view(await services.endpoints.read(caller.tenant_id, read_id(Kind.ENDPOINT, endpoint_id)))


@patch("/webhooks/{endpoint_id:str}", **WRITE)
async def change(
    services: TheServices, caller: TheCaller, endpoint_id: FromPath[str], data: JSONBody[EndpointPatch]
) -> EndpointView:
    """Change an endpoint. Switched off it holds its deliveries; switched on it sends them, in their order."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    return _view(await services.endpoints.change(caller.tenant_id, own, data, caller.actor, caller.source))


@delete("/webhooks/{endpoint_id:str}", **WRITE)
async def remove(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> None:
    """Delete an endpoint; what waits for it is cancelled, what was delivered stays readable."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    await services.endpoints.delete(caller.tenant_id, own, caller.actor, caller.source)


@post("/webhooks/{endpoint_id:str}/rotate-secret", status_code=200, **WRITE)
async def rotate(
    services: TheServices, caller: TheCaller, endpoint_id: FromPath[str], data: JSONBody[RotateInput]
) -> EndpointView:
    """Give the endpoint a new secret; both sign during the overlap."""
    shown = await services.endpoints.rotate_secret(
        caller.tenant_id,
        read_id(Kind.ENDPOINT, endpoint_id),
        caller.actor,
        caller.source,
        secret=Secret(data.secret) if data.secret else None,
        overlap=timedelta(hours=data.overlap_hours),
        cutover=timedelta(hours=data.cutover_hours) if data.cutover_hours is not None else None,
    )
    return _shown(shown)


@post("/webhooks/{endpoint_id:str}/test", status_code=202, **WRITE)
async def test(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> TestSentView:
    """Send an endpoint.test event to this endpoint."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    sent = await services.endpoints.send_test(caller.tenant_id, own, caller.actor, caller.source)
    return TestSentView(
        print_id(Kind.EVENT, sent.event_id), print_id(Kind.DELIVERY, sent.delivery_id), sent.sequence
    )


@post("/webhooks/{endpoint_id:str}/replay", status_code=202, **WRITE)
async def replay_endpoint(
    services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]
) -> ReplayedView:
    """Send again everything that this endpoint never got."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    replayed = await services.replays.replay_exhausted(caller.tenant_id, own, caller.actor, caller.source)
    return ReplayedView(
        tuple(print_id(Kind.DELIVERY, one) for one in replayed.deliveries), replayed.is_complete
    )


@get("/deliveries", **READ)
async def deliveries(
    services: TheServices,
    caller: TheCaller,
    wanted_state: Annotated[str, QueryParameter(name="state")] = "",  # Litestar keeps the bare word to itself
    endpoint_id: FromQuery[str] = "",
    envelope_id: FromQuery[str] = "",
    event_type: FromQuery[str | None] = None,
    before: FromQuery[str] = "",
    limit: Limit = 100,
) -> list[DeliveryView]:
    """Deliveries, newest first. `state=undelivered` lists everything that has not arrived."""
    wanted = DeliveryFilter(
        states=_states(wanted_state),
        endpoint_id=read_id(Kind.ENDPOINT, endpoint_id) if endpoint_id else None,
        envelope_id=read_id(Kind.ENVELOPE, envelope_id) if envelope_id else None,
        event_type=event_type,
        before=read_id(Kind.DELIVERY, before) if before else None,
        limit=limit,
    )
    return [_delivery(one) for one in await list_deliveries(services.database, caller.tenant_id, wanted)]


@get("/deliveries/{delivery_id:str}", **READ)
async def delivery(services: TheServices, caller: TheCaller, delivery_id: FromPath[str]) -> DeliveryView:
    """One delivery, with the reason in words when it has not arrived."""
    own = read_id(Kind.DELIVERY, delivery_id)
    return _delivery(await read_delivery(services.database, caller.tenant_id, own))


@get("/deliveries/{delivery_id:str}/attempts", **READ)
async def attempts(services: TheServices, caller: TheCaller, delivery_id: FromPath[str]) -> list[AttemptView]:
    """Every request made for a delivery."""
    own = read_id(Kind.DELIVERY, delivery_id)
    return [
        AttemptView(
            started_at=one.started_at,
            duration_ms=one.duration_ms,
            outcome=one.outcome,
            status=one.status,
            error=one.error,
            response=one.response.decode("utf-8", "replace"),
        )
        for one in await list_attempts(services.database, caller.tenant_id, own)
    ]


@post("/deliveries/{delivery_id:str}/replay", status_code=202, **WRITE)
async def replay_delivery(
    services: TheServices, caller: TheCaller, delivery_id: FromPath[str]
) -> ReplayedView:
    """Send a delivery again: the same bytes and id, the current secret."""
    own = read_id(Kind.DELIVERY, delivery_id)
    replayed = await services.replays.replay_delivery(caller.tenant_id, own, caller.actor, caller.source)
    return ReplayedView(
        tuple(print_id(Kind.DELIVERY, one) for one in replayed.deliveries), replayed.is_complete
    )


def _states(state: str) -> tuple[DeliveryState, ...]:
    if not state:
        return ()
    if state == "undelivered":
        return UNDELIVERED
    try:
        return (DeliveryState(state),)
    except ValueError as error:
        known = ", ".join(["undelivered", *DeliveryState])
        raise ValidationFailed(
            "There is no such state.", (Finding("?state", f"One of: {known}."),)
        ) from error


def _view(endpoint: Endpoint) -> EndpointView:
    shown = {name: getattr(endpoint, name) for name in _SHOWN}
    return EndpointView(id=print_id(Kind.ENDPOINT, endpoint.id), **shown)


def _shown(shown: ShownOnce) -> EndpointView:
    return msgspec.structs.replace(
        _view(shown.endpoint), secret=shown.secret.reveal(), standard_secret=shown.standard_secret.reveal()
    )


_SHOWN = tuple(
    name for name in EndpointView.__struct_fields__ if name not in {"id", "secret", "standard_secret"}
)


def _delivery(one: Delivery) -> DeliveryView:
    return DeliveryView(
        id=print_id(Kind.DELIVERY, one.id),
        event_id=print_id(Kind.EVENT, one.event_id),
        event_type=one.event_type,
        envelope_id=print_id(Kind.ENVELOPE, one.envelope_id) if one.envelope_id else None,
        endpoint_id=print_id(Kind.ENDPOINT, one.endpoint_id),
        sequence=one.sequence,
        state=one.state,
        attempts=one.attempts,
        replays=one.replays,
        possibly_delivered=one.possibly_delivered,
        due_at=one.due_at,
        last_status=one.last_status,
        last_error=one.last_error,
        created_at=one.created_at,
        finished_at=one.finished_at,
        explanation=one.explanation,
    )
