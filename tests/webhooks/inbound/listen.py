"""An ASGI application behind granian on loopback, in the test's own event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from config.processes import free_port


@asynccontextmanager
async def listen(app: Any) -> AsyncIterator[str]:
    """The address of the running server."""
    port = free_port()
    server = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False,
        log_level=LogLevels.critical,
    )  # fmt: skip
    serving = asyncio.create_task(server.serve())
    base = f"http://127.0.0.1:{port}"
    try:
        await _answering(base, serving)
        yield base
    finally:
        server.stop()
        await serving


async def _answering(base: str, serving: "asyncio.Task[None]") -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(200):
            if serving.done():
                raise RuntimeError("the server ended before it answered")
            try:
                async with session.get(base + "/health"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)
    raise TimeoutError("the server did not answer")
