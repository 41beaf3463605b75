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
from webhooks.outbound.reason import Reason, in_english

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


class AtEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`delivery` None: there is none, and `reasons` say why."""

    endpoint_id: UUID
    outcome: Outcome
    delivery: Delivery | None
    reasons: tuple[Reason, ...]

    @property
    def explanation(self) -> str:
        return in_english(self.reasons)


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
            outcome=_outcome(one),
            delivery=one,
            reasons=one.reasons,
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


def _outcome(made: Delivery) -> Outcome:
    if made.state is DeliveryState.SUCCEEDED:
        return Outcome.DELIVERED
    return Outcome.STOPPED if made.is_stopped else Outcome.NOT_YET


def _by_endpoint(one: AtEndpoint) -> UUID:
    return one.endpoint_id


def _without(event: asyncpg.Record, endpoint: asyncpg.Record) -> AtEndpoint:
    outcome, reason = Outcome.NOT_SENT, _why_not(event, endpoint)
    if reason is None and event["is_waiting"]:
        outcome, reason = Outcome.NOT_YET, Reason("waits_for_fan_out")
    return AtEndpoint(
        endpoint_id=endpoint["id"],
        outcome=outcome,
        delivery=None,
        reasons=(reason or _changed_or_gone(event, endpoint),),
    )


def _why_not(event: asyncpg.Record, endpoint: asyncpg.Record) -> Reason | None:
    """Why the endpoint does not get it; None when it asks for such events."""
    if event["type"] == _TEST:
        return Reason("test_elsewhere")
    if not event["is_waiting"] and endpoint["created_at"] > event["created_at"]:
        return Reason("endpoint_younger", {"made_at": endpoint["created_at"]})
    return _wrong_type(event, endpoint) or _filtered_out(event, endpoint)


def _wrong_type(event: asyncpg.Record, endpoint: asyncpg.Record) -> Reason | None:
    type_, named = event["type"], endpoint["events"]
    if type_ not in _OPERATIONAL:
        if not named or type_ in named:
            return None
        return Reason("type_not_named", {"type": type_, "named": ", ".join(named)})
    if type_ not in named:
        return Reason("operational_not_named", {"type": type_})
    about = msgspec.json.decode(event["data"], type=_About)
    if about.endpoint_id == print_id(Kind.ENDPOINT, endpoint["id"]):
        return Reason("tells_of_itself")
    if about.event_type in _OPERATIONAL:
        return Reason("tells_of_telling")
    return None


def _filtered_out(event: asyncpg.Record, endpoint: asyncpg.Record) -> Reason | None:
    if endpoint["filter"] is None:
        return None
    try:
        vetted = vet_filter(msgspec.json.decode(endpoint["filter"], type=dict[str, object]))
    except ValidationFailed as error:
        return Reason("filter_unreadable", {"why": error.detail})
    told = explain(vetted, event["type"], event["data"])
    return None if told.matches else Reason("filtered_out", {"why": " ".join(told.why)})


def _changed_or_gone(event: asyncpg.Record, endpoint: asyncpg.Record) -> Reason:
    if endpoint["updated_at"] > event["created_at"]:
        return Reason("endpoint_changed", {"changed_at": endpoint["updated_at"]})
    return Reason("kept_no_longer")


class _About(msgspec.Struct, frozen=True):
    """What an operational event tells of."""

    endpoint_id: str = ""
    event_type: str = ""
