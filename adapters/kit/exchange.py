"""The one thing that a provider operation may do to the world: exchange a request for a response.

Operations are coroutines over an injected Exchange. They import no HTTP client and no asyncio, so a scripted
Exchange runs them without a network or an event loop's help. The executor (executor.py) is the real one.
"""

from enum import StrEnum
from typing import Protocol

import msgspec


class Effect(StrEnum):
    """What sending this request twice would do. Only NONE may ever be repeated without asking first."""

    NONE = "none"  # reads, and writes that the provider makes idempotent by itself
    KEYED = "keyed"  # acts on a known provider object; repeating is detectable (state, ETag)
    CREATES = "creates"  # makes something new each time


class BlobEncoding(StrEnum):
    RAW = "raw"
    BASE64 = "base64"


class BlobChunk(msgspec.Struct, frozen=True):
    """A place in a request's body where the executor streams a document's bytes.

    `size_bytes` is the plain size; `offset` and `length` select a part (length 0: to the end).
    """

    blob_key: str
    size_bytes: int
    encoding: BlobEncoding = BlobEncoding.RAW
    offset: int = 0
    length: int = 0


Chunk = bytes | BlobChunk


class ProviderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`path` is relative to the connection's API base (Authorization.api_base) unless it is an absolute URL,
    whose host must be one of the adapter's allowed hosts. `accept` are the statuses that count as an answer
    to this request; any other status goes through the adapter's error table. `save`: stream a successful
    answer into the blob store instead of memory. `authorized` False for token requests.
    """

    operation: str
    method: str
    path: str
    effect: Effect
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    content: tuple[Chunk, ...] = ()
    content_type: str = "application/json"
    accept: frozenset[int] = frozenset({200})
    save: bool = False
    authorized: bool = True
    max_response_bytes: int = 8 * 1024 * 1024


class SavedBlob(msgspec.Struct, frozen=True):
    """An answer that was streamed into the blob store."""

    key: str
    sha256: str
    size_bytes: int
    media_type: str
    first_bytes: bytes


class ProviderResponse(msgspec.Struct, frozen=True, kw_only=True):
    """`headers` have lower-case names. `body` is empty when `saved` is set."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    saved: SavedBlob | None = None


class Exchange(Protocol):
    """MUST send a request at most once unless its effect is NONE. MUST raise one of the Interruption kinds
    (outcome.py) and nothing else when no acceptable answer came.
    """

    async def __call__(self, request: ProviderRequest) -> ProviderResponse: ...

    async def learned(self, provider_ref: str) -> None:
        """Commits the provider's id of a new envelope before anything else is sent.

        MUST survive the deadline and cancellation: an id that is known and not stored is an orphan.
        """

    async def pause(self, seconds: float) -> None:
        """Waits, within the operation's deadline: providers that prepare documents ask for it."""
