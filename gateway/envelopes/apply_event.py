"""Applies one event of a provider's webhook to the envelope that it is about.

Matches by the provider's id, else by our reference, which also settles a dispatch whose outcome was unknown.
Where the message is not signed strongly enough for an ending, the provider is asked before anything moves.
"""

from uuid import UUID

import msgspec

from adapters.kit.outcome import Done
from config.database import Transaction
from gateway.envelopes.apply_report import apply_report, find_recipient
from gateway.envelopes.facts import envelope_event, recipient_event
from gateway.envelopes.model import DispatchState, StoredEnvelope, StoredRecipient
from gateway.envelopes.outgoing import epoch_of_reference
from gateway.envelopes.provider_call import call_provider
from gateway.envelopes.store import change_recipient, load_envelope, lock_envelope
from gateway.services import Services
from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport, RecipientReport
from normalizer.errors import NotFound
from normalizer.events import Actor, ActorType, Event, ProviderEvent, Source
from normalizer.ids import Kind, read_id
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import LEDGER_TYPE_OF, EventType, LedgerType
from webhooks.inbound.ports import ClaimFact, Effect

# Facts that change no status; each is recorded as often as it happens.
_HAPPENINGS = frozenset(
    {
        EventType.ENVELOPE_CORRECTED,
        EventType.ENVELOPE_RESENT,
        EventType.ENVELOPE_REMINDED,
        EventType.ENVELOPE_PURGED,
        EventType.ENVELOPE_DELETED,
        EventType.RECIPIENT_AUTHENTICATED,
        EventType.RECIPIENT_DELEGATED,
        EventType.RECIPIENT_REPLACED,
    }
)
# What we do ourselves comes back as a webhook: one fact, one entry.
_ECHOES = frozenset({EventType.ENVELOPE_CORRECTED, EventType.ENVELOPE_RESENT, EventType.RECIPIENT_REPLACED})
_HANDED_ON = frozenset({EventType.RECIPIENT_DELEGATED, EventType.RECIPIENT_REPLACED})
_ECHO_WINDOW = "10 minutes"


async def apply_provider_event(
    services: Services,
    tenant_id: UUID,
    connection_id: UUID,
    event: ProviderEvent,
    source: Source,
    claim: ClaimFact,
) -> Effect:
    """One transaction; with `event.confirm` and an ending, one provider call before it.

    `claim` writes first into that transaction that the fact is known, so that no redelivery repeats its effect.
    """
    envelope_id = await services.database.fetchval(
        "SELECT match_envelope($1, $2, $3, $4)",
        tenant_id,
        connection_id,
        event.provider_ref,
        envelope_of_reference(event.reference),
    )
    if envelope_id is None:
        is_twin = await _note_twin(services, tenant_id, connection_id, event)
        return Effect.NOTHING_NEW if is_twin else Effect.UNMATCHED
    report = _told(event)
    if event.confirm and report.status.is_terminal:
        confirmed = await _confirm(services, tenant_id, envelope_id, event)
        if confirmed is None:
            return Effect.UNCONFIRMED
        report = msgspec.structs.replace(
            confirmed,
            reason=confirmed.reason or report.reason,
            recipients=(*confirmed.recipients, *report.recipients),
        )
    actor = Actor(type=ActorType.PROVIDER, id=source.provider, ip_address="")
    async with services.database.transaction(tenant_id) as tx:
        if not await claim(tx):
            return Effect.ALREADY_SEEN
        envelope = await lock_envelope(tx, tenant_id, envelope_id)
        envelope, settled = await _settle(
            services, tx, envelope, event, actor, source, is_draft=report.status is EnvelopeStatus.DRAFT
        )
        happened = await _happening(services, tx, envelope, event, actor, source)
        applied = await apply_report(
            services, tx, envelope, report, actor, source, extra=[*settled, *happened]
        )
        await tx.commit()
    return Effect.APPLIED if applied.events else Effect.NOTHING_NEW


async def _note_twin(services: Services, tenant_id: UUID, connection_id: UUID, event: ProviderEvent) -> bool:
    """Another try of an envelope that has been settled since: the sweep clears away what it made."""
    own = envelope_of_reference(event.reference)
    if own is None:
        return False
    is_twin: bool = await services.database.fetchval(
        "SELECT note_twin($1, $2, $3, $4, $5)",
        tenant_id,
        own,
        connection_id,
        epoch_of_reference(event.reference),
        event.provider_ref,
    )
    return is_twin


def envelope_of_reference(reference: str) -> UUID | None:
    """Our envelope's id out of a client reference (env_..._2); None when it is not one of ours."""
    printed, _, epoch = reference.rpartition("_")
    if not epoch.isdecimal():
        return None
    try:
        return read_id(Kind.ENVELOPE, printed)
    except NotFound:
        return None


