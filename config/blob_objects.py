"""The object store behind the blobs: bytes by key, each call within its time and behind one circuit breaker.

Knows neither tenants nor keys of theirs: what it is given is encrypted already. A store that fails or is silent
is StoreUnavailable, and soon not asked any more; what is not there is BlobNotFound. What was put is on the disk, in
a folder too: the row that names it is, and would outlive it in a power cut.
Thresholds of the design documents: 30 s, half of the calls, 30 s.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import obstore

from config.breaker import Breakers, CircuitOpen, Permit
from config.errors import BlobNotFound, StoreUnavailable

logger = logging.getLogger("countersign.blobs")
T = TypeVar("T")

BREAKER: Final = "blobs"
_ABORT_S = 10.0
_CHUNK = 4 * 65_536
_MOST_FOLDERS = 20_000


class Objects:
    """`breakers` None: every call is tried (a folder, memory). `timeout_s`: without a byte moving."""

    def __init__(self, store: Any, *, breakers: Breakers | None = None, timeout_s: float = 30.0) -> None:
        self._store = store
        self._breakers = breakers
        self._timeout_s = timeout_s
        # An object store answers when it has kept the object; a folder's files lie in the machine's memory at first.
        is_folder = isinstance(store, obstore.store.LocalStore) and store.prefix is not None
        self._folder = Path(store.prefix) if is_folder else None
        self._flushed: set[Path] = set()  # folders that are known to be on the disk themselves

    async def put(self, key: str, sealed: bytes) -> None:
        """A small object in one request: most documents are, and a stream costs twice the time."""
        try:
            await self._call(lambda: obstore.put_async(self._store, key, sealed, use_multipart=False))
            await self.flush(key)
        except BlobNotFound as error:  # of the bucket or folder
            raise StoreUnavailable("the blob store has no such place") from error
        except BaseException as error:
            # A store that was not asked has nothing of it, and one that is silent will not remove anything.
            if not isinstance(error.__cause__, CircuitOpen | TimeoutError):
                await self.remove_unfinished(key)
            raise

    async def put_file(self, key: str, path: Path) -> None:
        upload = self.begin(key)
        try:
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, _CHUNK):
                    await upload.give(part)
            await upload.finish()
        except StoreUnavailable:
            raise  # the upload has ended itself
        except BaseException:  # cancelled too: parts that nobody ends stay at the store
            await upload.abort()
            raise

    def begin(self, key: str) -> "Upload":
        """Raises StoreUnavailable while the store is given a rest."""
        return Upload(self, self._store, key, self._admit(), self._timeout_s)

    async def get(self, key: str, offset: int = 0) -> AsyncIterator[Any]:
        """Chunks from `offset` on. Raises BlobNotFound."""
        options: Any = {"range": {"offset": offset}} if offset else None
        answer = await self._call(lambda: obstore.get_async(self._store, key, options=options))
        return self._within(answer.stream(min_chunk_size=_CHUNK))

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        """Raises BlobNotFound."""
        return bytes(
            await self._call(lambda: obstore.get_range_async(self._store, key, start=start, end=end))
        )

    async def delete(self, key: str) -> None:
        """No error when there is none."""
        try:
            await self._call(lambda: obstore.delete_async(self._store, key))
        except BlobNotFound:
            return

    async def remove_unfinished(self, key: str) -> None:
        """After a put that failed: the error that led here is the one to report."""
        try:
            async with asyncio.timeout(_ABORT_S):
                await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except Exception:  # whatever it is, it may be cleaned up by hand
            logger.warning("an unfinished object may remain: %s", key, exc_info=True)

    async def flush(self, key: str) -> None:
        """Returns when what was put under the key would survive a power cut. Raises StoreUnavailable."""
        if self._folder is None:
            return
        path = self._folder / key
        is_new = path.parent not in self._flushed
        try:
            await asyncio.to_thread(_flush, [path, *_folders(path, self._folder, is_new=is_new)])
        except OSError as error:
            await self.remove_unfinished(key)
            raise StoreUnavailable(
                f"the blob store cannot keep an object ({type(error).__name__})"
            ) from error
        if len(self._flushed) > _MOST_FOLDERS:
            self._flushed.clear()
        self._flushed.add(path.parent)

    def _admit(self) -> Permit | None:
        if self._breakers is None:
            return None
        try:
            return self._breakers.admit(BREAKER)
        except CircuitOpen as pause:
            raise StoreUnavailable(
                f"the blob store fails and is given a rest of {pause.retry_after_s:.0f} s"
            ) from pause

    async def _call(self, start: Callable[[], Awaitable[T]]) -> T:
        permit = self._admit()
        try:
            # Not cancelled when the caller is: a put that is cut off would leave its parts behind.
            result = await settle(asyncio.ensure_future(start()), self._timeout_s)
        except FileNotFoundError as error:
            _tell(permit, good=True)
            raise BlobNotFound("no object is stored under that key") from error
        except Exception as error:  # each kind of store raises its own, and all mean the same to the caller
            _tell(permit, good=False)
            raise StoreUnavailable(f"the blob store does not answer ({type(error).__name__})") from error
        except BaseException:  # cancelled: this says nothing about the store
            _give_back(permit)
            raise
        _tell(permit, good=True)
        return result

    async def _within(self, stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
        chunks = aiter(stream)
        while True:
            try:
                async with asyncio.timeout(self._timeout_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except Exception as error:  # as above
                raise StoreUnavailable(f"the blob store broke off ({type(error).__name__})") from error
            yield chunk


class Upload:
    """One object that is sent in parts as they come. Ends by `finish` or `abort`."""

    def __init__(
        self, objects: Objects, store: Any, key: str, permit: Permit | None, timeout_s: float
    ) -> None:
        self._objects, self._key, self._permit, self._timeout_s = objects, key, permit, timeout_s
        self._parts: asyncio.Queue[bytes | _Aborted | None] = asyncio.Queue(2)
        # A Future, not a coroutine. Few parts at a time keep the memory flat.
        self._sending = asyncio.ensure_future(
            obstore.put_async(store, key, self._stream(), max_concurrency=2)
        )

    async def give(self, part: bytes | None) -> None:
        """Waits for room; None is the end. Raises StoreUnavailable when the store refused or is silent."""
        if not self._sending.done() and not self._parts.full():
            self._parts.put_nowait(part)
            return
        giving = asyncio.ensure_future(self._parts.put(part))
        try:
            done, _ = await asyncio.wait(
                {giving, self._sending}, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            giving.cancel()  # nothing happens when it is done
        if not done or self._sending.done():
            await self._fail()

    async def finish(self) -> None:
        """Stored, when this returns. Raises StoreUnavailable."""
        await self.give(None)
        done, _ = await asyncio.wait({self._sending}, timeout=self._timeout_s)
        if not done or self._sending.exception() is not None:
            await self._fail()
        _tell(self._permit, good=True)
        await self._objects.flush(self._key)

    async def abort(self) -> None:
        """The stream failed or nobody waits any more. Cancelling the upload would leave its parts behind: it is
        told to fail instead, and cleans up after itself.
        """
        self._tell_to_fail()
        _give_back(self._permit)
        await asyncio.wait({self._sending}, timeout=_ABORT_S)
        await self._objects.remove_unfinished(self._key)

    async def _fail(self) -> None:
        _tell(self._permit, good=False)
        if not self._sending.done():
            self._tell_to_fail()  # and is not waited for: a silent store is silent to that too
            raise StoreUnavailable("the blob store does not answer (TimeoutError)")
        error = self._sending.exception()
        await self._objects.remove_unfinished(self._key)
        raise StoreUnavailable(f"the blob store refused an object ({type(error).__name__})") from error

    def _tell_to_fail(self) -> None:
        while not self._parts.empty():
            self._parts.get_nowait()
        self._parts.put_nowait(_Aborted())
        _forget(self._sending)

    async def _stream(self) -> AsyncIterator[bytes]:
        while (part := await self._parts.get()) is not None:
            if isinstance(part, _Aborted):
                raise part
            yield part


def _folders(path: Path, root: Path, *, is_new: bool) -> list[Path]:
    """The one that names the file; and all up to the root where that one may be new itself."""
    above = [path.parent]
    while is_new and above[-1] != root:
        above.append(above[-1].parent)
    return above


def _flush(paths: list[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Aborted(Exception):
    """Told to the upload instead of the rest of a stream that failed."""


async def settle(sending: "asyncio.Future[T]", timeout_s: float) -> T:
    """Its result, or TimeoutError; it goes on by itself when nobody waits any more."""
    try:
        done, _ = await asyncio.wait({sending}, timeout=timeout_s)
    except BaseException:  # cancelled: it may have a moment to end by itself
        await asyncio.wait({sending}, timeout=_ABORT_S)
        _forget(sending)
        raise
    if not done:
        _forget(sending)
        raise TimeoutError
    return sending.result()


def _forget(sending: "asyncio.Future[Any]") -> None:
    """Whatever becomes of it is no surprise to anybody."""
    sending.add_done_callback(lambda ended: None if ended.cancelled() else ended.exception())


def _tell(permit: Permit | None, *, good: bool) -> None:
    if permit is not None:
        if good:
            permit.succeeded()
        else:
            permit.failed()


def _give_back(permit: Permit | None) -> None:
    if permit is not None:
        permit.__exit__()
