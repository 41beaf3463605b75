"""The real sandbox as a process of its own, the real executor, and a receiver of its webhooks."""

import asyncio
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec
import pikepdf
import pytest
from aiohttp import web

from adapters.adobe_sign import ADAPTER
from adapters.kit.executor import Executor
from adapters.kit.outcome import Done
from adapters.kit.port import Connection, RawRequest


class MemoryBlobs:
    """Documents in memory, by key."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        content = self.kept[key]
        for start in range(offset, len(content), 65536):
            yield content[start : start + 65536]

    async def write(self, chunks: AsyncIterator[bytes]) -> tuple[str, str, int]:
        content = b"".join([chunk async for chunk in chunks])
        key = f"kept-{len(self.kept)}"
        self.kept[key] = content
        return key, hashlib.sha256(content).hexdigest(), len(content)


class Sandbox:
    """The running sandbox, and the adapter's operations against it through the executor."""

    def __init__(self, url: str, connection: Connection) -> None:
        self.url = url
        self.connection = connection
        self.blobs = MemoryBlobs()
        self.learned: list[str] = []
        self.executor = Executor()

    async def outcome(self, name: str, *arguments, connection: Connection | None = None):
        connection = connection or self.connection
        operation = getattr(ADAPTER, name)

        async def learned(ref: str) -> None:
            self.learned.append(ref)

        return await self.executor.run(
            ADAPTER,
            connection,
            name,
            lambda exchange: operation(exchange, connection, *arguments),
            blobs=self.blobs,
            on_learned=learned,
        )

    async def run(self, name: str, *arguments, connection: Connection | None = None):
        outcome = await self.outcome(name, *arguments, connection=connection)
        assert isinstance(outcome, Done), outcome
        return outcome.value

    async def control(self, method: str, path: str, body: object = None):
        async with httpx.AsyncClient() as client:
            response = await client.request(method, f"{self.url}sandbox{path}", json=body)
        assert response.status_code < 300, response.text
        return response.json()

    async def act(self, ref: str, action: str, **more: object):
        return await self.control("POST", f"/agreements/{ref}/actions", {"action": action} | more)


@pytest.fixture(scope="module")
def sandbox_process() -> Iterator[dict]:
    process = subprocess.Popen(
        [
            sys.executable,
            *("-m", "adapters.adobe_sign.sandbox", "--port", "0", "--json"),
            *("--webhook-allow", "127.0.0.1", "--processing-seconds", "0.05"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
async def sandbox(sandbox_process) -> AsyncIterator[Sandbox]:
    credentials = ADAPTER.decode_credentials(json.dumps(sandbox_process["credentials"]).encode())
    connection = Connection(id="con_sandbox", tenant_id="ten_1", credentials=credentials, allow_loopback=True)
    running = Sandbox(sandbox_process["url"].rstrip("/") + "/", connection)
    await running.control("POST", "/reset")
    yield running
    await running.executor.aclose()


class Receiver:
    """Answers as the gateway's inbound path does, and keeps what was authentic."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.url = ""
        self.events = []
        self.has_more = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        raw = RawRequest(
            method=request.method,
            headers=tuple((name.lower(), value) for name, value in request.headers.items()),
            body=body,
        )
        if request.method == "GET":
            reply = ADAPTER.challenge(raw, self.connection)
        else:
            verdict = ADAPTER.verify(raw, self.connection)
            if verdict.authentic:
                self.events.extend(ADAPTER.parse(body))
                self.has_more.set()
            reply = ADAPTER.acknowledge(raw, self.connection, verdict)
        return web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)

    async def wait_for(self, provider_event: str):
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if event.provider_event.startswith(provider_event):
                        return event
                self.has_more.clear()
                await self.has_more.wait()


@pytest.fixture
async def receiver(sandbox) -> AsyncIterator[Receiver]:
    made = Receiver(sandbox.connection)
    app = web.Application()
    app.router.add_route("*", "/hooks/{tail:.*}", made.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    made.url = f"http://127.0.0.1:{port}/hooks/unguessable"
    sandbox.connection = msgspec.structs.replace(sandbox.connection, webhook_url=made.url)
    yield made
    await runner.cleanup()


@pytest.fixture(scope="session")
def pdf_bytes() -> bytes:
    """Two pages of A4."""
    out = io.BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(595, 842))
        pdf.add_blank_page(page_size=(595, 842))
        pdf.save(out)
    return out.getvalue()
