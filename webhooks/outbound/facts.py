"""The outbound hub's ledger events: what happened to endpoints and deliveries; no secrets, no bodies."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from normalizer.canonical import Json
from normalizer.events import SYSTEM, Actor, Event, ResourceType, Source, SourceKind
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType

BY_DELIVERER = Source(kind=SourceKind.JOB)


def endpoint_event(
    type_: LedgerType,
    ids: Ids,
    now: datetime,
    *,
    tenant_id: UUID,
    endpoint_id: UUID,
    actor: Actor = SYSTEM,
    source: Source = BY_DELIVERER,
    facts: Mapping[str, Json] = {},
    announcement: Mapping[str, Json] | None = None,
) -> Event:
    """An entry in the tenant's chain about one endpoint."""
    about = (ResourceType.ENDPOINT, print_id(Kind.ENDPOINT, endpoint_id))
    return _tenant_event(type_, ids, now, tenant_id, about, actor, source, facts, announcement)


def delivery_event(
    type_: LedgerType,
    ids: Ids,
    now: datetime,
    *,
    tenant_id: UUID,
    delivery_id: UUID,
    endpoint_id: UUID,
    event_id: UUID,
    actor: Actor = SYSTEM,
    source: Source = BY_DELIVERER,
    facts: Mapping[str, Json] = {},
    announcement: Mapping[str, Json] | None = None,
) -> Event:
    """An entry in the tenant's chain about one delivery: a finished envelope's chain is not touched by it."""
    about = (ResourceType.DELIVERY, print_id(Kind.DELIVERY, delivery_id))
    facts = {
        "endpoint_id": print_id(Kind.ENDPOINT, endpoint_id),
        "event_id": print_id(Kind.EVENT, event_id),
        **facts,
    }
    return _tenant_event(type_, ids, now, tenant_id, about, actor, source, facts, announcement)


def replay_event(
    type_: LedgerType,
    ids: Ids,
    now: datetime,
    *,
    tenant_id: UUID,
    replay_id: UUID,
    actor: Actor = SYSTEM,
    source: Source = BY_DELIVERER,
    facts: Mapping[str, Json] = {},
) -> Event:
    """An entry in the tenant's chain about one replay."""
    about = (ResourceType.REPLAY, print_id(Kind.REPLAY, replay_id))
    return _tenant_event(type_, ids, now, tenant_id, about, actor, source, facts, None)


def _tenant_event(
    type_: LedgerType,
    ids: Ids,
    now: datetime,
    tenant_id: UUID,
    about: tuple[ResourceType, str],
    actor: Actor,
    source: Source,
    facts: Mapping[str, Json],
    announcement: Mapping[str, Json] | None,
) -> Event:
    resource_type, resource_id = about
    return Event(
        id=ids.new(),
        type=type_,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=resource_type,
        resource_id=resource_id,
        occurred_at=now,
        actor=actor,
        source=source,
        facts=facts,
        announcement=announcement,
    )
