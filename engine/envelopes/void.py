"""Takes an envelope back: a draft is discarded in silence, one under way is voided and those asked are told."""

from uuid import UUID

from engine.engine import Engine
from engine.envelopes.commit import commit_told
from engine.envelopes.end import end_envelope
from engine.model import EngineEnvelope, EngineStatus
from engine.store import lock_envelope
from normalizer.errors import InvalidTransition

_DISCARDED = "Discarded before it was sent."


async def void_envelope(engine: Engine, tenant_id: UUID, engine_id: UUID, reason: str) -> EngineEnvelope:
    """Raises NotFound; InvalidTransition when it has ended, or when everybody has signed already."""
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        if envelope.status not in {EngineStatus.SENT, EngineStatus.DRAFT}:
            raise InvalidTransition(envelope.status, EngineStatus.VOIDED)
        envelope = await end_envelope(
            engine, tx, envelope, EngineStatus.VOIDED, reason=reason, by=envelope.sender_name
        )
        await commit_told(tx)
    return envelope


async def discard_draft(engine: Engine, tenant_id: UUID, engine_id: UUID) -> None:
    """Raises NotFound, InvalidTransition for an envelope that was sent. Discarding twice is no error."""
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        if envelope.status is EngineStatus.VOIDED and envelope.sent_at is None:
            return
        if envelope.status is not EngineStatus.DRAFT:
            raise InvalidTransition(envelope.status, EngineStatus.VOIDED, "Only a draft is discarded.")
        await end_envelope(engine, tx, envelope, EngineStatus.VOIDED, reason=_DISCARDED)
        await commit_told(tx)
