"""A guarded connection for brokers' clients: every address vetted now, and a bounded appetite for answers.

A client library that resolved the name itself could be led elsewhere between check and use, so it is given a
connection that is made already. What a server may send is bounded: it owes us a few bytes per message, and a
hostile one must not fill our memory. Must never connect to an address that the guard has not passed.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from typing import SupportsIndex

from yarl import URL

from webhooks.outbound.guard import AddressRefused, Guard

HANDSHAKE_BYTES = 65_536
_READER_BYTES = 65_536
_TLS_CLOSE_S = 1.0


class WireFailed(Exception):
    """No connection; the text says why, for the tenant."""


class BoundedReader(asyncio.StreamReader):
    """A reader with an allowance: whoever answers more than `allow` granted is cut off."""

    def __init__(self) -> None:
        super().__init__(limit=_READER_BYTES)
        self._allowance = HANDSHAKE_BYTES

    def allow(self, size: int) -> None:
        """Grants the answer to one message; what earlier answers left over is forfeited."""
        self._allowance = size

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        part = bytes(data)
        self._allowance -= len(part)
        if self._allowance < 0:
            self.set_exception(ConnectionResetError("the server answered more than its protocol needs"))
            return
        super().feed_data(part)


class Wire:
    """A connection that can be ended at once, whatever a library waits for."""

    def __init__(self, reader: BoundedReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @property
    def is_open(self) -> bool:
        return not (self.writer.is_closing() or self.reader.at_eof() or self.reader.exception() is not None)

    def abort(self) -> None:
        self.writer.transport.abort()


async def open_wire(guard: Guard, url: URL, tls: ssl.SSLContext | None, *, within_s: float) -> Wire:
    """`tls` None: plain, which the guard has let pass for this machine only. Raises WireFailed."""
    host, port = url.raw_host or "", url.port or 0
    try:
        async with asyncio.timeout(within_s):
            sock = await _connect(guard, host, port)
            return await _wrap(sock, host, tls, within_s)
    except AddressRefused as error:
        raise WireFailed(str(error)) from error
    except TimeoutError as error:
        raise WireFailed("no connection in time") from error
    except socket.gaierror as error:
        raise WireFailed("the host name cannot be resolved") from error
    except ssl.SSLError as error:
        raise WireFailed(f"TLS failed: {error.reason or error}") from error
    except OSError as error:
        raise WireFailed(f"no connection: {error.strerror or error}") from error


async def _connect(guard: Guard, host: str, port: int) -> socket.socket:
    """A socket to the first vetted address that takes it."""
    loop = asyncio.get_running_loop()
    failure = OSError(f"{host} has no address")
    for address in await guard.resolve(host, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = guard.make_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)))
        try:
            await loop.sock_connect(sock, (address, port))
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:  # cancelled too: the socket is in no transport's hands
            sock.close()
            raise
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise failure


async def _wrap(sock: socket.socket, host: str, tls: ssl.SSLContext | None, within_s: float) -> Wire:
    loop = asyncio.get_running_loop()
    reader = BoundedReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    try:
        if tls is None:
            transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
        else:
            transport, _ = await loop.create_connection(
                lambda: protocol,
                sock=sock,
                ssl=tls,
                server_hostname=host,
                ssl_handshake_timeout=within_s,
                ssl_shutdown_timeout=_TLS_CLOSE_S,
            )
    except BaseException:  # as above
        sock.close()
        raise
    return Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
