"""Sends one HTTP request once and reads its answer, and knows whether the request left this machine.

"Not sent" is decided by one fact alone: the transport's trace never reported that it began to write the request's
headers. Exception names lie (a connection lost after the request was read has been seen as ConnectTimeout),
so they are text for people. Must never retry, follow a redirect, keep a cookie, use a proxy or read the
environment: it therefore stands on httpx's transports, below the client that does these things.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from functools import cache
from types import TracebackType
from typing import Self

import httpx
import msgspec

from adapters.kit.content import DocumentBroken, content_length, plain_bytes, stream_content
from adapters.kit.exchange import ProviderRequest, ProviderResponse, SavedBlob
from adapters.kit.options import ExecutorOptions
from adapters.kit.port import BlobSource
from adapters.kit.transport import LineTransport

_FIRST_BYTES = 512
_JOINED_BYTES = 256 * 1024
_SENDING = "http11.send_request_headers.started"
_Origin = tuple[str, str, int | None]
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class NoAnswer(Exception):
    """No whole answer came. `sent` False: not one byte of the request left this machine, or (`ours`) its body
    stayed incomplete because of our own document.
    """

    def __init__(self, *, sent: bool, detail: str, ours: bool = False) -> None:
        super().__init__(detail)
        self.sent = sent
        self.detail = detail
        self.ours = ours


class KeepingFailed(Exception):
    """The answer came, and our own blob store could not take it."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A request with everything that the wire needs. `on_sent` is called when the first byte goes out."""

    request: ProviderRequest
    url: httpx.URL
    headers: tuple[tuple[str, str], ...]
    on_sent: Callable[[], None]


class _Line:
    """A transport that keeps one connection, and where that leads."""

    __slots__ = ("origin", "transport")

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self.transport = transport
        self.origin: _Origin | None = None


