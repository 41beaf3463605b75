"""Asks those whose turn it is, and informs the carbon copies whose order is reached."""

from datetime import datetime, timedelta

from config.database import Transaction
from engine.engine import Engine
from engine.envelopes.changes import change_envelope, change_recipient
from engine.envelopes.letters import invite
from engine.envelopes.report import Happening, Word, happening
from engine.envelopes.turn import copies_due, whose_turn
from engine.model import EngineEnvelope
from normalizer.status import RecipientStatus


async def ask_due(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope
) -> tuple[EngineEnvelope, tuple[Happening, ...]]:
    """Everybody whose turn it is and who was not asked yet; the caller tells what happened."""
    now = engine.clock.now()
    fresh = tuple(one for one in whose_turn(envelope.recipients) if one.sent_at is None)
    asked = fresh + copies_due(envelope.recipients)
    told: list[Happening] = []
    for recipient in asked:
        changes = {"status": RecipientStatus.SENT, "sent_at": now}
        envelope = await change_recipient(tx, envelope, recipient.id, changes)
        told.append(happening(engine, envelope, Word.RECIPIENT_ASKED, recipient, status=RecipientStatus.SENT))
    if fresh:
        envelope = await change_envelope(tx, envelope, {"next_reminder_at": first_reminder(envelope, now)})
    await invite(engine, tx, envelope, tuple(envelope.recipient(one.id) for one in asked))
    return envelope, tuple(told)


def first_reminder(envelope: EngineEnvelope, asked_at: datetime) -> datetime | None:
    """Counted anew for each order: nobody is reminded of what they were asked a minute ago."""
    hours = envelope.reminder_first_hours
    return asked_at + timedelta(hours=hours) if hours else None
