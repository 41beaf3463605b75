"""Documents between the blob store and a private folder, in which they lie in clear while they are sealed.

The folder is readable by this user alone and is removed whatever happens.
"""

import asyncio
import hashlib
import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from config.blobs import BlobStore, StoredBlob
from config.errors import BlobDamaged, BlobNotFound, StoreUnavailable
from engine.model import EngineEnvelope
from engine.sealing.errors import SealingFailed, SealTrouble

logger = logging.getLogger(__name__)

_CHUNK = 1024 * 1024


@asynccontextmanager
async def private_folder() -> AsyncIterator[Path]:
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="countersign-seal-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def fetch_file(blobs: BlobStore, tenant_id: UUID, key: str, sha256: str, target: Path) -> None:
    """Raises SealingFailed: when the store is away, and when the bytes are not those that were shown."""
    digest = hashlib.sha256()
    try:
        with target.open("wb") as file:
            async for chunk in blobs.open(tenant_id, key):
                digest.update(chunk)
                file.write(chunk)
    except StoreUnavailable as error:
        raise SealingFailed(SealTrouble.STORE_UNAVAILABLE, "the blob store does not answer") from error
    except (BlobDamaged, BlobNotFound) as error:
        raise SealingFailed(SealTrouble.DOCUMENT_DAMAGED, "a stored document is damaged or gone") from error
    if digest.hexdigest() != sha256:
        raise SealingFailed(SealTrouble.DOCUMENT_CHANGED, "a stored document is not the one that was shown")


async def fetch_pictures(
    blobs: BlobStore, envelope: EngineEnvelope, wanted: Collection[UUID | None]
) -> dict[UUID, bytes]:
    """The drawn signatures by their ids; None among the wanted is passed over. Raises SealingFailed."""
    used = {one for one in wanted if one is not None}
    pictures: dict[UUID, bytes] = {}
    async with private_folder() as folder:
        for mark in envelope.signatures:
            if mark.id in used:
                file = folder / "picture.png"
                await fetch_file(blobs, envelope.tenant_id, mark.blob_key, mark.sha256, file)
                pictures[mark.id] = await asyncio.to_thread(file.read_bytes)
    if used - pictures.keys():
        raise SealingFailed(SealTrouble.DOCUMENT_DAMAGED, "a field's signature is not there")
    return pictures


async def store_file(blobs: BlobStore, tenant_id: UUID, source: Path) -> StoredBlob:
    """Raises SealingFailed when the store is away; then nothing is left behind."""
    try:
        return await blobs.put(tenant_id, _chunks(source))
    except StoreUnavailable as error:
        raise SealingFailed(SealTrouble.STORE_UNAVAILABLE, "the blob store does not answer") from error


async def forget_files(blobs: BlobStore, tenant_id: UUID, keys: Iterable[str]) -> None:
    """Removes what is not used (any more); what cannot be removed now only lies there. Raises nothing."""
    for key in keys:
        try:
            await blobs.delete(tenant_id, key)
        except Exception:  # a courtesy: it must not turn what was done before it into a failure
            logger.warning("a file that is not used remains: %s", key, exc_info=True)


async def _chunks(source: Path) -> AsyncIterator[bytes]:
    with source.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
