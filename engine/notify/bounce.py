"""A mailbox that was refused for good is a recipient who cannot be reached: the envelope knows it, and the gateway
is told. Only of the person who still stands there under that address, and only while the envelope is open.
"""

from uuid import UUID

from config.database import Transaction
from engine.engine import Engine
from engine.envelopes.changes import change_recipient
from engine.envelopes.report import Word, happening, tell
from engine.model import EngineEnvelope
from normalizer.status import RecipientStatus

_REASON = "The mail server of the address refused it."


async def note_bounce(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient_id: UUID, address: str
) -> EngineEnvelope:
    """`envelope` is locked. Somebody who has opened the envelope already was reached, whatever a mail did."""
    found = [one for one in envelope.recipients if one.id == recipient_id]
    if not envelope.status.is_open or not found:
        return envelope
    recipient = found[0]
    if recipient.status is not RecipientStatus.SENT or recipient.email.lower() != address.lower():
        return envelope
    envelope = await change_recipient(tx, envelope, recipient_id, {"status": RecipientStatus.BOUNCED})
    fact = happening(
        engine,
        envelope,
        Word.RECIPIENT_BOUNCED,
        recipient,
        status=RecipientStatus.BOUNCED,
        reason=_REASON,
    )
    await tell(engine, tx, envelope, (fact,))
    return envelope
