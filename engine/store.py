"""Reads the engine's envelope from its tables: one statement, whatever the number of its parts.

A row becomes a struct here and nowhere else. The SQL is in gateway/migrations/sql/0002_10_engine.sql.
"""

from uuid import UUID

import msgspec

from config.database import Database, Transaction
from engine.model import EngineEnvelope
from normalizer.errors import NotFound
from normalizer.ids import Kind

_decoder = msgspec.json.Decoder(EngineEnvelope)


async def load_envelope(store: Database | Transaction, tenant_id: UUID, engine_id: UUID) -> EngineEnvelope:
    """Raises NotFound, also for another tenant's envelope."""
    source = store.driver if isinstance(store, Transaction) else store
    return _decode(
        await source.fetchval("SELECT load_engine_envelope($1, $2, false)", tenant_id, engine_id), engine_id
    )


async def lock_envelope(tx: Transaction, tenant_id: UUID, engine_id: UUID) -> EngineEnvelope:
    """As load_envelope, and nobody else changes it until this transaction ends: two tabs, two recipients and
    the sweeps take turns.
    """
    return _decode(
        await tx.driver.fetchval("SELECT load_engine_envelope($1, $2, true)", tenant_id, engine_id), engine_id
    )


def _decode(row: str | None, engine_id: UUID) -> EngineEnvelope:
    if row is None:
        raise NotFound(Kind.ENVELOPE, str(engine_id))
    return _decoder.decode(row)
