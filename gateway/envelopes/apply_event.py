"""Applies one event of a provider's webhook to the envelope that it is about.

Matches by the provider's id, else by our reference, which also settles a dispatch whose outcome was unknown.
Where the message is not signed strongly enough for an ending, or is doubted for another reason, the provider is asked
before anything moves, within the limits of its polling. What contradicts what was sent has no effect at all.
"""

from functools import partial
from uuid import UUID

import msgspec

from adapters.kit.outcome import Done, Outcome, Rejected
from config.database import Transaction
from gateway.envelopes.apply_report import apply_report, find_recipient
from gateway.envelopes.compare_event import compare_account, compare_event, compare_reference
from gateway.envelopes.facts import envelope_event, recipient_event
from gateway.envelopes.look import look
from gateway.envelopes.model import DispatchState, StoredEnvelope, StoredRecipient
from gateway.envelopes.outgoing import epoch_of_reference
from gateway.envelopes.references import envelope_of_reference
from gateway.envelopes.store import change_recipient, load_envelope, lock_envelope
from gateway.services import Services
from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport, RecipientReport
from normalizer.events import Actor, ActorType, Event, ProviderEvent, Source
from normalizer.status import EnvelopeStatus, RecipientStatus, advance_recipient
from normalizer.vocabulary import LEDGER_TYPE_OF, EventType, LedgerType
from webhooks.inbound.message import Difference
from webhooks.inbound.ports import ClaimFact, Effect, Happened, Trust

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
    trust: Trust,
    claim: ClaimFact,
) -> Happened:
    """One transaction; before it one provider call where the message alone does not prove what it says.

    `claim` writes first into that transaction that the fact is known, so that no redelivery repeats its effect.
    """
    envelope_id = await services.database.fetchval(
        "SELECT match_envelope($1, $2, $3, $4)",
        tenant_id,
        connection_id,
        event.provider_ref,
        envelope_of_reference(event.reference),
    )
    differences = () if trust.is_released else compare_account(event, trust.account)
    if differences:
        return Happened(Effect.QUARANTINED, envelope_id, differences)
    if envelope_id is None:
        is_twin = await _note_twin(services, tenant_id, connection_id, event)
        return Happened(Effect.NOTHING_NEW if is_twin else Effect.UNMATCHED)
    report = _told(event)
    write = partial(_write, services, tenant_id, envelope_id, event, source, trust, claim)
    if not trust.is_doubtful and not (event.confirm and report.status.is_terminal):
        return await write(report)
    envelope = await _to_confirm(services, tenant_id, envelope_id, event, trust)
    if isinstance(envelope, Happened):
        return envelope
    async with look(services, envelope) as outcome:
        confirmed = _confirmed(envelope, trust, outcome)
        if isinstance(confirmed, Happened):
            return confirmed
        return await write(confirmed if trust.is_doubtful else _merged(confirmed, report))


async def _write(
    services: Services,
    tenant_id: UUID,
    envelope_id: UUID,
    event: ProviderEvent,
    source: Source,
    trust: Trust,
    claim: ClaimFact,
    report: EnvelopeReport,
) -> Happened:
    actor = Actor(type=ActorType.PROVIDER, id=source.provider, ip_address="")
    async with services.database.transaction(tenant_id) as tx:
        if not await claim(tx):
            return Happened(Effect.ALREADY_SEEN, envelope_id)
        envelope = await lock_envelope(tx, tenant_id, envelope_id)
        differences = await _differences(tx, envelope, event, trust)
        if differences:
            return Happened(Effect.QUARANTINED, envelope_id, differences)  # the fact is rolled back too
        envelope, settled = await _settle(
            services, tx, envelope, event, actor, source, is_draft=report.status is EnvelopeStatus.DRAFT
        )
        # The provider confirms where an envelope stands, not what happened on the way.
        happened = [] if trust.is_doubtful else await _happening(services, tx, envelope, event, actor, source)
        applied = await apply_report(
            services, tx, envelope, report, actor, source, extra=[*settled, *happened]
        )
        await tx.commit()
    return Happened(Effect.APPLIED if applied.events else Effect.NOTHING_NEW, envelope_id)


async def _differences(
    tx: Transaction, envelope: StoredEnvelope, event: ProviderEvent, trust: Trust
) -> tuple[Difference, ...]:
    """Without those that an administrator has accepted for this envelope."""
    if trust.is_own or trust.is_released:
        return ()
    found = compare_event(envelope, event)
    if not found:
        return ()
    rows = await tx.driver.fetch(
        "SELECT code FROM inbox_accepted_findings WHERE tenant_id = $1 AND envelope_id = $2",
        envelope.tenant_id,
        envelope.id,
    )
    accepted = {row["code"] for row in rows}
    return tuple(one for one in found if one.code not in accepted)


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
                ip_address=event.ip_address,
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


async def _to_confirm(
    services: Services, tenant_id: UUID, envelope_id: UUID, event: ProviderEvent, trust: Trust
) -> StoredEnvelope | Happened:
    """The envelope that its provider must be asked about; or what becomes of the event without a question."""
    async with services.database.transaction(tenant_id) as tx:
        envelope = await load_envelope(tx, tenant_id, envelope_id)
        differences = await _differences(tx, envelope, event, trust)
    if differences:
        return Happened(Effect.QUARANTINED, envelope_id, differences)
    if envelope.status.is_terminal and not trust.is_doubtful:
        # It has ended here by an answer of the provider's: another message of the end moves nothing, and to ask
        # again would have to wait for the provider's interval.
        return Happened(Effect.NOTHING_NEW, envelope_id)
    if envelope.provider_ref is None:
        return msgspec.structs.replace(envelope, provider_ref=event.provider_ref)
    return envelope


def _confirmed(
    envelope: StoredEnvelope, trust: Trust, outcome: Outcome[EnvelopeReport] | None
) -> EnvelopeReport | Happened:
    """The provider's own answer; or what becomes of the event without one."""
    if trust.is_doubtful and isinstance(outcome, Rejected) and outcome.code == "not_found":
        # A definite answer: to ask again would never end, and nobody could give the message up meanwhile.
        gone = Difference("unknown_to_provider", "The provider does not know the envelope.")
        return Happened(Effect.QUARANTINED, envelope.id, (gone,))
    if not isinstance(outcome, Done):
        return Happened(Effect.UNCONFIRMED, envelope.id)
    differences = compare_reference(envelope, outcome.value.reference)
    return Happened(Effect.QUARANTINED, envelope.id, differences) if differences else outcome.value


def _merged(confirmed: EnvelopeReport, told: EnvelopeReport) -> EnvelopeReport:
    """What the provider answers; and where that is the end that was told, the words of the message with it."""
    if confirmed.status is not told.status:
        return confirmed
    return msgspec.structs.replace(
        confirmed,
        reason=confirmed.reason or told.reason,
        recipients=(*confirmed.recipients, *told.recipients),
    )


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
    is_failure = event.type is EventType.RECIPIENT_AUTH_FAILED
    if event.type is None or (event.type not in _HAPPENINGS and not is_failure):
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
    if is_failure and advance_recipient(recipient.status, RecipientStatus.AUTH_FAILED) != recipient.status:
        return []  # the first failure moves the status, and that is recorded; every further one is recorded here
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