class Transmitter:
    """One transport per connection: a pool of many is searched as a whole, and each of its idle sockets asked, at
    both ends of every request. `transport` replaces the network in tests; it must report to the request's
    "trace" extension as httpcore does.
    """

    def __init__(self, options: ExecutorOptions, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._options = options
        self._timeout = {
            "connect": options.connect_timeout_s,
            "read": options.read_timeout_s,
            "write": options.write_timeout_s,
            "pool": options.pool_timeout_s,
        }
        self._lines = tuple(
            _Line(transport or LineTransport(_tls_context(), idle_s=options.keepalive_s))
            for _ in range(options.connections)
        )
        self._free = list(self._lines)  # the one used last at the end
        self._places = asyncio.Semaphore(options.connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for line in self._lines:
            await line.transport.aclose()

    async def send(self, parcel: Parcel, blobs: BlobSource) -> ProviderResponse:
        """Raises NoAnswer, or KeepingFailed."""
        line = await self._take_line(parcel.url)
        sent = False

        async def trace(event: str, _: object) -> None:
            nonlocal sent
            if event == _SENDING and not sent:
                sent = True
                parcel.on_sent()

        try:
            return await self._exchange(line.transport, parcel, blobs, trace)
        except DocumentBroken as error:
            # Ours, and certain: the body stayed short of its Content-Length, so nobody may act on it.
            raise NoAnswer(sent=False, detail=str(error), ours=True) from error
        except KeepingFailed:
            raise
        except NoAnswer as error:
            raise NoAnswer(sent=True, detail=error.detail) from error
        except Exception as error:
            # Whatever a client library raises (raw h11 and anyio errors have been seen): what it means for
            # the provider is decided by the trace.
            raise NoAnswer(sent=sent, detail=type(error).__name__) from error
        finally:
            self._free.append(line)
            self._places.release()

    async def _take_line(self, url: httpx.URL) -> _Line:
        """The one used last of those that lead there; else the one that nobody has used for longest."""
        if self._places.locked():
            try:
                async with asyncio.timeout(self._options.pool_timeout_s):
                    await self._places.acquire()
            except TimeoutError as error:
                raise NoAnswer(sent=False, detail="no connection became free in time") from error
        else:
            await self._places.acquire()  # does not wait
        origin = (url.scheme, url.host, url.port)
        free = self._free
        found = next((place for place in range(len(free) - 1, -1, -1) if free[place].origin == origin), 0)
        line = free.pop(found)
        line.origin = origin
        return line

    async def _exchange(
        self, transport: httpx.AsyncBaseTransport, parcel: Parcel, blobs: BlobSource, trace: object
    ) -> ProviderResponse:
        request = parcel.request
        headers = [*parcel.headers]
        body: bytes | None = b""
        if request.content or request.method not in _BODILESS:
            body = plain_bytes(request.content)
            length = content_length(request.content)
            headers.append(("content-type", request.content_type))
            headers.append(("content-length", str(length)))
            if body is None and length <= _JOINED_BYTES:
                # A small body goes out in one piece: a write for each piece costs more than the memory.
                async with aclosing(stream_content(request.content, blobs)) as pieces:
                    body = b"".join([piece async for piece in pieces])
        extensions = {"timeout": self._timeout, "trace": trace}
        if body is not None:
            built = httpx.Request(
                request.method, parcel.url, headers=headers, content=body, extensions=extensions
            )
            return await self._answer(transport, built, request, blobs)
        async with aclosing(stream_content(request.content, blobs)) as stream:
            built = httpx.Request(
                request.method, parcel.url, headers=headers, content=stream, extensions=extensions
            )
            return await self._answer(transport, built, request, blobs)

    async def _answer(
        self,
        transport: httpx.AsyncBaseTransport,
        built: httpx.Request,
        request: ProviderRequest,
        blobs: BlobSource,
    ) -> ProviderResponse:
        response = await transport.handle_async_request(built)
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            is_answer = response.status_code in request.accept
            if is_answer and request.save:
                saved = await self._keep(response, headers, blobs)
                return ProviderResponse(status=response.status_code, headers=headers, saved=saved)
            if is_answer:
                body = await _read(response, request.max_response_bytes)
            else:
                body = await _read(response, self._options.max_error_bytes, cut=True)
            return ProviderResponse(status=response.status_code, headers=headers, body=body)
        finally:
            await response.aclose()

    async def _keep(self, response: httpx.Response, headers: dict[str, str], blobs: BlobSource) -> SavedBlob:
        first = b""
        size = 0
        fault: Exception | None = None

        async def chunks() -> AsyncGenerator[bytes, None]:
            nonlocal first, size, fault
            try:
                async for chunk in response.aiter_bytes():
                    size += len(chunk)
                    if size > self._options.max_saved_bytes:
                        raise NoAnswer(sent=True, detail=f"an answer over {self._options.max_saved_bytes}")
                    if len(first) < _FIRST_BYTES:
                        first += chunk[: _FIRST_BYTES - len(first)]
                    yield chunk
            except Exception as error:
                fault = error  # the store may wrap it; the first cause decides
                raise

        try:
            async with aclosing(chunks()) as incoming:
                key, sha256, kept = await blobs.write(incoming)
        except Exception as error:
            if fault is not None:
                raise fault from error
            raise KeepingFailed(error) from error
        media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        return SavedBlob(key=key, sha256=sha256, size_bytes=kept, media_type=media_type, first_bytes=first)


@cache
def _tls_context() -> ssl.SSLContext:
    """One for all: reading the certificate store takes longer than a request."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _read(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    body = bytearray()
    # httpx's way through decoders and byte counters is only needed for an answer that is encoded nevertheless.
    source: AsyncIterable[bytes] = response.aiter_bytes()
    if "content-encoding" not in response.headers and isinstance(response.stream, httpx.AsyncByteStream):
        source = response.stream
    async for chunk in source:
        body += chunk
        if len(body) > limit:
            if cut:
                break
            raise NoAnswer(sent=True, detail=f"an answer over {limit} bytes")
    return bytes(body[:limit])
