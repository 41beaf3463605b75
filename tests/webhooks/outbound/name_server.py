"""A DNS server on UDP that rebinds: each name has answers that follow one another, with a TTL of 0.

`lookup` is a small stub resolver, which really asks it: for A and for AAAA, following aliases. The system's own
resolver may be pointed at it, too (see ssrf_world.py).
Source: RFC 1035 sections 3.2 and 4.1; RFC 3596 (AAAA).
"""

import asyncio
import itertools
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

A, CNAME, AAAA = 1, 5, 28
_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583


class NameServer(asyncio.DatagramProtocol):
    """`questions`: every name that was asked for, as it was written."""

    def __init__(self) -> None:
        self.address: tuple[str, int] = ("", 0)
        self.questions: list[str] = []
        self._turns: dict[str, list[Sequence[str]]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def say(self, name: str, *turns: Sequence[str]) -> None:
        """What each question for A opens in turn, the last for good. An entry is an address, or the name that
        this one is an alias of.
        """
        self._turns[name.lower()] = list(turns)

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, at = _read_name(data, 12)
        [kind] = struct.unpack_from("!H", data, at)
        self.questions.append(name)
        records = b""
        count = 0
        for owner, type_, value in self._answers(name.lower(), kind):
            records += _write_name(owner) + struct.pack("!HHIH", type_, 1, 0, len(value)) + value
            count += 1
        flags = _ANSWER if name.lower() in self._turns else _NO_SUCH_NAME
        head = data[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0)
        self._transport.sendto(head + data[12 : at + 4] + records, addr)

    def _answers(self, name: str, kind: int) -> list[tuple[str, int, bytes]]:
        turns = self._turns.get(name, [])
        current = turns[0] if turns else ()
        if kind == AAAA and len(turns) > 1:  # the second of a resolver's two questions ends the turn
            turns.pop(0)
        answers: list[tuple[str, int, bytes]] = []
        for entry in current:
            try:
                address = ip_address(entry)
            except ValueError:
                answers.append((name, CNAME, _write_name(entry)))
                answers += self._answers(entry, kind)
            else:
                if kind == (A if address.version == 4 else AAAA):
                    answers.append((name, kind, address.packed))
        return answers

    async def lookup(self, host: str, port: int) -> list[str]:
        found = [address for kind in (A, AAAA) for address in await self._ask(host, kind)]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    async def _ask(self, host: str, kind: int) -> list[str]:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.connect(self.address)
            question = (
                struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0)
                + _write_name(host)
                + struct.pack("!HH", kind, 1)
            )
            await loop.sock_sendall(sock, question)
            return _read_addresses(await loop.sock_recv(sock, 65_535), kind)


@asynccontextmanager
async def serve_names(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=(host, port))
    try:
        yield server
    finally:
        transport.close()


def _read_addresses(message: bytes, kind: int) -> list[str]:
    [count] = struct.unpack_from("!H", message, 6)
    _, at = _read_name(message, 12)
    at += 4
    found = []
    for _ in itertools.repeat(None, count):
        _, at = _read_name(message, at)
        type_, _, _, size = struct.unpack_from("!HHIH", message, at)
        at += 10
        if type_ == kind:
            family = socket.AF_INET if kind == A else socket.AF_INET6
            found.append(socket.inet_ntop(family, message[at : at + size]))
        at += size
    return found


def _read_name(message: bytes, at: int) -> tuple[str, int]:
    labels = []
    while size := message[at]:
        labels.append(message[at + 1 : at + 1 + size].decode("latin-1"))
        at += 1 + size
    return ".".join(labels), at + 1


def _write_name(name: str) -> bytes:
    labels = [label.encode("latin-1") for label in name.rstrip(".").split(".")]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
