"""A tenant's receiver that remembers every post, checks it, and misbehaves when it is told to."""

import asyncio
import hashlib
from collections import defaultdict
from typing import Self

from aiohttp import web

from gateway.cli.demo.receiver import verify_by_design


class Recorder:
    """Endpoints by name under one server. `posts[name][webhook-id]` is one body hash for each arrival."""

    def __init__(self) -> None:
        self.posts: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        self.problems: list[str] = []
        self.behaviour: dict[str, str] = {}
        self.redirected = 0
        self.hung = 0
        self._secrets: dict[str, str] = {}
        self._runner: web.AppRunner | None = None
        self._base = ""
        self._release = asyncio.Event()

    def url(self, name: str) -> str:
        return f"{self._base}/hooks/{name}"

    def trust(self, name: str, secret: str) -> None:
        self._secrets[name] = secret

    @property
    def secrets(self) -> list[str]:
        return list(self._secrets.values())

    def repeated(self, name: str) -> int:
        """Arrivals beyond the first of each id."""
        return sum(len(bodies) - 1 for bodies in self.posts[name].values())

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=1024 * 1024)
        application.router.add_post("/hooks/{name}", self._receive)
        application.router.add_route("*", "/elsewhere", self._elsewhere)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        body = await request.read()
        behaviour = self.behaviour.get(name, "")
        if behaviour == "hang":
            self.hung += 1
            await self._release.wait()
        if behaviour == "gone":
            return web.Response(status=410)
        if behaviour == "redirect":
            return web.Response(status=307, headers={"location": f"{self._base}/elsewhere"})
        if behaviour == "slow":
            await asyncio.sleep(0.3)
        self._check(name, body, request)
        self.posts[name][request.headers["webhook-id"]].append(hashlib.sha256(body).hexdigest())
        return web.Response(status=204)

    async def _elsewhere(self, _: web.Request) -> web.Response:
        self.redirected += 1
        return web.Response(status=204)

    def _check(self, name: str, body: bytes, request: web.Request) -> None:
        try:
            verify_by_design(body, request.headers, self._secrets[name])
        except Exception as error:  # noqa: BLE001  (whatever it is means: not verified)
            self.problems.append(f"{name}: {type(error).__name__}: {error}")
