"""Documents as objects: a local folder, S3, GCS or Azure by URL, encrypted with the tenant's data key.

An object is written under a random key while its SHA-256 and size are computed: they are known only at the
end, and the row that names the object keeps them. Form: `CSB1`, data key's id, salt, then frames of 64 KiB
under AES-256-GCM with a key of the object's own (HKDF of data key and salt); the nonce is the frame's number
and a last-frame flag, the additional data binds tenant and object key. Source: STREAM, Hoang, Reyhanitabar,
Rogaway and Vizár, 2015. So a frame that is altered, moved, dropped or cut off is found.
MUST leave no object behind when the stream ends with an error. Must never be called with a transaction open.
"""

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import obstore
import obstore.store
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.database import Database, assert_no_open_transaction
from config.errors import BlobDamaged, BlobNotFound, ConfigError, StoreUnavailable, VaultError
from config.settings import Settings
from config.vault import Vault

logger = logging.getLogger("countersign.blobs")

FRAME_BYTES: Final = 65_536
_MAGIC = b"CSB1"
_SALT_BYTES = 32
_HEAD_BYTES = len(_MAGIC) + 16 + _SALT_BYTES
_TAG_BYTES = 16
_ABORT_S = 10.0
_AT_ONCE_BYTES = 1024 * 1024
# A tenant's objects are spread over 256 folders: writers that make files in one folder wait for each other.
_KEY = re.compile(r"[0-9a-f-]{36}/[0-9a-f]{2}/[0-9a-f]{30}")


class StoredBlob(msgspec.Struct, frozen=True):
    """Where a document lies and what it is: of the plain bytes, not of the stored ones."""

    key: str
    sha256: str
    size: int


