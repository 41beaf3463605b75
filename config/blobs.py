"""Documents as objects: a local folder, S3, GCS or Azure by URL, encrypted with the tenant's data key.

An object is written under a random key while its SHA-256 and size are computed: they are known only at the
end, and the row that names the object keeps them. Its form is in config/blob_frames.py.
MUST leave no object behind when the stream ends with an error. Must never be called with a transaction open.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final
from uuid import UUID

import msgspec
import obstore.store

from config.blob_frames import FRAME_BYTES, HEAD_BYTES, TAG_BYTES, Opener, Sealer, key_id_of, make_head
from config.blob_objects import Objects, Upload
from config.blob_spool import Keeping, Spool, SpoolFull
from config.breaker import BreakerOptions, Breakers, Listener
from config.clock import Clock
from config.database import Database, assert_no_open_transaction
from config.errors import BlobDamaged, BlobNotFound, ConfigError, StoreUnavailable, VaultError
from config.settings import Settings
from config.vault import Vault

logger = logging.getLogger("countersign.blobs")

__all__ = ["FRAME_BYTES", "BlobStore", "StoredBlob", "open_blobs", "open_objects", "open_objects_at"]
_AT_ONCE_BYTES: Final = 1024 * 1024
# A tenant's objects are spread over 256 folders: writers that make files in one folder wait for each other.
_KEY = re.compile(r"[0-9a-f-]{36}/[0-9a-f]{2}/[0-9a-f]{30}")


class StoredBlob(msgspec.Struct, frozen=True):
    """Where a document lies and what it is: of the plain bytes, not of the stored ones."""

    key: str
    sha256: str
    size: int


class BlobStore:
    """`database` is where data keys are found: of the app role (the tenant is set) or the hub's. `objects` is an
    obstore store, or one behind a breaker. `spool` holds what the store cannot take now; None: it is refused.
    """

    def __init__(self, objects: Any, vault: Vault, database: Database, *, spool: Spool | None = None) -> None:
        self._objects = objects if isinstance(objects, Objects) else Objects(objects)
        self._vault = vault
        self._database = database
        self._spool = spool

    async def put(self, tenant_id: UUID, chunks: AsyncIterable[bytes]) -> StoredBlob:
        """Stores the stream; an error of the stream passes and leaves no object. Raises StoreUnavailable when
        neither the store nor the spool takes it.
        """
        assert_no_open_transaction()
        data_key = await self._vault.current_key(self._database, tenant_id)
        name = secrets.token_hex(16)
        key = f"{tenant_id}/{name[:2]}/{name[2:]}"
        sealer = Sealer(data_key.key, tenant_id, key, make_head(data_key))
        parts = sealer.seal(chunks)
        first: list[bytes] = []
        async for part in parts:
            first.append(part)
            if sealer.size > _AT_ONCE_BYTES:
                await self._put_stream(key, first, parts)
                break
        else:
            await self._put_at_once(key, b"".join(first))
        return StoredBlob(key, sealer.sha256.hexdigest(), sealer.size)

    async def _put_at_once(self, key: str, sealed: bytes) -> None:
        try:
            await self._objects.put(key, sealed)
        except StoreUnavailable as refusal:
            keeping = self._begin_keeping(key)
            if keeping is None:
                raise
            await self._keep(keeping, refusal, sealed)

    async def _put_stream(self, key: str, first: Sequence[bytes], rest: AsyncIterator[bytes]) -> None:
        """Into the store and, as long as it is not known to have arrived there, into the spool."""
        keeping = self._begin_keeping(key)
        upload: Upload | None = None
        refusal: StoreUnavailable | None = None
        try:
            try:
                upload = self._objects.begin(key)
            except StoreUnavailable as error:
                refusal = error
            async for part in _chain(first, rest):
                if keeping is not None and not _wrote(keeping, part):
                    keeping = None
                if upload is not None:
                    upload, refusal = await _give(upload, part)
                if upload is None and keeping is None:
                    raise refusal or StoreUnavailable("the spool is full")
            if upload is not None:
                upload, refusal = await _give(upload, None)
            if refusal is not None and keeping is not None:
                kept, keeping = keeping, None
                await self._keep(kept, refusal)
            elif refusal is not None:
                raise refusal
        except BaseException:  # cancelled too: parts that nobody ends stay at the store
            if upload is not None:
                await upload.abort()
            raise
        finally:
            if keeping is not None:
                keeping.discard()

    def _begin_keeping(self, key: str) -> Keeping | None:
        if self._spool is None:
            return None
        try:
            return self._spool.begin(key)
        except (SpoolFull, OSError) as error:
            logger.warning("the spool takes nothing (%s)", type(error).__name__)
            return None

    async def _keep(self, keeping: Keeping, refusal: StoreUnavailable, sealed: bytes = b"") -> None:
        """In the spool when this returns; raises the store's own refusal when the spool fails too."""
        try:
            keeping.write(sealed)
            await asyncio.to_thread(keeping.finish)
        except (SpoolFull, OSError, StoreUnavailable) as error:
            raise refusal from error
        finally:
            keeping.discard()
        logger.warning("a document is held in the spool: %s", refusal)

    @property
    def has_spool(self) -> bool:
        return self._spool is not None

    def spooled(self) -> int:
        """How many documents the spool holds."""
        return self._spool.measure()[0] if self._spool else 0

    async def move_spooled(self) -> int:
        """Moves what the spool holds into the store, until it refuses; how many were moved. A file that cannot be
        read stays, and keeps none of those behind it.
        """
        moved = 0
        for key in await asyncio.to_thread(self._spool.waiting) if self._spool else ():
            try:
                moved += await self._move(key)
            except StoreUnavailable:
                break
            except OSError:
                logger.exception("a document in the spool cannot be moved: %s", key)
        return moved

    async def _move(self, key: str) -> bool:
        if self._spool is None:
            return False
        with self._spool.hold(key, wait=False) as path:
            if path is None:
                return False
            await self._objects.put_file(key, path)
            path.unlink()
        return True

    async def open(self, tenant_id: UUID, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        """The plain bytes from `offset` on, each frame authenticated before it is given; what lies before the
        offset is neither fetched nor checked.

        Raises BlobNotFound, and BlobDamaged when a frame fails; a missing end is found at the end, so a
        consumer must not act on the whole before the iteration has finished.
        """
        assert_no_open_transaction()
        _check(tenant_id, key)
        first = max(0, offset - 1) // FRAME_BYTES  # an offset at the very end still lies in the last frame
        start = HEAD_BYTES + first * (FRAME_BYTES + TAG_BYTES) if first else 0
        held = self._spool.open(key) if self._spool else None
        try:
            head, stream = await self._begin_reading(key, held, start)
            opener = await self._opener(tenant_id, key, head, first) if first else None
            skip = offset - first * FRAME_BYTES
            async for frame in self._opened(tenant_id, key, stream, opener):
                if skip < len(frame):
                    yield frame[skip:] if skip else frame
                skip = max(0, skip - len(frame))
        finally:
            if held is not None:
                held.close()

    async def _begin_reading(
        self, key: str, held: BinaryIO | None, start: int
    ) -> tuple[bytes, AsyncIterable[Any]]:
        """(the head when `start` lies behind it, the bytes from `start` on)."""
        if held is None:
            head = await self._objects.get_range(key, 0, HEAD_BYTES) if start else b""
            return head, await self._objects.get(key, start)
        head = await asyncio.to_thread(held.read, HEAD_BYTES)
        held.seek(start)
        return head, _read_file(held)

    async def read(self, tenant_id: UUID, key: str) -> bytes:
        """The whole object in memory: for small ones."""
        return b"".join([frame async for frame in self.open(tenant_id, key)])

    async def delete(self, tenant_id: UUID, key: str) -> None:
        """Removes the object; no error when there is none."""
        assert_no_open_transaction()
        _check(tenant_id, key)
        was_held = self._spool is not None and await asyncio.to_thread(self._spool.remove, key)
        try:
            await self._objects.delete(key)
        except StoreUnavailable as error:
            if not was_held:
                raise
            # It lay here alone, unless somebody died between storing and removing it.
            logger.warning("an object that was held in the spool may remain: %s (%s)", key, error)

    async def _opened(
        self, tenant_id: UUID, key: str, stream: AsyncIterable[Any], opener: Opener | None
    ) -> AsyncIterator[bytes]:
        """`opener` None: the stream begins with the head."""
        held = bytearray()
        async for chunk in stream:
            held += chunk
            if opener is None and len(held) >= HEAD_BYTES:
                opener = await self._opener(tenant_id, key, bytes(held[:HEAD_BYTES]))
                del held[:HEAD_BYTES]
            # The last frame is the one after which nothing comes: one is always held back.
            while opener is not None and len(held) > FRAME_BYTES + TAG_BYTES:
                frame = bytes(held[: FRAME_BYTES + TAG_BYTES])
                del held[: FRAME_BYTES + TAG_BYTES]
                yield opener.open_frame(frame, is_last=False)
        if opener is None:
            raise BlobDamaged("the object is cut off")
        yield opener.open_frame(bytes(held), is_last=True)

    async def _opener(self, tenant_id: UUID, key: str, head: bytes, first: int = 0) -> Opener:
        try:
            data_key = await self._vault.key(self._database, tenant_id, key_id_of(head))
        except VaultError as error:
            raise BlobDamaged("the object names a data key that the tenant does not have") from error
        return Opener(data_key.key, tenant_id, key, head, first)


# obstore's own answer to a store that is away is minutes of tries; ours is the breaker and the spool.
_RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


def _check(tenant_id: UUID, key: str) -> None:
    if not key.startswith(f"{tenant_id}/") or _KEY.fullmatch(key) is None:
        raise BlobNotFound("the tenant has no object under that key")


async def _chain(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for part in first:
        yield part
    async for part in rest:
        yield part


async def _give(upload: Upload, part: bytes | None) -> tuple[Upload | None, StoreUnavailable | None]:
    """The upload, or why there is none any more. `part` None: the end, waited for."""
    try:
        if part is None:
            await upload.finish()
        else:
            await upload.give(part)
    except StoreUnavailable as refusal:
        return None, refusal
    return upload, None


def _wrote(keeping: Keeping, part: bytes) -> bool:
    try:
        keeping.write(part)
    except (SpoolFull, OSError) as error:
        logger.warning("the spool takes no more (%s)", type(error).__name__)
        keeping.discard()
        return False
    return True


async def _read_file(held: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(held.read, 4 * FRAME_BYTES):
        yield chunk


def open_blobs(
    settings: Settings, vault: Vault, database: Database, clock: Clock, listen: Listener | None = None
) -> BlobStore:
    """The settings' store. One that is reached over a network has a breaker and, in development or with a folder
    that was named for it, a spool.
    """
    store = open_objects(settings)
    if isinstance(store, obstore.store.LocalStore | obstore.store.MemoryStore):
        return BlobStore(store, vault, database)
    given = settings.spool
    pause_s = given.store_pause_s
    breakers = Breakers(
        clock,
        BreakerOptions(
            window_s=60.0, minimum_calls=4, failure_rate=0.5, open_s=pause_s, longest_open_s=pause_s
        ),
    )
    if listen is not None:
        breakers.listen(listen)
    folder = given.folder or (None if settings.is_production else settings.countersign.data_dir / "spool")
    spool = None
    if folder is not None and given.most_bytes and given.most_files:
        spool = Spool(folder, most_bytes=given.most_bytes, most_files=given.most_files)
    objects = Objects(store, breakers=breakers, timeout_s=given.store_timeout_s)
    return BlobStore(objects, vault, database, spool=spool)


def open_objects(settings: Settings) -> Any:
    """The object store that `blob_url` names, by default a folder in the data folder.

    Credentials and end points of S3, GCS and Azure come from their usual variables (AWS_..., GOOGLE_...,
    AZURE_...). Raises ConfigError for a URL that names no store.
    """
    url = settings.countersign.blob_url
    if url is None:
        url = (settings.countersign.data_dir / "blobs").absolute().as_uri()
    return open_objects_at(url)


def open_objects_at(url: str, config: Mapping[str, Any] | None = None, *, allow_http: bool = False) -> Any:
    """An object store by URL; `config` and `allow_http` are for servers of one's own (MinIO, tests)."""
    try:
        if url.startswith("memory:"):
            return obstore.store.MemoryStore()
        if url.startswith("file:"):
            folder = Path(url.removeprefix("file://"))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return obstore.store.LocalStore(folder)
        options = {"client_options": {"allow_http": True}} if allow_http else {}
        return obstore.store.from_url(url, config=dict(config or {}), retry_config=_RETRIES, **options)
    except Exception as error:  # each kind of store refuses what it is given in its own way
        raise ConfigError(f"blob_url names no blob store ({type(error).__name__})") from error
