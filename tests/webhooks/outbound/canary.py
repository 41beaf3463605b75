"""Listeners that nobody may connect to, and that count whoever does."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager


class Canary:
    """`host`: an address of this machine that no other test listens on."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.connections: list[tuple[str, int]] = []

    async def count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer.get_extra_info("sockname")[:2])
        writer.transport.abort()


def own_loopback_address() -> str:
    """One of 127/8's sixteen million: the ports of webhooks and brokers are fixed, and tests run side by side."""
    return f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(2, 254)}"


@asynccontextmanager
async def watch(ports: Iterable[int], *hosts: str) -> AsyncIterator[Canary]:
    """Listens on every port of the hosts, or of an address of its own."""
    canary = Canary(hosts[0] if hosts else own_loopback_address())
    async with AsyncExitStack() as open_:
        for port in ports:
            for host in hosts or (canary.host,):
                await open_.enter_async_context(await asyncio.start_server(canary.count, host, port))
        yield canary
