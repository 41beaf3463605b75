"""What the engine tells the gateway: the state of an envelope, and what has just happened to it.

One message per transaction, kept in the inbox with the change itself; it says everything that its reader
needs, so that nothing has to be asked for. Must never hold a link, a code or an answer.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from config.database import Transaction
from config.logging import log_wide
from engine.engine import Engine
from engine.envelopes.lineage import holders, place_of
from engine.envelopes.turn import whose_turn
from engine.model import EngineEnvelope, EngineRecipient, EngineStatus
from normalizer.envelope import EnvelopeReport, RecipientReport
from normalizer.ids import Kind, print_id
from normalizer.recipient import AuthenticationMethod
from normalizer.status import EnvelopeStatus, RecipientStatus


class Word(StrEnum):
    """What happened, in the engine's own words; the adapter maps every one."""

    ENVELOPE_SENT = "envelope_sent"
    ENVELOPE_COMPLETED = "envelope_completed"
    ENVELOPE_DECLINED = "envelope_declined"
    ENVELOPE_VOIDED = "envelope_voided"
    ENVELOPE_EXPIRED = "envelope_expired"
    RECIPIENT_ASKED = "recipient_asked"
    RECIPIENT_VIEWED = "recipient_viewed"
    RECIPIENT_FINISHED = "recipient_finished"
    RECIPIENT_DECLINED = "recipient_declined"
    RECIPIENT_DELEGATED = "recipient_delegated"
    RECIPIENT_REMINDED = "recipient_reminded"
    RECIPIENT_AUTHENTICATED = "recipient_authenticated"
    RECIPIENT_REFUSED = "recipient_refused"  # a wrong code, answer or verdict
    RECIPIENT_BOUNCED = "recipient_bounced"


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is the recipient's id at the gateway. `new_*` name who stands there from now on."""

    word: Word
    key: str
    at: datetime
    place: UUID | None = None
    email: str = ""
    status: RecipientStatus | None = None
    reason: str = ""
    ip_address: str = ""
    method: AuthenticationMethod | None = None
    new_name: str = ""
    new_email: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="engine", tag="message.v1"):
    engine_id: UUID
    reference: str
    happenings: tuple[Happening, ...]
    report: EnvelopeReport


# SENT is refined by what the recipients have done.
STATUS: dict[EngineStatus, EnvelopeStatus] = {
    EngineStatus.DRAFT: EnvelopeStatus.DRAFT,
    EngineStatus.SENT: EnvelopeStatus.SENT,
    # Everybody has finished, and nobody has a sealed document yet: "completed" is said when there is one.
    EngineStatus.SEALING: EnvelopeStatus.SIGNED,
    EngineStatus.COMPLETED: EnvelopeStatus.COMPLETED,
    EngineStatus.DECLINED: EnvelopeStatus.DECLINED,
    EngineStatus.VOIDED: EnvelopeStatus.VOIDED,
    EngineStatus.EXPIRED: EnvelopeStatus.EXPIRED,
}


def report_of(envelope: EngineEnvelope) -> EnvelopeReport:
    return EnvelopeReport(
        provider_ref=str(envelope.id),
        status=_status(envelope),
        provider_status=str(envelope.status),
        reference=envelope.reference,
        changed_at=envelope.ended_at or envelope.sent_at,
        reason=envelope.reason,
        recipients=tuple(_recipient(envelope, one) for one in holders(envelope.recipients)),
    )


def happening(
    engine: Engine,
    envelope: EngineEnvelope,
    word: Word,
    recipient: EngineRecipient | None = None,
    *,
    status: RecipientStatus | None = None,
    reason: str = "",
    ip_address: str = "",
    method: AuthenticationMethod | None = None,
    successor: EngineRecipient | None = None,
) -> Happening:
    """One thing that happens now; its key is its own, for a transaction tells it exactly once."""
    return Happening(
        word=word,
        key=engine.ids.new().hex,
        at=engine.clock.now(),
        place=place_of(envelope.recipients, recipient) if recipient else None,
        email=recipient.email if recipient else "",
        status=status,
        reason=reason,
        ip_address=ip_address,
        method=method,
        new_name=successor.name if successor else "",
        new_email=successor.email if successor else "",
    )


async def tell(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, happenings: Sequence[Happening]
) -> None:
    """`envelope` is the state after everything that happened."""
    if not happenings:
        return
    message = Message(
        engine_id=envelope.id,
        reference=envelope.reference,
        happenings=tuple(happenings),
        report=report_of(envelope),
    )
    await engine.emit(tx, envelope.connection_id, msgspec.json.encode(message))

    async def log() -> None:
        log_wide(
            "engine.changed",
            engine_id=str(envelope.id),
            envelope_id=print_id(Kind.ENVELOPE, envelope.envelope_id),
            outcome=str(envelope.status),
            happened=[str(one.word) for one in happenings],
        )

    tx.on_commit(log)


def _status(envelope: EngineEnvelope) -> EnvelopeStatus:
    if envelope.status is not EngineStatus.SENT:
        return STATUS[envelope.status]
    acting = [one for one in envelope.recipients if one.role.acts]
    if any(one.status is RecipientStatus.COMPLETED for one in acting):
        return EnvelopeStatus.SIGNED
    turn = whose_turn(envelope.recipients)
    if turn and all(one.status is RecipientStatus.DELIVERED for one in turn):
        return EnvelopeStatus.DELIVERED
    return EnvelopeStatus.SENT


def _recipient(envelope: EngineEnvelope, recipient: EngineRecipient) -> RecipientReport:
    place = place_of(envelope.recipients, recipient)
    return RecipientReport(
        status=recipient.status,
        email=recipient.email,
        name=recipient.name,
        provider_ref=str(recipient.id),
        recipient_id=place,
        routing_order=recipient.routing_order,
        at=recipient.completed_at or recipient.delivered_at or recipient.sent_at,
        reason=recipient.reason if recipient.status is RecipientStatus.DECLINED else "",
    )