def _told(event: ProviderEvent) -> EnvelopeReport:
    """What the event says, as a report: its own view when it brought one, with the event's facts added."""
    about: tuple[RecipientReport, ...] = ()
    if event.recipient_status is not None:
        about = (
            RecipientReport(
                status=event.recipient_status,
                email=event.recipient_email,
                provider_ref=event.recipient_ref,
                recipient_id=event.recipient_id,
                at=event.occurred_at,
                reason=event.reason if event.recipient_status is RecipientStatus.DECLINED else "",
            ),
        )
    seen = event.report
    reported = [status for status in (event.status, seen.status if seen else None) if status is not None]
    ends = [status for status in reported if status.is_terminal]
    status = (ends or reported or [EnvelopeStatus.UNKNOWN])[0]
    return EnvelopeReport(
        provider_ref=event.provider_ref,
        status=status,
        provider_status=seen.provider_status if seen else "",
        changed_at=event.occurred_at,
        reason=event.reason or (seen.reason if seen else ""),
        # The event's own recipient first: its moment is exact, the view's is not.
        recipients=(*about, *(seen.recipients if seen else ())),
    )


async def _confirm(
    services: Services, tenant_id: UUID, envelope_id: UUID, event: ProviderEvent
) -> EnvelopeReport | None:
    envelope = await load_envelope(services.database, tenant_id, envelope_id)
    if envelope.provider_ref is None:
        envelope = msgspec.structs.replace(envelope, provider_ref=event.provider_ref)
    outcome = await call_provider(
        services,
        envelope,
        "get_envelope",
        lambda adapter, exchange, connection, ref: adapter.get_envelope(exchange, connection, ref),
    )
    return outcome.value if isinstance(outcome, Done) else None


async def _settle(
    services: Services,
    tx: Transaction,
    envelope: StoredEnvelope,
    event: ProviderEvent,
    actor: Actor,
    source: Source,
    *,
    is_draft: bool,
) -> tuple[StoredEnvelope, list[Event]]:
    """A message that carries our reference, or an id that we know already, answers the question that a lost
    response left open. A draft is no answer: it is not known whether it will be sent.
    """
    is_open = envelope.dispatch_state in {DispatchState.CREATING, DispatchState.UNKNOWN}
    is_ours = event.provider_ref == envelope.provider_ref or (
        1 <= epoch_of_reference(event.reference) <= envelope.dispatch_epoch
    )
    if not is_open or not is_ours or is_draft:
        return envelope, []
    await tx.driver.execute(
        "SELECT adopt_provider_ref($1, $2, $3)", envelope.tenant_id, envelope.id, event.provider_ref
    )
    settled = msgspec.structs.replace(
        envelope, dispatch_state=DispatchState.SETTLED, provider_ref=event.provider_ref
    )
    if envelope.dispatch_state == DispatchState.CREATING:
        return settled, []  # our own call has not come back yet: nothing was ever unknown
    facts: dict[str, Json] = {
        "provider_ref": event.provider_ref,
        "by": "webhook",
        "attempt": epoch_of_reference(event.reference) or envelope.dispatch_epoch,
    }
    return settled, [
        envelope_event(services, LedgerType.DISPATCH_RECONCILED, settled, actor, source, facts=facts)
    ]


async def _happening(
    services: Services,
    tx: Transaction,
    envelope: StoredEnvelope,
    event: ProviderEvent,
    actor: Actor,
    source: Source,
) -> list[Event]:
    if event.type not in _HAPPENINGS or event.type is None:
        return []
    if event.type in _ECHOES and await _is_echo(tx, envelope, event.type):
        return []
    kind = LEDGER_TYPE_OF[event.type]
    facts: dict[str, Json] = {"provider": source.provider, "provider_event": event.provider_event}
    if not event.type.startswith("recipient."):
        return [
            envelope_event(
                services, kind, envelope, actor, source, facts=facts, occurred_at=event.occurred_at
            )
        ]
    told = RecipientReport(
        status=RecipientStatus.UNKNOWN,
        email=event.recipient_email,
        provider_ref=event.recipient_ref,
        recipient_id=event.recipient_id,
    )
    recipient = find_recipient(envelope.recipients, told)
    if recipient is None:
        return []
    if event.type in _HANDED_ON and not recipient.status.is_terminal:
        recipient = await _put_successor(tx, envelope, recipient, event)
    return [
        recipient_event(
            services,
            kind,
            envelope,
            recipient,
            actor,
            source,
            facts=facts,
            occurred_at=event.occurred_at,
            reason=event.reason,
        )
    ]


async def _put_successor(
    tx: Transaction, envelope: StoredEnvelope, recipient: StoredRecipient, event: ProviderEvent
) -> StoredRecipient:
    """Somebody else is asked in this place now: what the former person did does not count for them."""
    name = event.new_recipient_name[:100] or recipient.name
    email = event.new_recipient_email[:200] or recipient.email
    changes = {"name": name, "email": email, "status": str(RecipientStatus.SENT), "delivered_at": None}
    await change_recipient(tx, envelope.tenant_id, recipient.id, changes)
    return msgspec.structs.replace(recipient, name=name, email=email, status=RecipientStatus.SENT)


async def _is_echo(tx: Transaction, envelope: StoredEnvelope, kind: EventType) -> bool:
    found: bool = await tx.driver.fetchval(
        "SELECT EXISTS (SELECT 1 FROM outbox_events WHERE tenant_id = $1 AND envelope_id = $2 AND type = $3"
        f" AND created_at > clock_timestamp() - interval '{_ECHO_WINDOW}')",
        envelope.tenant_id,
        envelope.id,
        str(kind),
    )
    return found
