"""Builds the ledger events about messages: which message, what happened to it, and never what it said."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from normalizer.canonical import Json
from normalizer.events import SYSTEM, Actor, Event, ResourceType, Source
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


def message_event(
    kind: LedgerType,
    event_id: UUID,
    now: datetime,
    *,
    tenant_id: UUID,
    message_id: UUID,
    source: Source,
    facts: Mapping[str, Json],
    actor: Actor = SYSTEM,
) -> Event:
    """An entry in the tenant's own chain."""
    return Event(
        id=event_id,
        type=kind,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=ResourceType.INBOUND,
        resource_id=print_id(Kind.MESSAGE, message_id),
        occurred_at=now,
        actor=actor,
        source=source,
        facts=facts,
    )
