"""Takes an envelope in, and sends it if it is to be sent: one transaction, once per reference."""

from uuid import UUID

from config.database import Transaction
from engine.engine import Engine
from engine.envelopes.commit import commit_told
from engine.envelopes.insert import insert_envelope
from engine.envelopes.prepare import prepare_envelope
from engine.envelopes.send import send_locked
from normalizer.envelope import Envelope

_FIND = "SELECT id FROM engine_envelopes WHERE tenant_id = $1 AND connection_id = $2 AND reference = $3"


async def create_envelope(engine: Engine, connection_id: UUID, envelope: Envelope, *, send: bool) -> UUID:
    """The engine's id. A reference that is known leads to what the first create made, and nothing is made.

    Raises ValidationFailed for a document or an anchor that cannot be used, StoreUnavailable.
    """
    tenant_id = envelope.tenant_id
    async with engine.database.transaction(tenant_id) as tx:
        known: UUID | None = await tx.driver.fetchval(_FIND, tenant_id, connection_id, envelope.reference)
    if known is not None:
        return known
    prepared = await prepare_envelope(engine, engine.ids.new(), connection_id, envelope)
    async with engine.database.transaction(tenant_id) as tx:
        if not await insert_envelope(tx, prepared):
            return await _first(tx, prepared.tenant_id, connection_id, envelope.reference)
        if send:
            await send_locked(engine, tx, prepared)
        await commit_told(tx)
    return prepared.id


async def _first(tx: Transaction, tenant_id: UUID, connection_id: UUID, reference: str) -> UUID:
    """Two creates of one reference at once: the other one was first, and has committed."""
    own: UUID = await tx.driver.fetchval(_FIND, tenant_id, connection_id, reference)
    return own
