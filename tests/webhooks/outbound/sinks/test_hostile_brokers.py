"""Servers that talk nonsense, too much, too slowly or in crumbs: each costs its own message and nothing else."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from config.secret import Secret
from tests.webhooks.outbound.sinks.stands import make_message, make_route, sinks_of
from webhooks.outbound.client import Answer
from webhooks.outbound.sinks.target import ExchangeTarget, SinkKind, StreamTarget

REDIS, AMQP = SinkKind.REDIS_STREAM, SinkKind.AMQP
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(handle: Handle) -> AsyncIterator[int]:
    tasks: set[asyncio.Task] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await handle(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def send_to(kind: SinkKind, handle: Handle, *, timeout_s: float = 0.4) -> Answer:
    async with raw_server(handle) as port, sinks_of() as sinks:
        route = make_route(
            f"{'redis' if kind is REDIS else 'amqp'}://127.0.0.1:{port}/",
            sink=kind,
            target=StreamTarget("s") if kind is REDIS else ExchangeTarget("", "q"),
            user="u",
            password=Secret("a-password"),
            timeout_s=timeout_s,
        )
        return await sinks[kind].send(route, make_message())


def saying(*parts: bytes) -> Handle:
    """Answers each thing it hears with the next part, then hears no more."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            await reader.read(65_536)
            writer.write(part)
            await writer.drain()
        await reader.read(65_536)

    return handle


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\r\n",
        b"$-5\r\n",
        b"$x\r\n",
        b"*99999999\r\n",
        b"*1\r\n" * 15_000,
        b"+OK",
        b"\x00" * 100,
        b"-\xff\xfe\r\n",
        b"-MOVED 1 169.254.169.254:6379\r\n",
        b">2\r\n+MOVING\r\n+169.254.169.254\r\n",
    ],
    ids=range(11),
)
async def test_an_answer_that_is_no_redis_is_a_failure_in_words(answer: bytes):
    result = await send_to(REDIS, saying(b"+OK\r\n", answer))
    assert result.status is None
    assert result.error
    assert "a-password" not in result.error


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\x00\x00\x09\x01",
        b"\x00" * 100,
        struct.pack(">BHI", 1, 0, 11) + struct.pack(">HHBBI", 10, 10, 9, 9, 0)[:11] + b"\xce",
        struct.pack(">BHI", 1, 0, 0xFFFFFFFF),
        struct.pack(">BHI", 8, 0, 0) + b"\xce",
    ],
    ids=range(6),
)
async def test_an_answer_that_is_no_amqp_is_a_failure_in_words(answer: bytes):
    result = await send_to(AMQP, saying(answer))
    assert result.status is None
    assert result.error
    assert "a-password" not in result.error


@pytest.mark.parametrize("kind", [REDIS, AMQP], ids=str)
async def test_a_server_that_floods_is_cut_off(kind: SinkKind):
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.read(65_536)
        writer.write(b"$900000000\r\n" if kind is REDIS else struct.pack(">BHI", 1, 0, 900_000_000))
        for _ in range(1000):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            written += 1_000_000

    result = await send_to(kind, flood, timeout_s=20)
    assert result.status is None
    assert "broke" in result.error
    assert written < 50_000_000


@pytest.mark.parametrize("kind", [REDIS, AMQP], ids=str)
async def test_a_server_that_drips_is_given_up_after_the_whole_time(kind: SinkKind):
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = b"+" if kind is REDIS else struct.pack(">BHI", 1, 0, 60_000)
        for at in range(10_000):
            writer.write(start[at : at + 1] or b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    result = await send_to(kind, drip, timeout_s=0.4)
    assert (result.error, result.slow) == ("no answer within 0.4 s", True)


def frame(channel: int, class_: int, method: int, arguments: bytes = b"") -> bytes:
    payload = struct.pack(">HH", class_, method) + arguments
    return struct.pack(">BHI", 1, channel, len(payload)) + payload + b"\xce"


START = frame(
    0,
    10,
    10,
    b"\x00\x09" + struct.pack(">I", 0) + struct.pack(">I", 5) + b"PLAIN" + struct.pack(">I", 5) + b"en_US",
)


@pytest.mark.parametrize("frame_max", [8, 9, 100, 4095])
async def test_a_broker_that_wants_messages_in_crumbs_is_refused(frame_max: int):
    tune = frame(0, 10, 30, struct.pack(">HIH", 0, frame_max, 60))
    result = await send_to(AMQP, saying(START, tune, frame(0, 10, 41, b"\x00")))
    assert result.status is None
    assert result.error == "the broker allows frames that are smaller than AMQP's smallest"
