"""Deliveries over HTTP: where they are and why, how many have not arrived, their attempts, replay."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, QueryParameter

from config.database import Transaction
from gateway.claims import Claim, done_by, mark_done
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.webhooks import READ, WRITE, Limit
from normalizer.errors import Finding, ValidationFailed
from normalizer.ids import Kind, print_id, read_id
from normalizer.moments import vet_moment
from webhooks.outbound.event_deliveries import Outcome, read_event_deliveries
from webhooks.outbound.read import (
    UNDELIVERED,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    Undelivered,
    list_attempts,
    list_deliveries,
    read_delivery,
    summarize_undelivered,
)


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


class UndeliveredView(msgspec.Struct, frozen=True, kw_only=True):
    """What has not arrived at one endpoint. `active` null: it was deleted."""

    endpoint_id: str
    active: bool | None
    total: int
    by_state: dict[DeliveryState, int]
    oldest_at: datetime


class SummaryView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that has not arrived, in all and by endpoint. `oldest_at` null: everything has."""

    total: int
    by_state: dict[DeliveryState, int]
    oldest_at: datetime | None
    endpoints: tuple[UndeliveredView, ...]


class AtEndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome`: `delivered`; `not_yet`, by itself; `stopped`, until somebody acts; or `not_sent`, and
    `explanation` says why it was never meant to be.
    """

    endpoint_id: str
    outcome: Outcome
    explanation: str
    delivery: DeliveryView | None


class EventDeliveriesView(msgspec.Struct, frozen=True, kw_only=True):
    """One event and every one of your endpoints."""

    event_id: str
    event_type: str
    envelope_id: str | None
    occurred_at: datetime
    endpoints: tuple[AtEndpointView, ...]


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
    created_from: FromQuery[datetime | None] = None,
    created_before: FromQuery[datetime | None] = None,
    status: Annotated[int | None, QueryParameter(ge=100, le=599)] = None,
    error: FromQuery[str | None] = None,
    before: FromQuery[str] = "",
    limit: Limit = 100,
) -> list[DeliveryView]:
    """Deliveries, newest first. `state=undelivered` lists everything that has not arrived. `status` and `error`
    (a part of it) are the last attempt's; `before` is the last id of the page before.
    """
    _vet_times(created_from, created_before)
    wanted = DeliveryFilter(
        states=_states(wanted_state),
        endpoint_id=read_id(Kind.ENDPOINT, endpoint_id) if endpoint_id else None,
        envelope_id=read_id(Kind.ENVELOPE, envelope_id) if envelope_id else None,
        event_type=event_type,
        created_from=created_from,
        created_before=created_before,
        status=status,
        error=error or None,
        before=read_id(Kind.DELIVERY, before) if before else None,
        limit=limit,
    )
    share = services.settings.delivery.in_flight_per_tenant
    found = await list_deliveries(services.database, caller.tenant_id, wanted, tenant_share=share)
    return [_delivery(one) for one in found]


@get("/deliveries/summary", **READ)
async def summary(services: TheServices, caller: TheCaller) -> SummaryView:
    """How much has not arrived, in all and by endpoint and state, and since when."""
    found = await summarize_undelivered(services.database, caller.tenant_id)
    by_state = {state: sum(getattr(one, state.value) for one in found) for state in UNDELIVERED}
    return SummaryView(
        total=sum(by_state.values()),
        by_state=by_state,
        oldest_at=min((one.oldest_at for one in found), default=None),
        endpoints=tuple(_undelivered(one) for one in found),
    )


@get("/events/{event_id:str}/deliveries", **READ)
async def event_deliveries(
    services: TheServices, caller: TheCaller, event_id: FromPath[str]
) -> EventDeliveriesView:
    """One event at every one of your endpoints: why each got it, has not yet, or never will."""
    own = read_id(Kind.EVENT, event_id)
    share = services.settings.delivery.in_flight_per_tenant
    found = await read_event_deliveries(services.database, caller.tenant_id, own, tenant_share=share)
    return EventDeliveriesView(
        event_id=event_id,
        event_type=found.type,
        envelope_id=print_id(Kind.ENVELOPE, found.envelope_id) if found.envelope_id else None,
        occurred_at=found.occurred_at,
        endpoints=tuple(
            AtEndpointView(
                endpoint_id=print_id(Kind.ENDPOINT, one.endpoint_id),
                outcome=one.outcome,
                explanation=one.explanation,
                delivery=_delivery(one.delivery) if one.delivery is not None else None,
            )
            for one in found.endpoints
        ),
    )


@get("/deliveries/{delivery_id:str}", **READ)
async def delivery(services: TheServices, caller: TheCaller, delivery_id: FromPath[str]) -> DeliveryView:
    """One delivery, with the reason in words when it has not arrived."""
    own = read_id(Kind.DELIVERY, delivery_id)
    share = services.settings.delivery.in_flight_per_tenant
    return _delivery(await read_delivery(services.database, caller.tenant_id, own, tenant_share=share))


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
    request: Request[Any, Any, Any], services: TheServices, caller: TheCaller, delivery_id: FromPath[str]
) -> ReplayedView:
    """Send a delivery again: the same bytes and id, the current secret."""
    own = read_id(Kind.DELIVERY, delivery_id)
    claim: Claim | None = request.scope["state"].get("claim")
    if done_by(claim) == own:
        return ReplayedView((print_id(Kind.DELIVERY, own),), is_complete=True)

    async def done(tx: Transaction, replayed: UUID) -> None:
        if claim is not None:
            await mark_done(tx, claim, caller.tenant_id, replayed)

    replayed = await services.replays.replay_delivery(
        caller.tenant_id, own, caller.actor, caller.source, done=done
    )
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


def _vet_times(begin: datetime | None, end: datetime | None) -> None:
    findings = (*vet_moment("?created_from", begin), *vet_moment("?created_before", end))
    if findings:
        raise ValidationFailed("There are no deliveries of such a time.", findings)


def _undelivered(one: Undelivered) -> UndeliveredView:
    by_state = {state: int(getattr(one, state.value)) for state in UNDELIVERED}
    return UndeliveredView(
        endpoint_id=print_id(Kind.ENDPOINT, one.endpoint_id),
        active=one.active,
        total=sum(by_state.values()),
        by_state=by_state,
        oldest_at=one.oldest_at,
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
