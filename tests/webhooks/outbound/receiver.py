"""A real receiver on 127.0.0.1 that remembers every request and answers as the test says."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.web_runner import AppRunner, TCPSite


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answerer = Callable[[web.Request, Received], Awaitable[web.StreamResponse]]


async def accept(request: web.Request, received: Received) -> web.StreamResponse:
    return web.Response(status=204)


@dataclass
class Receiver:
    url: str = ""
    answer: Answerer = accept
    requests: list[Received] = field(default_factory=list)
    peers: Counter = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(request.path, dict(request.headers), await request.read())
        self.requests.append(received)
        self.peers[request.transport.get_extra_info("peername")] += 1
        self.arrived.set()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self.answer(request, received)
        finally:
            self.in_flight -= 1

    @property
    def ids(self) -> list[str]:
        return [request.id for request in self.requests]


def always(status: int, **headers: str) -> Answerer:
    async def answer(request: web.Request, received: Received) -> web.StreamResponse:
        return web.Response(status=status, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


@asynccontextmanager
async def serve(answer: Answerer = accept) -> AsyncIterator[Receiver]:
    receiver = Receiver(answer=answer)
    app = web.Application(client_max_size=4 * 2**20)
    app.router.add_route("*", "/{tail:.*}", receiver.handle)
    runner = AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
