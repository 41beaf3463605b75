"""Keeps the reports of the in-process engine: they come in like an authentic provider's webhook, but in the
transaction of the change they tell of, so that neither exists without the other.

Must never be reachable over HTTP: there is no signature here, because nobody but our own code can call it.
"""

import hashlib
from collections.abc import Callable
from uuid import UUID

from config.database import Transaction
from config.vault import Place, Vault
from normalizer.ids import Ids
from webhooks.inbound.message import TABLE

_PUT = "SELECT put_engine_message($1, $2, $3, $4, $5, $6, $7, $8)"
_NO_HEADERS = b"[]"


class InboxEmitter:
    """An EmitEvent (engine/ports.py). `wake` asks a worker to look; it runs after the commit."""

    def __init__(self, provider: str, vault: Vault, ids: Ids, wake: Callable[[], None]) -> None:
        self._provider = provider
        self._vault = vault
        self._ids = ids
        self._wake = wake

    async def __call__(self, tx: Transaction, connection_id: UUID, body: bytes) -> None:
        """Raises ValueError for a transaction of no tenant, or a connection that is not the engine's."""
        if tx.tenant_id is None:
            raise ValueError("a report belongs to a tenant: the transaction must be one's")
        tenant_id, own = tx.tenant_id, self._ids.new()
        kept = await tx.driver.fetchval(
            _PUT,
            tenant_id,
            own,
            connection_id,
            self._provider,
            await self._vault.encrypt(tx, tenant_id, Place(TABLE, "headers", own), _NO_HEADERS),
            await self._vault.encrypt(tx, tenant_id, Place(TABLE, "body", own), body),
            hashlib.sha256(body).digest(),
            len(body),
        )
        if not kept:
            raise ValueError("a report was about a connection that is not the engine's")
        tx.on_commit(self._ring)

    async def _ring(self) -> None:
        self._wake()
