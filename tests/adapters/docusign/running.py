"""The sandbox as a process of its own, a connection to it, and a receiver for its webhooks."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx
import msgspec
from aiohttp import web

from adapters.docusign.adapter import DocuSign
from adapters.kit.exchange import Exchange
from adapters.kit.executor import Executor
from adapters.kit.options import ExecutorOptions
from adapters.kit.outcome import Done, Outcome
from adapters.kit.port import Connection, RawRequest
from config.secret import Secret
from normalizer.events import ProviderEvent
from tests.adapters.docusign import samples

T = TypeVar("T")


class Ready(msgspec.Struct):
    url: str
    credentials: dict[str, Any]


@contextlib.contextmanager
def sandbox_process() -> Iterator[Ready]:
    command = [sys.executable, "-m", "adapters.docusign.sandbox", "--json", "--webhook-allow", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        ready = msgspec.json.decode(process.stdout.readline(), type=Ready, strict=False)
        yield ready
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


class Receiver:
    """Takes Connect messages as the gateway would: verify, parse, answer in the adapter's own form."""

    def __init__(self, adapter: DocuSign) -> None:
        self.adapter = adapter
        self.connection: Connection | None = None
        self.events: list[ProviderEvent] = []
        self.refused: list[str] = []
        self._arrived = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        assert self.connection is not None
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        raw = RawRequest(method=request.method, headers=headers, body=await request.read())
        verdict = self.adapter.verify(raw, self.connection)
        if verdict.authentic:
            self.events.extend(self.adapter.parse(raw.body))
        else:
            self.refused.append(verdict.reason)
        async with self._arrived:
            self._arrived.notify_all()
        reply = self.adapter.acknowledge(raw, self.connection, verdict)
        return web.Response(status=reply.status, body=reply.body)

    async def wait_for(self, provider_ref: str, name: str) -> ProviderEvent:
        async with asyncio.timeout(20), self._arrived:
            while True:
                for event in self.events:
                    if (event.provider_ref, event.provider_event) == (provider_ref, name):
                        return event
                await self._arrived.wait()


class Bench:
    """The real adapter, executor and sandbox, put together."""

    def __init__(self, ready: Ready, executor: Executor, receiver: Receiver, webhook_url: str) -> None:
        self.ready = ready
        self.adapter = receiver.adapter
        self.executor = executor
        self.receiver = receiver
        self.blobs = samples.MemoryBlobs(blob_1=samples.pdf(), blob_2=samples.pdf(2))
        self.learned: list[str] = []
        self.connection = Connection(
            id="con_sandbox",
            tenant_id="ten_1",
            credentials=self.adapter.decode_credentials(json.dumps(ready.credentials).encode()),
            webhook_url=webhook_url,
            webhook_keys=(Secret(ready.credentials["webhook_secret"]),),
            allow_loopback=True,
        )
        receiver.connection = self.connection

    async def attempt(self, name: str, operation: Callable[[Exchange], Awaitable[T]]) -> Outcome[T]:
        return await self.executor.run(
            self.adapter, self.connection, name, operation, blobs=self.blobs, on_learned=self._learn
        )

    async def do(self, name: str, operation: Callable[[Exchange], Awaitable[T]]) -> T:
        outcome = await self.attempt(name, operation)
        assert isinstance(outcome, Done), outcome
        return outcome.value

    async def act(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=f"{self.ready.url}/sandbox") as client:
            response = await client.post(path, json=body or {})
        assert response.status_code < 300, response.text
        return response.json()

    async def _learn(self, provider_ref: str) -> None:
        self.learned.append(provider_ref)


@contextlib.asynccontextmanager
async def open_bench(ready: Ready) -> AsyncIterator[Bench]:
    receiver = Receiver(DocuSign())
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    executor = Executor(ExecutorOptions(deadline_s=30.0))
    try:
        yield Bench(ready, executor, receiver, f"http://127.0.0.1:{port}/hook")
    finally:
        await executor.aclose()
        await runner.cleanup()
