"""Declining: with a reason, which ends the envelope for all. No consent is needed to say no."""

from engine.ceremony.reader import lock_reader
from engine.ceremony.refusals import FieldRefused
from engine.ceremony.sessions import Session
from engine.engine import Engine
from engine.envelopes.act import decline_recipient
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope

SHORTEST_REASON, LONGEST_REASON = 5, 500


async def decline(engine: Engine, session: Session, visitor: Visitor, reason: str) -> EngineEnvelope:
    """Raises FieldRefused for a reason that is too short or too long, InvalidTransition out of turn."""
    reason = clean_reason(reason)
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_reader(engine, tx, session)
        envelope = await decline_recipient(engine, tx, envelope, recipient, visitor, reason)
        await tx.commit()
    return envelope


def clean_reason(reason: str) -> str:
    """Raises FieldRefused."""
    reason = "".join(one for one in reason if one.isprintable() or one == "\n").strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise FieldRefused(
            "reason_length",
            f"A reason has {SHORTEST_REASON} to {LONGEST_REASON} characters.",
            where="reason",
            values={"least": str(SHORTEST_REASON), "most": str(LONGEST_REASON)},
        )
    return reason
