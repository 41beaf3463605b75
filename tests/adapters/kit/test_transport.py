"""One connection to a provider: when it is used again, what it does with answers of every form, and TLS."""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from adapters.kit.transport import LineTransport

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SENDING = "http11.send_request_headers.started"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """`answers` are the bytes after each request's head, over all connections; the last for ever."""

    def __init__(self, *answers: bytes, closes: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self.answers, self.closes, self.tls = list(answers), closes, tls
        self.connections = 0
        self.closed: asyncio.Queue[None] = asyncio.Queue()
        self.heads: list[bytes] = []
        self.base = ""

    @asynccontextmanager
    async def running(self, handler: Handler | None = None) -> AsyncIterator["Server"]:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await (handler or self._serve)(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass
            finally:
                tasks.discard(task)
                writer.close()
                with suppress(ConnectionError, ssl.SSLError):
                    await writer.wait_closed()
                self.closed.put_nowait(None)

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=self.tls)
        port = server.sockets[0].getsockname()[1]
        self.base = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}"
        async with server:
            yield self
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
            await writer.drain()
            if self.closes:
                break


@asynccontextmanager
async def line(tls: ssl.SSLContext | None = None, idle_s: float = 30.0) -> AsyncIterator[LineTransport]:
    transport = LineTransport(tls or ssl.create_default_context(), idle_s=idle_s)
    try:
        yield transport
    finally:
        await transport.aclose()


async def ask(transport: LineTransport, base: str, **given: object) -> tuple[int, bytes]:
    timeout = {"connect": 5.0, "read": 5.0, "write": 5.0}
    extensions = {"timeout": timeout, **given.pop("extensions", {})}  # type: ignore[dict-item]
    request = httpx.Request(
        str(given.pop("method", "GET")),
        f"{base}/things",
        extensions=extensions,
        **given,  # type: ignore[arg-type]
    )
    response = await transport.handle_async_request(request)
    try:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        return response.status_code, b"".join([piece async for piece in response.stream])
    finally:
        await response.aclose()


async def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    async with Server(OK).running() as server, line() as transport:
        assert [await ask(transport, server.base) for _ in range(3)] == [(200, b"ok")] * 3
        assert server.connections == 1


async def test_a_connection_that_lay_unused_too_long_is_not_used_again() -> None:
    async with Server(OK).running() as server, line(idle_s=0.0) as transport:
        await ask(transport, server.base)
        await asyncio.sleep(0.01)
        await ask(transport, server.base)
        assert server.connections == 2


async def test_a_connection_that_the_other_side_closed_is_not_used_again() -> None:
    async with Server(OK, closes=True).running() as server, line() as transport:
        for _ in range(3):
            assert await ask(transport, server.base) == (200, b"ok")
            await server.closed.get()
        assert (server.connections, len(server.heads)) == (3, 3)


async def test_a_loop_that_has_not_read_the_end_yet_asks_the_socket() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    served, closed = [], threading.Event()

    def serve() -> None:
        for _ in range(2):
            peer, _ = listener.accept()
            with peer:
                served.append(peer.recv(65_536))
                peer.sendall(OK)
            closed.set()

    thread = threading.Thread(target=serve)
    thread.start()
    async with line() as transport:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert await ask(transport, base) == (200, b"ok")
        closed.wait()  # the loop hears nothing meanwhile
        assert await ask(transport, base) == (200, b"ok")
    thread.join()
    listener.close()
    assert len(served) == 2


async def test_bytes_after_an_answer_are_never_the_answer_to_the_next_request() -> None:
    smuggled = OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    async with Server(smuggled, OK).running() as server, line() as transport:
        assert [await ask(transport, server.base) for _ in range(2)] == [(200, b"ok")] * 2
        assert server.connections == 2


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["chunked", "informational", "without a body"],
)
async def test_every_form_of_an_answer_is_read_and_leaves_the_connection_usable(
    raw: bytes, body: bytes
) -> None:
    async with Server(raw, raw).running() as server, line() as transport:
        assert [(await ask(transport, server.base))[1] for _ in range(2)] == [body, body]
        assert server.connections == 1


async def test_an_answer_that_ends_with_its_connection_is_whole() -> None:
    async with (
        Server(b"HTTP/1.0 200 OK\r\n\r\nall of it", closes=True).running() as server,
        line() as transport,
    ):
        assert await ask(transport, server.base) == (200, b"all of it")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"",
    ],
    ids=["cut off", "two lengths", "endless head", "upgrade", "nothing"],
)
async def test_what_is_no_whole_answer_is_an_error_and_the_connection_is_left(raw: bytes) -> None:
    async with Server(raw, OK, closes=True).running() as server, line() as transport:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(transport, server.base)
        assert await ask(transport, server.base) == (200, b"ok")
        assert server.connections == 2


async def test_a_refusal_in_the_middle_of_an_upload_is_the_answer() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        await writer.drain()
        while await reader.read(
            65_536
        ):  # a socket that is closed with unread bytes in it takes the answer along
            pass

    async def body() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield bytes(65_536)

    async with Server().running(refuse) as server, line() as transport:
        headers = {"content-length": str(64 * 65_536)}
        answer = await ask(transport, server.base, method="POST", content=body(), headers=headers)
        assert answer == (413, b"big")


async def test_an_answer_that_nobody_reads_is_not_taken_into_memory() -> None:
    sent = 0
    whole = 64 * 1024 * 1024

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % whole)
        while sent < whole:
            writer.write(bytes(1024 * 1024))
            await writer.drain()
            sent += 1024 * 1024

    async with Server().running(pour) as server, line() as transport:
        response = await transport.handle_async_request(httpx.Request("GET", server.base))
        await asyncio.sleep(0.3)
        assert sent < whole / 2  # what lies in the sockets' buffers, and a little here
        assert isinstance(response.stream, httpx.AsyncByteStream)
        assert sum([len(piece) async for piece in response.stream]) == whole
        await response.aclose()


async def test_the_first_byte_is_told_before_it_leaves_and_never_for_a_refused_connection() -> None:
    told: list[str] = []

    async def trace(event: str, _: object) -> None:
        told.append(event)

    async with Server(OK).running() as server, line() as transport:
        await ask(transport, server.base, extensions={"trace": trace})
        assert told == [SENDING]
    with pytest.raises(httpx.ConnectError):
        async with line() as transport:
            await ask(transport, server.base, extensions={"trace": trace})
    assert told == [SENDING]


async def test_a_certificate_is_checked_before_anything_is_sent(tmp_path: Path) -> None:
    theirs, ours = contexts(tmp_path)
    async with Server(OK, tls=theirs).running() as server:
        async with line() as stranger:
            with pytest.raises(httpx.ConnectError):
                await ask(stranger, server.base)
        assert server.heads == []
        async with line(ours) as transport:
            assert [await ask(transport, server.base) for _ in range(2)] == [(200, b"ok")] * 2
        assert (len(server.heads), server.connections) == (2, 1)


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for 127.0.0.1, and one that believes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    pem = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())
