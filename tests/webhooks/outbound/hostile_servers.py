"""Twenty ways in which a receiver can be hostile, each a server on a port of its own.

`HOLDING` ones keep their connection for as long as they are let; the others end each exchange, in a bad way.
"""

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from tests.webhooks.outbound.sinks.certificates import DAY, Issued, TestAuthority, authority

Handle = Callable[["Hostile", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

PART = b"x" * 65_536
BOMB = gzip.compress(b"\0" * 20_000_000)
GIGABYTE = 10**9


class Hostile:
    """`most_written`: how many bytes it could put into one connection."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self.most_written = 0


async def _flood(server: Hostile, writer: asyncio.StreamWriter, head: bytes, part: bytes) -> None:
    """Up to a gigabyte, as fast as it is taken."""
    writer.write(head)
    written = 0
    while written < GIGABYTE:
        writer.write(part)
        await writer.drain()
        written += len(part)
        server.most_written = max(server.most_written, written)


async def _drip(writer: asyncio.StreamWriter, head: bytes, part: bytes) -> None:
    writer.write(head)
    while True:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(server, reader, writer) -> None:
    await asyncio.Event().wait()


async def drips_its_status_line(server, reader, writer) -> None:
    await _drip(writer, b"HTTP/1.1 200 ", b"O")


async def drips_headers(server, reader, writer) -> None:
    await _drip(writer, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")


async def drips_header_after_header(server, reader, writer) -> None:
    await _drip(writer, b"HTTP/1.1 200 OK\r\n", b"A: b\r\n")


async def drips_its_body(server, reader, writer) -> None:
    await _drip(writer, b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n", b"x")


async def drips_chunks(server, reader, writer) -> None:
    await _drip(writer, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n")


async def continues_for_ever(server, reader, writer) -> None:
    await _drip(writer, b"", b"HTTP/1.1 100 Continue\r\n\r\n")


async def promises_a_body(server, reader, writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
    await asyncio.Event().wait()


async def answers_a_gigabyte(server, reader, writer) -> None:
    await _flood(server, writer, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", PART)


async def fails_with_a_gigabyte(server, reader, writer) -> None:
    head = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
    await _flood(server, writer, head, b"10000\r\n" + PART + b"\r\n")


async def floods_headers(server, reader, writer) -> None:
    await _flood(server, writer, b"HTTP/1.1 200 OK\r\nX: ", PART)


async def has_huge_headers(server, reader, writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n")


async def sends_a_bomb(server, reader, writer) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB
    )


async def redirects_to_itself(server, reader, writer) -> None:
    writer.write(f"HTTP/1.1 307 Again\r\nLocation: {server.url}\r\nContent-Length: 0\r\n\r\n".encode())


async def resets(server, reader, writer) -> None:
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def closes_its_half(server, reader, writer) -> None:
    writer.write_eof()
    await asyncio.Event().wait()


async def talks_nonsense(server, reader, writer) -> None:
    writer.write(b"\0\xffGARBAGE 999999 \r\n\r\n")


async def is_gone(server, reader, writer) -> None:
    writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")


async def always_has_too_much(server, reader, writer) -> None:
    writer.write(b"HTTP/1.1 429 Later\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")


async def would_take_anything(server, reader, writer) -> None:
    writer.write(b"HTTP/1.1 204 Taken\r\n\r\n")


HOLDING: tuple[Handle, ...] = (
    silent, drips_its_status_line, drips_headers, drips_header_after_header, drips_its_body, drips_chunks, continues_for_ever,
    promises_a_body,
)  # fmt: skip
ENDING: tuple[Handle, ...] = (
    answers_a_gigabyte, fails_with_a_gigabyte, floods_headers, has_huge_headers, sends_a_bomb, redirects_to_itself, resets,
    closes_its_half, talks_nonsense, is_gone, always_has_too_much,
)  # fmt: skip
CERTIFICATES = ("self_signed", "expired")


@asynccontextmanager
async def serve_hostile(handle: Handle, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hostile]:
    """Each connection is kept until its handler ends; those that are open at the end are cut."""
    server = Hostile()
    tasks: set[asyncio.Task] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            server.requests += 1
            await handle(server, reader, writer)
        writer.close()
        if asyncio.current_task().cancelling():
            writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    listening = await asyncio.start_server(serve_one, "127.0.0.1", 0, ssl=tls)
    scheme = "http" if tls is None else "https"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/hook"
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def serve_all() -> AsyncIterator[dict[str, Hostile]]:
    """By name. The one with the expired certificate is of the tests' authority, and its endpoint may trust that."""
    async with AsyncExitStack() as stack:
        servers = {
            one.__name__: await stack.enter_async_context(serve_hostile(one)) for one in (*HOLDING, *ENDING)
        }
        certificates = (
            TestAuthority("itself").issue("server"),
            authority().issue("server", since=-3 * DAY, until=-DAY),
        )
        for name, issued in zip(CERTIFICATES, certificates, strict=True):
            opened = serve_hostile(would_take_anything, _context(issued))
            servers[name] = await stack.enter_async_context(opened)
        yield servers


def _context(issued: Issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(issued.pem + issued.key_pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context
