"""Who is about to change something, asked on the locked envelope: the session still stands, and everything is proved.

The page asked the same before it read the request's body; a body may come slowly, and meanwhile the envelope was
corrected or handed over, the session was left, or the deadline has passed. Must begin every change of a ceremony's.
"""

from config.database import Transaction
from engine.ceremony.refusals import AuthenticationNeeded, SessionOver
from engine.ceremony.sessions import Session, lock_passed
from engine.engine import Engine
from engine.envelopes.act import check_deadline, check_turn
from engine.model import EngineEnvelope, EngineRecipient
from engine.store import lock_envelope


async def lock_reader(
    engine: Engine, tx: Transaction, session: Session
) -> tuple[EngineEnvelope, EngineRecipient]:
    """The locked envelope and its reader, who has proved everything that is asked. Raises SessionOver for a session
    that has ended since the request came, AuthenticationNeeded.
    """
    envelope = await lock_envelope(tx, session.tenant_id, session.engine_id)
    recipient = envelope.recipient(session.recipient_id)
    passed = await lock_passed(engine, tx, session)
    if not passed:
        raise SessionOver
    if any(method not in passed for method in recipient.authentication):
        raise AuthenticationNeeded
    return envelope, recipient


async def lock_turn(
    engine: Engine, tx: Transaction, session: Session, wanted: str
) -> tuple[EngineEnvelope, EngineRecipient]:
    """As lock_reader, of somebody who may act now. Raises InvalidTransition out of turn or when it is over."""
    envelope, recipient = await lock_reader(engine, tx, session)
    check_turn(envelope, recipient, wanted)
    check_deadline(engine, envelope, wanted)
    return envelope, recipient
