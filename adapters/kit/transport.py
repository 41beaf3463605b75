"""One HTTP/1.1 connection to a provider, on asyncio and h11 alone, behind httpx's own port for transports.

httpcore serves every event loop and any number of connections: its pool, locks and streams took three quarters of
what a call costs, and here one request at a time has one connection. The head and a body that is whole go out in
one write. Reports to the request's "trace" extension as httpcore does, before the first byte leaves.
Must never send a request twice, nor use a connection again on which anything went wrong: a new one is opened, and
that before anything is sent.
Source: RFC 9112 sections 6 (message body), 9.3 (persistence) and 9.6 (tear-down).
"""

import asyncio
import select
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import h11
import httpx

_SENDING = "http11.send_request_headers.started"
_MOST_HEAD_BYTES = 100 * 1024
_MOST_WAITING = 256 * 1024  # of an answer, unread; then the other side waits
_CHOOSE_S = 0.25  # between the addresses of one host. Source: RFC 8305 section 5
_Origin = tuple[str, str, int]


class LineTransport(httpx.AsyncBaseTransport):
    """`idle_s`: how long a connection may lie unused. One request at a time."""

    def __init__(self, tls: ssl.SSLContext, *, idle_s: float) -> None:
        self._tls = tls
        self._idle_s = idle_s
        self._wire: _Wire | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises httpx's transport errors, and what the request's own body raises."""
        timeout: dict[str, float | None] = request.extensions.get("timeout", {})
        url = request.url
        origin = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        wire = await self._open(origin, timeout.get("connect"))
        self._wire = None  # given back by the answer, when all of it went well
        try:
            await wire.send(request, timeout.get("write"))
            head = await wire.read_head(timeout.get("read"))
        except BaseException:  # cancelled too: nobody reads what may still come
            wire.abort()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Answer(wire, timeout.get("read"), self._give_back),
        )

    async def aclose(self) -> None:
        if self._wire is not None:
            self._wire.abort()
            self._wire = None

    async def _open(self, origin: _Origin, timeout_s: float | None) -> "_Wire":
        wire = self._wire
        if wire is not None:
            if wire.origin == origin and wire.is_usable(self._idle_s):
                return wire
            wire.abort()
            self._wire = None
        scheme, host, port = origin
        secure: dict[str, Any] = {"ssl": self._tls, "server_hostname": host} if scheme == "https" else {}
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, wire = await loop.create_connection(
                    lambda: _Wire(loop, origin), host, port, happy_eyeballs_delay=_CHOOSE_S, **secure
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:  # refused, no such host, a certificate that does not hold
            raise httpx.ConnectError(type(error).__name__) from error
        return wire

    def _give_back(self, wire: "_Wire") -> None:
        self._wire = wire


class _Wire(asyncio.Protocol):
    """A connection, and what has come on it that nobody has read yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: _Origin) -> None:
        self.origin = origin
        self._loop = loop
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()
        self._ended = False
        self._fault: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._unused_since = 0.0

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport was expected")
        self._transport = transport
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket"), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        self._came += data
        if len(self._came) > _MOST_WAITING and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._ended = True
        self._fault = self._fault or error
        self._may_write.set()
        self._wake()

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    # What the transport above asks for.

    def is_usable(self, idle_s: float) -> bool:
        """Idle, heard nothing since, and not for too long."""
        is_fresh = self._loop.time() - self._unused_since <= idle_s
        # The socket itself is asked too: a busy loop has perhaps not read yet that the other side has gone.
        return is_fresh and not self._ended and not self._came and not self._poll.poll(0)

    async def send(self, request: httpx.Request, timeout_s: float | None) -> None:
        """A provider that refuses before it has read everything, and closes, is not an error here: its answer is."""
        head = self._http.send(
            h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        )
        trace: Callable[[str, Any], Awaitable[None]] | None = request.extensions.get("trace")
        if trace is not None:
            await trace(_SENDING, {"request": request})
        if isinstance(request.stream, httpx.ByteStream):
            pieces = [head or b""]
            async for piece in request.stream:
                pieces += self._data(piece)
            pieces += self._http.send_with_data_passthrough(h11.EndOfMessage()) or []
            await self._write(pieces, timeout_s)
            return
        if not isinstance(request.stream, AsyncIterable):
            raise TypeError("a body is bytes or an asynchronous stream")
        is_open = await self._write([head or b""], timeout_s)
        async for piece in request.stream:
            if not is_open:
                return
            is_open = await self._write(self._data(piece), timeout_s)
        await self._write(self._http.send_with_data_passthrough(h11.EndOfMessage()) or [], timeout_s)

    async def read_head(self, timeout_s: float | None) -> h11.Response:
        while True:
            event = await self.next_event(timeout_s)
            if isinstance(event, h11.Response):
                return event
            if isinstance(event, h11.InformationalResponse) and event.status_code != 101:
                continue
            raise httpx.RemoteProtocolError("no answer, but something else")

    async def next_event(self, timeout_s: float | None) -> Any:
        """h11's. `timeout_s`: without a byte coming."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                await self._receive(timeout_s)
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return event

    def is_done(self) -> bool:
        """Whether the next request may use the connection; it is ready for it then."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:  # nobody asked for it, so it answers nothing
            return False
        self._http.start_next_cycle()
        self._unused_since = self._loop.time()
        return not self._ended and not self._came

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _data(self, piece: bytes) -> list[bytes]:
        return self._http.send_with_data_passthrough(h11.Data(data=piece)) or []

    async def _write(self, pieces: list[bytes], timeout_s: float | None) -> bool:
        """Whether the connection still takes more."""
        if self._ended or self._transport is None:
            return False
        self._transport.writelines(pieces)
        if not self._may_write.is_set():
            try:
                async with asyncio.timeout(timeout_s):
                    await self._may_write.wait()
            except TimeoutError as error:
                raise httpx.WriteTimeout("the request was not taken in time") from error
        return not self._ended

    async def _receive(self, timeout_s: float | None) -> None:
        """Hands on what has come; what was cut off by a fault is none, and no end."""
        if not self._came and not self._ended:
            self._waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._waiter
            except TimeoutError as error:
                raise httpx.ReadTimeout("no answer in time") from error
            finally:
                self._waiter = None
        if self._came:
            self._http.receive_data(bytes(self._came))
            self._came.clear()
            if self._transport is not None:
                self._transport.resume_reading()
        elif self._fault is not None:
            raise httpx.ReadError(type(self._fault).__name__) from self._fault
        else:
            self._http.receive_data(b"")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Answer(httpx.AsyncByteStream):
    def __init__(self, wire: _Wire, timeout_s: float | None, give_back: Callable[[_Wire], None]) -> None:
        self._wire = wire
        self._timeout_s = timeout_s
        self._give_back = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not isinstance(event := await self._wire.next_event(self._timeout_s), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise httpx.RemoteProtocolError("the answer ended before it was whole")
            yield bytes(event.data)

    async def aclose(self) -> None:
        if self._wire.is_done():
            self._give_back(self._wire)
        else:
            self._wire.abort()
