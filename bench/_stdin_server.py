"""Serves a protocol in a process of its own, on a port that it prints, until its parent closes its stdin."""

import asyncio
import os
import sys
from collections.abc import Callable


def serve(protocol: Callable[[], asyncio.BaseProtocol], *, backlog: int) -> None:
    """Returns when stdin ends: no child outlives the bench that started it."""
    asyncio.run(_serve(protocol, backlog))


async def _serve(protocol: Callable[[], asyncio.BaseProtocol], backlog: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, backlog=backlog)
    print(server.sockets[0].getsockname()[1], flush=True)
    closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: closed.set() if not os.read(sys.stdin.fileno(), 1) else None)
    await closed.wait()
    server.close()