class BlobStore:
    """`database` is where data keys are found: of the app role (the tenant is set) or the hub's."""

    def __init__(self, objects: Any, vault: Vault, database: Database) -> None:
        self._objects = objects
        self._vault = vault
        self._database = database

    async def put(self, tenant_id: UUID, chunks: AsyncIterable[bytes]) -> StoredBlob:
        """Stores the stream; an error of the stream passes and leaves no object."""
        assert_no_open_transaction()
        data_key = await self._vault.current_key(self._database, tenant_id)
        name = secrets.token_hex(16)
        key = f"{tenant_id}/{name[:2]}/{name[2:]}"
        head = _MAGIC + data_key.id.bytes + secrets.token_bytes(_SALT_BYTES)
        sealer = _Sealer(data_key.key, tenant_id, key, head)
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
        """A small object in one request: most documents are, and a stream costs twice the time."""
        upload = asyncio.ensure_future(obstore.put_async(self._objects, key, sealed, use_multipart=False))
        try:
            await asyncio.shield(upload)
        except BaseException as error:
            await asyncio.wait({upload}, timeout=_ABORT_S)
            await self._remove_unfinished(key)
            if isinstance(error, Exception):
                raise StoreUnavailable(
                    f"the blob store refused an object ({type(error).__name__})"
                ) from error
            raise

    async def _put_stream(self, key: str, first: Sequence[bytes], rest: AsyncIterator[bytes]) -> None:
        handover = _Handover()
        # A Future, not a coroutine. Few parts at a time keep the memory flat.
        upload = asyncio.ensure_future(
            obstore.put_async(self._objects, key, handover.parts(), max_concurrency=2)
        )
        try:
            for part in first:
                await handover.give(part, upload)
            async for part in rest:
                await handover.give(part, upload)
            await handover.give(None, upload)
            await asyncio.shield(upload)
        except BaseException as error:
            # The stream failed, the caller was cancelled, or the store refused. Cancelling the upload would
            # leave its parts behind: it is told to fail instead, and cleans up after itself.
            handover.abort()
            await asyncio.wait({upload}, timeout=_ABORT_S)
            refusal = upload.exception() if upload.done() and not upload.cancelled() else None
            await self._remove_unfinished(key)
            if refusal is error:
                raise StoreUnavailable(
                    f"the blob store refused an object ({type(error).__name__})"
                ) from error
            raise

    async def open(self, tenant_id: UUID, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        """The plain bytes from `offset` on, each frame authenticated before it is given; what lies before the
        offset is neither fetched nor checked.

        Raises BlobNotFound, and BlobDamaged when a frame fails; a missing end is found at the end, so a
        consumer must not act on the whole before the iteration has finished.
        """
        assert_no_open_transaction()
        if not key.startswith(f"{tenant_id}/") or _KEY.fullmatch(key) is None:
            raise BlobNotFound("the tenant has no object under that key")
        first = max(0, offset - 1) // FRAME_BYTES  # an offset at the very end still lies in the last frame
        opener: _Opener | None = None
        try:
            if first:
                head = bytes(await obstore.get_range_async(self._objects, key, start=0, end=_HEAD_BYTES))
                start = _HEAD_BYTES + first * (FRAME_BYTES + _TAG_BYTES)
                answer = await obstore.get_async(self._objects, key, options={"range": {"offset": start}})
                opener = await self._opener(tenant_id, key, head, first)
            else:
                answer = await obstore.get_async(self._objects, key)
            stream = answer.stream(min_chunk_size=4 * FRAME_BYTES)
        except FileNotFoundError as error:
            raise BlobNotFound("the tenant has no object under that key") from error
        except BlobDamaged:
            raise
        except Exception as error:
            raise StoreUnavailable(f"the blob store does not answer ({type(error).__name__})") from error
        skip = offset - first * FRAME_BYTES
        async for frame in self._opened(tenant_id, key, stream, opener):
            if skip < len(frame):
                yield frame[skip:] if skip else frame
            skip = max(0, skip - len(frame))

    async def read(self, tenant_id: UUID, key: str) -> bytes:
        """The whole object in memory: for small ones."""
        return b"".join([frame async for frame in self.open(tenant_id, key)])

    async def delete(self, tenant_id: UUID, key: str) -> None:
        """Removes the object; no error when there is none."""
        assert_no_open_transaction()
        if not key.startswith(f"{tenant_id}/") or _KEY.fullmatch(key) is None:
            raise BlobNotFound("the tenant has no object under that key")
        try:
            await obstore.delete_async(self._objects, key)
        except FileNotFoundError:
            return
        except Exception as error:
            raise StoreUnavailable(f"the blob store does not answer ({type(error).__name__})") from error

    async def _opened(
        self, tenant_id: UUID, key: str, stream: AsyncIterable[Any], opener: "_Opener | None"
    ) -> AsyncIterator[bytes]:
        """`opener` None: the stream begins with the head."""
        held = bytearray()
        async for chunk in _named_errors(stream):
            held += chunk
            if opener is None and len(held) >= _HEAD_BYTES:
                opener = await self._opener(tenant_id, key, bytes(held[:_HEAD_BYTES]))
                del held[:_HEAD_BYTES]
            # The last frame is the one after which nothing comes: one is always held back.
            while opener is not None and len(held) > FRAME_BYTES + _TAG_BYTES:
                frame = bytes(held[: FRAME_BYTES + _TAG_BYTES])
                del held[: FRAME_BYTES + _TAG_BYTES]
                yield opener.open_frame(frame, is_last=False)
        if opener is None:
            raise BlobDamaged("the object is cut off")
        yield opener.open_frame(bytes(held), is_last=True)

    async def _opener(self, tenant_id: UUID, key: str, head: bytes, first: int = 0) -> "_Opener":
        if len(head) < _HEAD_BYTES or head[: len(_MAGIC)] != _MAGIC:
            raise BlobDamaged("the object has no known form")
        key_id = UUID(bytes=head[len(_MAGIC) : len(_MAGIC) + 16])
        try:
            data_key = await self._vault.key(self._database, tenant_id, key_id)
        except VaultError as error:
            raise BlobDamaged("the object names a data key that the tenant does not have") from error
        return _Opener(data_key.key, tenant_id, key, head, first)

    async def _remove_unfinished(self, key: str) -> None:
        try:
            await obstore.delete_async(self._objects, key)
        except FileNotFoundError:
            return
        except Exception as error:  # noqa: BLE001  (the error that led here is the one to report)
            logger.warning("an unfinished object may remain: %s (%s)", key, type(error).__name__)


async def _named_errors(stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
    try:
        async for chunk in stream:
            yield chunk
    except GeneratorExit:
        raise
    except Exception as error:
        raise StoreUnavailable(f"the blob store broke off ({type(error).__name__})") from error


class _Aborted(Exception):
    """Told to the upload instead of the rest of a stream that failed."""


class _Handover:
    """Parts from the caller's task, which reads the stream, to the upload, which obstore drives."""

    def __init__(self) -> None:
        self._parts: asyncio.Queue[bytes | _Aborted | None] = asyncio.Queue(2)

    async def give(self, part: bytes | None, upload: "asyncio.Future[Any]") -> None:
        """Waits for room; raises the upload's error when it ended early. None is the end."""
        if not upload.done() and not self._parts.full():
            self._parts.put_nowait(part)
            return
        giving = asyncio.ensure_future(self._parts.put(part))
        try:
            await asyncio.wait({giving, upload}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            giving.cancel()  # nothing happens when it is done
        if upload.done():
            upload.result()

    async def parts(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            if isinstance(part, _Aborted):
                raise part
            yield part

    def abort(self) -> None:
        while not self._parts.empty():
            self._parts.get_nowait()
        self._parts.put_nowait(_Aborted())


class _Frames:
    """Key, nonces and additional data of one object's frames, from the frame `first` on."""

    def __init__(self, data_key: bytes, tenant_id: UUID, key: str, head: bytes, first: int = 0) -> None:
        derived = HKDF(SHA256(), 32, salt=head[-_SALT_BYTES:], info=b"countersign blob v1").derive(data_key)
        self._cipher = AESGCM(derived)
        self._binding = f"{tenant_id}|{key}|".encode() + head
        self._number = first

    def next_nonce(self, *, is_last: bool) -> bytes:
        nonce = self._number.to_bytes(11, "big") + (b"\1" if is_last else b"\0")
        self._number += 1
        return nonce


class _Opener(_Frames):
    def open_frame(self, frame: bytes, *, is_last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self.next_nonce(is_last=is_last), frame, self._binding)
        except (InvalidTag, ValueError) as error:
            raise BlobDamaged(f"frame {self._number - 1} of the object is not what was written") from error


class _Sealer(_Frames):
    def __init__(self, data_key: bytes, tenant_id: UUID, key: str, head: bytes) -> None:
        super().__init__(data_key, tenant_id, key, head)
        self._head = head
        self.sha256 = hashlib.sha256()
        self.size = 0

    async def seal(self, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        yield self._head
        held = bytearray()
        async for chunk in chunks:
            self.sha256.update(chunk)
            self.size += len(chunk)
            held += chunk
            while len(held) > FRAME_BYTES:
                plain = bytes(held[:FRAME_BYTES])
                del held[:FRAME_BYTES]
                yield self._cipher.encrypt(self.next_nonce(is_last=False), plain, self._binding)
        yield self._cipher.encrypt(self.next_nonce(is_last=True), bytes(held), self._binding)


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
        return obstore.store.from_url(url, config=dict(config or {}), **options)
    except Exception as error:
        raise ConfigError(f"blob_url names no blob store ({type(error).__name__})") from error
