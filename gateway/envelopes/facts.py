"""Builds the events of an envelope: ledger facts without personal data, and the webhook's `data` object."""

from collections.abc import Mapping
from datetime import datetime

from gateway.envelopes.model import StoredEnvelope, StoredRecipient
from gateway.services import Services
from normalizer.canonical import Json
from normalizer.events import Actor, Event, Personal, ResourceType, Source
from normalizer.ids import Kind, print_id
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import VOCABULARY, LedgerType


def envelope_event(
    services: Services,
    kind: LedgerType,
    envelope: StoredEnvelope,
    actor: Actor,
    source: Source,
    *,
    status: EnvelopeStatus | None = None,
    facts: Mapping[str, Json] | None = None,
    occurred_at: datetime | None = None,
    reason: str = "",
) -> Event:
    """`status`: the one after the change, when it differs from the stored one."""
    after = status or envelope.status
    data: dict[str, Json] = dict(facts or {})
    if after is not envelope.status:
        data |= {"state_from": str(envelope.status), "state_to": str(after)}
    announcement: dict[str, Json] | None = None
    if VOCABULARY[kind].webhook is not None:
        announcement = {"envelope": envelope_summary(envelope, after)}
        if reason:
            announcement["reason"] = reason
    return Event(
        id=services.ids.new(),
        type=kind,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.id,
        resource_type=ResourceType.ENVELOPE,
        resource_id=print_id(Kind.ENVELOPE, envelope.id),
        occurred_at=occurred_at or services.clock.now(),
        actor=actor,
        source=source,
        facts=data,
        personal=_reason(reason, actor),
        announcement=announcement,
    )


def recipient_event(
    services: Services,
    kind: LedgerType,
    envelope: StoredEnvelope,
    recipient: StoredRecipient,
    actor: Actor,
    source: Source,
    *,
    envelope_status: EnvelopeStatus | None = None,
    status: RecipientStatus | None = None,
    facts: Mapping[str, Json] | None = None,
    occurred_at: datetime | None = None,
    reason: str = "",
) -> Event:
    """One recipient's fact. Name and e-mail go into the ledger sealed under the recipient's own key."""
    after = status or recipient.status
    data: dict[str, Json] = {
        "role": recipient.role,
        "routing_order": recipient.routing_order,
        **(facts or {}),
    }
    if after is not recipient.status:
        data |= {"state_from": str(recipient.status), "state_to": str(after)}
    subject = recipient.email.lower()
    announcement: dict[str, Json] | None = None
    if VOCABULARY[kind].webhook is not None:
        announcement = {
            "envelope": envelope_summary(envelope, envelope_status or envelope.status),
            "recipient": recipient_summary(recipient, after),
        }
        if reason:
            announcement["reason"] = reason
    return Event(
        id=services.ids.new(),
        type=kind,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.id,
        resource_type=ResourceType.RECIPIENT,
        resource_id=print_id(Kind.RECIPIENT, recipient.id),
        occurred_at=occurred_at or services.clock.now(),
        actor=actor,
        source=source,
        facts=data,
        personal=(
            Personal("recipient.name", subject, recipient.name),
            Personal("recipient.email", subject, recipient.email),
            *((Personal("reason", subject, reason),) if reason else ()),
        ),
        announcement=announcement,
    )


def part_event(
    services: Services,
    kind: LedgerType,
    envelope: StoredEnvelope,
    resource_type: ResourceType,
    resource_id: str,
    actor: Actor,
    source: Source,
    facts: Mapping[str, Json],
) -> Event:
    """A fact about a document or a field in an envelope's chain; never announced by itself."""
    return Event(
        id=services.ids.new(),
        type=kind,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.id,
        resource_type=resource_type,
        resource_id=resource_id,
        occurred_at=services.clock.now(),
        actor=actor,
        source=source,
        facts=facts,
    )


def envelope_summary(envelope: StoredEnvelope, status: EnvelopeStatus) -> dict[str, Json]:
    return {
        "id": print_id(Kind.ENVELOPE, envelope.id),
        "status": str(status),
        "name": envelope.name,
        "reference": envelope.external_reference,
        "provider": envelope.provider or "",
        "sender_id": envelope.sender_id,
    }


def recipient_summary(recipient: StoredRecipient, status: RecipientStatus) -> dict[str, Json]:
    return {
        "id": print_id(Kind.RECIPIENT, recipient.id),
        "name": recipient.name,
        "email": recipient.email,
        "role": recipient.role,
        "routing_order": recipient.routing_order,
        "status": str(status),
    }


def _reason(reason: str, actor: Actor) -> tuple[Personal, ...]:
    # Free text that people write names people: it is sealed under the key of whoever wrote it.
    if not reason:
        return ()
    return (Personal("reason", actor.email.lower() or f"{actor.type}:{actor.id}", reason),)
