"""One event and every endpoint of its tenant: who got it, who has not yet, and who never will, in words.

Reads only. An endpoint is judged by what it asks for now; where that was changed since, the words say so. Must
never show another tenant's endpoint, nor what a body holds beyond what a filter asks about.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from normalizer.errors import NotFound, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import EventType
from webhooks.outbound.delivery_state import DeliveryState
from webhooks.outbound.filters import explain, vet_filter
from webhooks.outbound.read import Delivery, DeliveryFilter, list_deliveries

_MOST = 1000
# What tells of deliveries goes only to whom it names, and never about itself: the fan-out's takes_type.
_OPERATIONAL = frozenset(type_.value for type_ in EventType if type_.is_operational)
_TEST = EventType.ENDPOINT_TEST.value
_EVENT = (
    "SELECT o.type, o.envelope_id, o.occurred_at, o.created_at, o.data,"
    " EXISTS (SELECT FROM outbox_pending p WHERE p.event_id = o.id) AS is_waiting"
    " FROM outbox_events o WHERE o.tenant_id = $1 AND o.id = $2"
)
_OTHERS = (
    "SELECT e.id, e.events, e.filter, e.active, e.created_at, e.updated_at FROM webhook_endpoints e"
    " WHERE e.tenant_id = $1 AND NOT EXISTS (SELECT FROM deliveries d WHERE d.tenant_id = $1"
    " AND d.event_id = $2 AND d.endpoint_id = e.id) ORDER BY e.id"
)


class Outcome(StrEnum):
    """`not_yet` may still arrive by itself, `stopped` only when somebody acts, `not_sent` was never meant to."""

    DELIVERED = "delivered"
    NOT_YET = "not_yet"
    STOPPED = "stopped"
    NOT_SENT = "not_sent"


_OUTCOMES = {
    DeliveryState.SUCCEEDED: Outcome.DELIVERED,
    DeliveryState.PENDING: Outcome.NOT_YET,
    DeliveryState.LEASED: Outcome.NOT_YET,
    DeliveryState.HELD: Outcome.STOPPED,
    DeliveryState.EXHAUSTED: Outcome.STOPPED,
    DeliveryState.CANCELLED: Outcome.STOPPED,
}


class AtEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`delivery` None: there is none, and `explanation` says why."""

    endpoint_id: UUID
    outcome: Outcome
    delivery: Delivery | None
    explanation: str


class EventDeliveries(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    type: str
    envelope_id: UUID | None
    occurred_at: datetime
    endpoints: tuple[AtEndpoint, ...]


async def read_event_deliveries(
    database: Database, tenant_id: UUID, event_id: UUID, *, tenant_share: int | None = None
) -> EventDeliveries:
    """Raises NotFound."""
    async with database.transaction(tenant_id) as tx:
        event = await tx.driver.fetchrow(_EVENT, tenant_id, event_id)
        others = await tx.driver.fetch(_OTHERS, tenant_id, event_id)
    if event is None:
        raise NotFound("event", print_id(Kind.EVENT, event_id))
    wanted = DeliveryFilter(event_id=event_id, limit=_MOST)
    made = await list_deliveries(database, tenant_id, wanted, tenant_share=tenant_share)
    has_delivery = {one.endpoint_id for one in made}  # one may have been made between the two looks
    found = [
        AtEndpoint(
            endpoint_id=one.endpoint_id,
            outcome=_OUTCOMES[one.state],
            delivery=one,
            explanation=one.explanation,
        )
        for one in made
    ]
    found += [_without(event, other) for other in others if other["id"] not in has_delivery]
    return EventDeliveries(
        id=event_id,
        type=event["type"],
        envelope_id=event["envelope_id"],
        occurred_at=event["occurred_at"],
        endpoints=tuple(sorted(found, key=_by_endpoint)),
    )


def _by_endpoint(one: AtEndpoint) -> UUID:
    return one.endpoint_id


def _without(event: asyncpg.Record, endpoint: asyncpg.Record) -> AtEndpoint:
    outcome, words = Outcome.NOT_SENT, _why_not(event, endpoint)
    if words is None and event["is_waiting"]:
        outcome, words = Outcome.NOT_YET, "The event was committed just now and waits to be handed out."
    return AtEndpoint(
        endpoint_id=endpoint["id"],
        outcome=outcome,
        delivery=None,
        explanation=words or _changed_or_gone(event, endpoint),
    )


def _why_not(event: asyncpg.Record, endpoint: asyncpg.Record) -> str | None:
    """Why the endpoint does not get it; None when it asks for such events."""
    if event["type"] == _TEST:
        return "A test event goes only to the endpoint that it was asked for."
    if not event["is_waiting"] and endpoint["created_at"] > event["created_at"]:
        return (
            f"The endpoint was made at {_time(endpoint['created_at'])}, after the event: it gets what happens"
            " from then on. The feed of events has what came before."
        )
    return _wrong_type(event, endpoint) or _filtered_out(event, endpoint)


def _wrong_type(event: asyncpg.Record, endpoint: asyncpg.Record) -> str | None:
    type_, named = event["type"], endpoint["events"]
    if type_ not in _OPERATIONAL:
        if not named or type_ in named:
            return None
        return f"Its `events` do not name {type_}; they name {', '.join(named)}."
    if type_ not in named:
        return f"{type_} tells of deliveries: it goes only to endpoints that name it in `events`."
    about = msgspec.json.decode(event["data"], type=_About)
    if about.endpoint_id == print_id(Kind.ENDPOINT, endpoint["id"]):
        return "The event tells of this very endpoint: it is never told of itself."
    if about.event_type in _OPERATIONAL:
        return "The event tells of a delivery that itself told of deliveries: nobody is told of that."
    return None


def _filtered_out(event: asyncpg.Record, endpoint: asyncpg.Record) -> str | None:
    if endpoint["filter"] is None:
        return None
    try:
        vetted = vet_filter(msgspec.json.decode(endpoint["filter"], type=dict[str, object]))
    except ValidationFailed as error:
        return f"Its filter cannot be read: {error.detail}"
    told = explain(vetted, event["type"], event["data"])
    return None if told.matches else f"Its filter does not match: {' '.join(told.why)}"


def _changed_or_gone(event: asyncpg.Record, endpoint: asyncpg.Record) -> str:
    if endpoint["updated_at"] > event["created_at"]:
        return (
            f"It would get such an event now, but was changed at {_time(endpoint['updated_at'])}: when the"
            " event was handed out it did not ask for it. The feed of events has it."
        )
    return "It was delivered, and the time for which deliveries are kept is over."


class _About(msgspec.Struct, frozen=True):
    """What an operational event tells of."""

    endpoint_id: str = ""
    event_type: str = ""


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
