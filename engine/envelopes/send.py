"""Sends a draft: from here on people are asked, in turn."""

from uuid import UUID

from config.database import Transaction
from engine.engine import Engine
from engine.envelopes.ask import ask_due
from engine.envelopes.changes import change_envelope
from engine.envelopes.commit import commit_told
from engine.envelopes.report import Word, happening, tell
from engine.model import EngineEnvelope, EngineStatus
from engine.store import lock_envelope
from normalizer.errors import InvalidTransition


async def send_envelope(engine: Engine, tenant_id: UUID, engine_id: UUID) -> EngineEnvelope:
    """Raises NotFound, InvalidTransition for what is no draft any more."""
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        envelope = await send_locked(engine, tx, envelope)
        await commit_told(tx)
    return envelope


async def send_locked(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> EngineEnvelope:
    """As send_envelope, in the caller's transaction; the caller commits."""
    if envelope.status is not EngineStatus.DRAFT:
        raise InvalidTransition(envelope.status, EngineStatus.SENT)
    changes = {"status": EngineStatus.SENT, "sent_at": engine.clock.now()}
    envelope = await change_envelope(tx, envelope, changes)
    sent = happening(engine, envelope, Word.ENVELOPE_SENT)
    envelope, asked = await ask_due(engine, tx, envelope)
    await tell(engine, tx, envelope, (sent, *asked))
    return envelope


async def ask_next(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> EngineEnvelope:
    """Asks whoever's turn it has become in a locked envelope, and tells the gateway."""
    envelope, asked = await ask_due(engine, tx, envelope)
    await tell(engine, tx, envelope, asked)
    return envelope
