"""A ceremony's fact as the ledger takes it: who did what to which part, personal data apart from the rest."""

from collections.abc import Mapping
from uuid import UUID

from engine.engine import Engine
from engine.envelopes.visitor import Visitor, actor_of, source_of
from engine.model import EngineEnvelope, EngineRecipient
from normalizer.canonical import Json
from normalizer.events import Event, Personal, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

_KINDS = {
    ResourceType.RECIPIENT: Kind.RECIPIENT,
    ResourceType.FIELD: Kind.FIELD,
    ResourceType.SIGNATURE: Kind.SIGNATURE,
    ResourceType.DOCUMENT: Kind.DOCUMENT,
    ResourceType.ENVELOPE: Kind.ENVELOPE,
}


def ceremony_event(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    kind: LedgerType,
    resource: tuple[ResourceType, UUID],
    *,
    facts: Mapping[str, Json] | None = None,
    personal: Mapping[str, str] | None = None,
) -> Event:
    """`personal` maps a path to a value that is sealed under the recipient's own key; empty values are left out."""
    resource_type, resource_id = resource
    return Event(
        id=engine.ids.new(),
        type=kind,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.envelope_id,
        resource_type=resource_type,
        resource_id=print_id(_KINDS[resource_type], resource_id),
        occurred_at=engine.clock.now(),
        actor=actor_of(recipient, visitor),
        source=source_of(visitor),
        facts={"recipient_id": print_id(Kind.RECIPIENT, recipient.id), **(facts or {})},
        personal=tuple(
            Personal(path, recipient.email.lower(), value)
            for path, value in (personal or {}).items()
            if value
        ),
    )
