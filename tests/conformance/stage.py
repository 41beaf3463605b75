"""One provider on stage: its adapter, its sandbox over real HTTP, the real executor, and a receiver that does
what the gateway does with webhooks.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from aiohttp import web

from adapters.kit.exchange import Exchange
from adapters.kit.executor import Executor
from adapters.kit.options import ExecutorOptions
from adapters.kit.outcome import Done, Outcome
from adapters.kit.port import Adapter, Connection, Created, RawRequest, SendMode
from normalizer.envelope import Envelope, EnvelopeReport
from normalizer.events import ProviderEvent
from normalizer.status import EnvelopeStatus
from tests.adapters.kit.fake_provider import MemoryBlobs
from tests.conformance.hand import Hand
from tests.conformance.sandbox_process import SandboxProcess

PATIENCE_S = 20.0
RETURN_URL = "https://dms.example/signed"
_numbers = itertools.count(1)


class Receiver:
    """The gateway's inbound door: verifies, answers as the adapter says, keeps what was authentic."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.connection: Connection | None = None
        self.kept: list[RawRequest] = []
        self.refused: list[RawRequest] = []
        self._news = asyncio.Condition()

    async def handle(self, incoming: web.Request) -> web.Response:
        assert self.connection is not None
        post = RawRequest(
            method=incoming.method,
            headers=tuple((name.lower(), value) for name, value in incoming.headers.items()),
            body=await incoming.read(),
        )
        if incoming.method == "GET":
            reply = self._adapter.challenge(post, self.connection)
        else:
            verdict = self._adapter.verify(post, self.connection)
            reply = self._adapter.acknowledge(post, self.connection, verdict)
            if verdict.authentic:
                await self.take([post])
            else:
                self.refused.append(post)
        return web.Response(status=reply.status, headers=dict(reply.headers), body=reply.body)

    async def take(self, posts: list[RawRequest]) -> None:
        async with self._news:
            self.kept += posts
            self._news.notify_all()

    def events_of(self, ref: str) -> list[ProviderEvent]:
        """Parsed in order of arrival."""
        events = (event for post in self.kept for event in self._adapter.parse(post.body))
        return [event for event in events if event.provider_ref == ref]

    async def until(self, is_enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(is_enough)


class Desk:
    """An adapter with a connection and documents, for what needs no call."""

    def __init__(self, adapter: Adapter, connection: Connection) -> None:
        self.adapter = adapter
        self.connection = connection
        self.blobs = MemoryBlobs()


class Stage:
    def __init__(
        self, adapter: Adapter, connection: Connection, executor: Executor, hand: Hand, receiver: Receiver
    ) -> None:
        self.adapter = adapter
        self.connection = connection
        self.executor = executor
        self.hand = hand
        self.receiver = receiver
        self.blobs = MemoryBlobs()
        self.learned: list[str] = []

    async def outcome(self, name: str, *arguments: Any, deadline_s: float = PATIENCE_S) -> Outcome[Any]:
        """How the adapter's operation of this name ended."""

        async def operate(exchange: Exchange) -> Any:
            return await getattr(self.adapter, name)(exchange, self.connection, *arguments)

        return await self.executor.run(
            self.adapter,
            self.connection,
            name,
            operate,
            blobs=self.blobs,
            on_learned=self._learn,
            deadline_s=deadline_s,
        )

    async def done(self, name: str, *arguments: Any) -> Any:
        outcome = await self.outcome(name, *arguments)
        assert isinstance(outcome, Done), f"{self.adapter.name} {name}: {outcome}"
        return outcome.value

    async def create(self, envelope: Envelope, mode: SendMode = SendMode.SEND) -> Created:
        created: Created = await self.done("create_envelope", envelope, mode, datetime.now(UTC))
        return created

    async def find(self, reference: str) -> tuple[EnvelopeReport, ...]:
        since = datetime.now(UTC) - timedelta(hours=1)
        found: tuple[EnvelopeReport, ...] = await self.done("find_envelopes", reference, since)
        return found

    async def until_status(self, ref: str, *wanted: EnvelopeStatus) -> EnvelopeReport:
        """Asks until the provider says so: some prepare documents first."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                report: EnvelopeReport = await self.done("get_envelope", ref)
                if report.status in wanted:
                    return report
                await asyncio.sleep(0.05)

    async def sent(self, envelope: Envelope) -> str:
        """The provider's id of a new envelope that its first recipients can sign."""
        created = await self.create(envelope)
        await self.until_status(created.provider_ref, EnvelopeStatus.SENT)
        return created.provider_ref

    async def open_page(self, url: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.get(url)

    async def _learn(self, ref: str) -> None:
        self.learned.append(ref)


def connect(
    adapter: Adapter,
    sandbox: SandboxProcess | None,
    webhook_url: str = "",
    credentials: dict[str, Any] | None = None,
) -> Connection:
    own = credentials or (sandbox.credentials if sandbox else {})
    return Connection(
        id=f"con_{next(_numbers)}",
        tenant_id="ten_conformance",
        credentials=adapter.decode_credentials(json.dumps(own).encode()),
        webhook_url=webhook_url,
        allow_loopback=True,
    )


@contextlib.asynccontextmanager
async def open_stage(
    adapter: Adapter, sandbox: SandboxProcess, hand: Hand, credentials: dict[str, Any] | None = None
) -> AsyncIterator[Stage]:
    receiver = Receiver(adapter)
    application = web.Application(client_max_size=16 * 1024 * 1024)
    application.router.add_route("*", "/hooks", receiver.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    connection = connect(adapter, sandbox, f"http://127.0.0.1:{port}/hooks", credentials)
    receiver.connection = connection
    executor = Executor(ExecutorOptions(retry_first_wait_s=0.01, retry_longest_wait_s=0.05), sleep=_nap)
    await hand.heal()
    try:
        yield Stage(adapter, connection, executor, hand, receiver)
    finally:
        await executor.aclose()
        await runner.cleanup()


async def _nap(seconds: float) -> None:
    """A sandbox prepares documents faster than a provider."""
    await asyncio.sleep(min(seconds, 0.15))
