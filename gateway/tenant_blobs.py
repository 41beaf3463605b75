"""The blob store bound to one tenant: what an executor may read and write during a provider call."""

from collections.abc import AsyncIterator
from uuid import UUID

from config.blobs import BlobStore


class TenantBlobs:
    """A BlobSource of the adapters' port."""

    def __init__(self, blobs: BlobStore, tenant_id: UUID) -> None:
        self._blobs = blobs
        self._tenant_id = tenant_id

    def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        return self._blobs.open(self._tenant_id, key, offset)

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        stored = await self._blobs.put(self._tenant_id, chunks)
        return stored.key, stored.sha256, stored.size
