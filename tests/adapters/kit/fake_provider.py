"""A provider made for the executor's tests: a raw socket server whose every answer the test decides, and the
smallest adapter that speaks to it.
"""

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from adapters.kit.errortable import CodeRow, ErrorTable
from adapters.kit.exchange import BlobChunk, Effect, Exchange, ProviderRequest, ProviderResponse
from adapters.kit.executor import Executor
from adapters.kit.options import ExecutorOptions
from adapters.kit.port import Authorization, Connection, Decision, DecisionKind, Limits
from config.secret import Secret

_TABLE = ErrorTable(
    (
        CodeRow(provider_code="TOKEN_OLD", kind=DecisionKind.AUTH_EXPIRED),
        CodeRow(provider_code="MOVED", kind=DecisionKind.BASE_MOVED),
        CodeRow(provider_code="SAFE_500", kind=DecisionKind.NOT_SENT),
        CodeRow(provider_code="OBJECT_BUSY", kind=DecisionKind.THROTTLED, per_object=True, retry_after_s=600),
    )
)


class Received(msgspec.Struct, frozen=True):
    """One request whose head arrived; `complete`: its whole body too."""

    method: str
    path: str
    headers: dict[str, str]
    size: int
    sha256: str
    complete: bool
    body: bytes


Behaviour = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answer(
    status: int = 200,
    body: bytes = b"{}",
    headers: tuple[str, ...] = (),
    content_type: str = "application/json",
) -> Behaviour:
    async def behave(_: Received, writer: asyncio.StreamWriter) -> None:
        extra = "".join(f"{line}\r\n" for line in headers)
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return behave


async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
    """The request was read, then the line went dead."""
    writer.transport.abort()


