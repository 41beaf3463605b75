"""Keeps authentic messages: many at once in one statement, each durable before its answer goes out.

While one batch commits, what arrives meanwhile becomes the next: nobody waits for a timer, and a burst costs
few commits. Must never let a caller go on before its own bytes are committed.
"""

import asyncio
import hashlib
from collections import deque
from uuid import UUID

import msgspec

from adapters.kit.port import RawRequest
from config.database import Database
from config.vault import Place, Vault
from normalizer.ids import Ids
from webhooks.inbound.message import TABLE, Verification
from webhooks.inbound.ports import Sender

_KEEP = "SELECT digest, connection_id, id FROM keep_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
_MOST = 64
_MOST_BYTES = 8_388_608
_AT_ONCE = 2  # a second batch fills while the first commits; more only make batches smaller


class Kept(msgspec.Struct, frozen=True):
    """`fresh` False: these bytes were kept before, under this id, and have been counted."""

    id: UUID
    fresh: bool


class _Waiting(msgspec.Struct, frozen=True):
    id: UUID
    sender: Sender
    headers: bytes
    body: bytes
    digest: bytes
    size: int
    verification: Verification
    kept: asyncio.Future[Kept]


class MessageKeeper:
    def __init__(self, hub: Database, vault: Vault, ids: Ids) -> None:
        self._hub = hub
        self._vault = vault
        self._ids = ids
        self._queue: deque[_Waiting] = deque()
        self._writing = 0
        self._writers: set[asyncio.Task[None]] = set()

    async def keep(self, sender: Sender, request: RawRequest, verification: Verification) -> Kept:
        """Returns when the message is durable. Raises StoreUnavailable when it is not known to be."""
        message_id = self._ids.new()
        waiting = _Waiting(
            message_id,
            sender,
            await self._seal(sender, "headers", message_id, msgspec.json.encode(request.headers)),
            await self._seal(sender, "body", message_id, request.body),
            hashlib.sha256(request.body).digest(),
            len(request.body),
            verification,
            asyncio.get_running_loop().create_future(),
        )
        self._queue.append(waiting)
        if self._writing < _AT_ONCE:
            self._writing += 1
            writer = asyncio.create_task(self._write())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        return await waiting.kept

    async def aclose(self) -> None:
        """Waits for what is being written."""
        while self._writers:
            await asyncio.wait(set(self._writers))

    async def _seal(self, sender: Sender, column: str, message_id: UUID, plain: bytes) -> bytes:
        return await self._vault.encrypt(self._hub, sender.tenant_id, Place(TABLE, column, message_id), plain)

    async def _write(self) -> None:
        try:
            while self._queue:
                batch = self._take()
                try:
                    await self._insert(batch)
                except Exception as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
                    for waiting in batch:
                        if not waiting.kept.done():
                            waiting.kept.set_exception(error)
        finally:
            # In the same step in which the queue was seen empty: what comes next starts a writer of its own.
            self._writing -= 1

    def _take(self) -> list[_Waiting]:
        batch, total = [self._queue.popleft()], 0
        while self._queue and len(batch) < _MOST:
            total += self._queue[0].size
            if total > _MOST_BYTES:
                break
            batch.append(self._queue.popleft())
        return batch

    async def _insert(self, batch: list[_Waiting]) -> None:
        # The same bytes twice within a batch: one row, counted twice.
        firsts: dict[tuple[UUID, bytes], _Waiting] = {}
        times: dict[tuple[UUID, bytes], int] = {}
        for waiting in batch:
            key = (waiting.sender.connection_id, waiting.digest)
            firsts.setdefault(key, waiting)
            times[key] = times.get(key, 0) + 1
        rows = list(firsts.values())
        kept = await self._hub.fetch(
            _KEEP,
            [row.sender.tenant_id for row in rows],
            [row.id for row in rows],
            [row.sender.connection_id for row in rows],
            [row.sender.adapter.name for row in rows],
            [row.headers for row in rows],
            [row.body for row in rows],
            [row.digest for row in rows],
            [row.size for row in rows],
            [row.verification.key_index for row in rows],
            list(times.values()),
            [msgspec.json.encode(row.verification).decode() for row in rows],
        )
        ids = {(row["connection_id"], row["digest"]): row["id"] for row in kept}
        for waiting in batch:
            own = ids[(waiting.sender.connection_id, waiting.digest)]
            if not waiting.kept.done():  # its caller may have gone
                waiting.kept.set_result(Kept(own, fresh=own == waiting.id))
