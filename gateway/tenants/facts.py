"""Builds the events of a tenant's configuration: who changed what, without a secret and without names."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.events import Event, Personal, ResourceType
from normalizer.vocabulary import LedgerType


def tenant_event(
    services: Services,
    caller: Caller,
    kind: LedgerType,
    tenant_id: UUID | None,
    resource_type: ResourceType,
    resource_id: str,
    facts: Mapping[str, Json] | None = None,
    personal: Sequence[Personal] = (),
) -> Event:
    """An entry in the tenant's own chain (`tenant_id` None: the system's)."""
    return Event(
        id=services.ids.new(),
        type=kind,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=resource_type,
        resource_id=resource_id,
        occurred_at=services.clock.now(),
        actor=caller.actor,
        source=caller.source,
        facts=facts or {},
        personal=tuple(personal),
    )
