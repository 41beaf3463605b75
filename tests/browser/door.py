"""A real address for a gateway that runs in the test's own process: a browser needs one."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from aiohttp import web

from tests.gateway.world import World

_OF_THE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "date", "server"}


@asynccontextmanager
async def open_door(world: World, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The origin under which the world's application answers, header for header; https with `tls`."""
    client = httpx.AsyncClient(transport=httpx.ASGITransport(world.app), timeout=60)

    async def pass_on(request: web.Request) -> web.Response:
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower() not in _OF_THE_HOP
        ]
        headers = [pair for pair in headers if pair[0].lower() != "accept-encoding"]
        answer = await client.request(
            request.method, str(request.url), headers=headers, content=await request.read()
        )
        passed = web.Response(status=answer.status_code, body=answer.content)
        passed.headers.popall("content-type", None)
        for name, value in answer.headers.multi_items():
            if name.lower() not in _OF_THE_HOP | {"content-length"}:
                passed.headers.add(name, value)
        return passed

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()
        await client.aclose()