async def never(_: Received, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
    """An answer that is always about to come: each byte is in time for a read time-out."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def cut_off(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": ')
    await writer.drain()
    writer.transport.abort()


async def garbage(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01 this is no HTTP\r\n\r\n")
    await writer.drain()
    writer.close()


class FakeServer:
    """`received` is all that reached it; `behaviours` answer in order, the last one for ever."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._news = asyncio.Condition()
        self.behaviours: list[Behaviour] = [answer()]
        self.by_path: dict[str, Behaviour] = {}
        self.open_connections = 0
        self.keep_bodies = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.base = ""

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def next_behaviour(self, path: str) -> Behaviour:
        if path in self.by_path:
            return self.by_path[path]
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]

    async def until(self, count: int, path: str = "/things") -> None:
        """Returns as soon as so many requests have reached this path."""
        async with self._news:
            await self._news.wait_for(lambda: self.count(path) >= count)

    def count(self, path: str) -> int:
        return sum(received.path == path for received in self.received)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open_connections += 1
        try:
            while (received := await self._read(reader)) is not None:
                async with self._news:
                    self.received.append(received)
                    self._news.notify_all()
                if not received.complete:
                    break
                await self.next_behaviour(received.path)(received, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> Received | None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        line, *lines = head.decode().split("\r\n")
        method, path, _ = line.split(" ")
        headers = {n.lower(): v.strip() for n, _, v in (text.partition(":") for text in lines if text)}
        left = int(headers.get("content-length", "0"))
        digest, size, body = hashlib.sha256(), 0, b""
        while left:
            piece = await reader.read(min(left, 65536))
            if not piece:
                break
            left -= len(piece)
            size += len(piece)
            digest.update(piece)
            if self.keep_bodies:
                body += piece
        return Received(method, path.partition("?")[0], headers, size, digest.hexdigest(), left == 0, body)


class FakeAdapter:
    """Only what the executor asks of an adapter."""

    name = "fake"
    title = "Fake"
    limits = Limits(min_poll_interval_s=60, calls_per_hour=100_000, burst_calls=10_000, burst_window_s=30)

    def __init__(self, base: str) -> None:
        self.base = base
        self.token_life = timedelta(hours=1)
        self.hosts = {"127.0.0.1"}

    def account_key(self, connection: Connection) -> str:
        return connection.tenant_id

    def allowed_host(self, host: str, connection: Connection) -> bool:
        return host in self.hosts

    def authorization_headers(self, authorization: Authorization) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {authorization.token.reveal()}"),)

    def classify(self, operation: str, response: ProviderResponse) -> Decision:
        try:
            code = msgspec.json.decode(response.body, type=dict[str, str]).get("code", "")
        except msgspec.MsgspecError:
            code = ""
        return _TABLE.decide(operation, response, provider_code=code)

    def limit_headers(self, response: ProviderResponse) -> tuple[int, float] | None:
        if "x-remaining" not in response.headers:
            return None
        return int(response.headers["x-remaining"]), float(response.headers["x-reset"])

    async def authorize(self, exchange: Exchange, connection: Connection, now: datetime) -> Authorization:
        request = ProviderRequest(
            operation="token", method="POST", path=f"{self.base}/token", effect=Effect.NONE, authorized=False
        )
        response = await exchange(request)
        token = msgspec.json.decode(response.body, type=dict[str, str])["token"]
        return Authorization(token=Secret(token), expires_at=now + self.token_life, api_base=self.base)


class MemoryBlobs:
    """A blob store for tests: `read_pieces` bytes at a time, and it knows how much it gave out at once."""

    def __init__(self, **stored: bytes) -> None:
        self.stored = dict(stored)
        self.piece = 64 * 1024
        self.unfinished = 0

    async def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        content = self.stored[key]
        self.unfinished += 1
        try:
            for start in range(offset, len(content), self.piece):
                yield content[start : start + self.piece]
        finally:
            self.unfinished -= 1

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        content = b"".join([chunk async for chunk in chunks])
        digest = hashlib.sha256(content).hexdigest()
        self.stored[digest[:12]] = content
        return digest[:12], digest, len(content)


FAST = ExecutorOptions(
    connect_timeout_s=2,
    read_timeout_s=0.2,
    deadline_s=10,
    retry_first_wait_s=0.001,
    retry_longest_wait_s=0.002,
)

CONNECTION = Connection(id="con_1", tenant_id="account-1", credentials=None, allow_loopback=True)


def request(effect: Effect = Effect.CREATES, **changes: Any) -> ProviderRequest:
    fields: dict[str, Any] = {
        "operation": "make",
        "method": "GET" if effect is Effect.NONE else "POST",
        "path": "/things",
        "effect": effect,
        "accept": frozenset({200, 201}),
    }
    return ProviderRequest(**(fields | changes))


def document(key: str, size: int, **changes: Any) -> BlobChunk:
    return BlobChunk(blob_key=key, size_bytes=size, **changes)


class Bench:
    """An executor, a server and an adapter that belong together."""

    def __init__(self, server: FakeServer, executor: Executor, blobs: MemoryBlobs) -> None:
        self.server = server
        self.executor = executor
        self.blobs = blobs
        self.adapter: Any = FakeAdapter(server.base)
        numbers = itertools.count(1)

        async def tokens(received: Received, writer: asyncio.StreamWriter) -> None:
            await answer(body=b'{"token": "token-%d"}' % next(numbers))(received, writer)

        server.by_path["/token"] = tokens

    async def send(self, *requests: ProviderRequest, **options: Any) -> Any:
        """The outcome of an operation that sends these requests; its value is the last response."""

        async def operation(exchange: Exchange) -> ProviderResponse:
            for one in requests:
                response = await exchange(one)
            return response

        return await self.run(operation, **options)

    async def run(self, operation: Callable[[Exchange], Awaitable[Any]], **options: Any) -> Any:
        connection = options.pop("connection", CONNECTION)
        return await self.executor.run(
            self.adapter, connection, "operation", operation, blobs=self.blobs, **options
        )


@contextlib.asynccontextmanager
async def open_bench(options: ExecutorOptions = FAST, **more: Any) -> AsyncIterator[Bench]:
    server = FakeServer()
    await server.start()
    executor = Executor(options, **more)
    try:
        yield Bench(server, executor, MemoryBlobs())
    finally:
        await executor.aclose()
        await server.stop()
