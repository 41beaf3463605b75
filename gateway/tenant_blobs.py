"""The blob store bound to one tenant: what an executor may read and write during a provider call."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from config.blobs import BlobStore


class TenantBlobs:
    """A BlobSource of the adapters' port. `at_hand`: bytes by key that the request brought along and that need
    not be fetched and decrypted again.
    """

    def __init__(self, blobs: BlobStore, tenant_id: UUID, at_hand: Mapping[str, bytes] | None = None) -> None:
        self._blobs = blobs
        self._tenant_id = tenant_id
        self._at_hand = at_hand or {}

    def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        content = self._at_hand.get(key)
        return self._blobs.open(self._tenant_id, key, offset) if content is None else _once(content[offset:])

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        stored = await self._blobs.put(self._tenant_id, chunks)
        return stored.key, stored.sha256, stored.size


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
