"""A provider whose webhook configuration can be looked at and mended: in memory, and the world around it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import Interruption
from adapters.kit.port import Connection, CredentialHealth, WebhookFinding
from config.secret import Secret
from config.settings import GeneralSettings, Settings
from gateway.envelopes.sweep_changes import sweep_changes_due
from tests.fixtures.store import Store
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import Tenant, World, make_settings, open_world
from tests.webhooks.inbound.listen import listen

MISSING = WebhookFinding(code="missing", says="There is none.", provider_refs=("alpha-1",), repairable=True)
OFF = WebhookFinding(code="inactive", says="It is off.", ref="8", repairable=True)
BROKEN = WebhookFinding(code="unsigned", says="It signs nothing.", ref="7")


class Administered(FakeProvider):
    """A provider in memory whose webhook configuration can be looked at, and whose credentials die of idleness."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.wrong: list[WebhookFinding] = []
        self.refusals: list[Any] = []
        self.asked_about: list[tuple[str, ...]] = []

    async def check_webhooks(self, exchange: Exchange, connection: Connection, open_refs: Any) -> Any:
        self.calls.append("check_webhooks")
        self.asked_about.append(tuple(open_refs))
        if self.refusals:
            raise Interruption(self.refusals.pop(0))
        return tuple(self.wrong)

    async def repair_webhooks(self, exchange: Exchange, connection: Connection, findings: Any) -> Any:
        self.calls.append("repair_webhooks")
        mended = tuple(one for one in findings if one.repairable)
        self.wrong = [one for one in self.wrong if one not in mended]
        return mended

    def idle_limit(self, connection: Connection) -> timedelta | None:
        return timedelta(days=60)

    async def check_credentials(self, exchange: Exchange, connection: Connection) -> CredentialHealth:
        self.calls.append("check_credentials")
        if self.refusals:
            raise Interruption(self.refusals.pop(0))
        return CredentialHealth(account="a", detail="d")


def open_administered(settings: Settings) -> AbstractAsyncContextManager[World]:
    return open_world(settings, Administered("alpha"), FakeProvider("beta"))


async def connect_acme(world: World) -> Tenant:
    """A tenant that hears of its envelopes, and whose connection was walked through once."""
    tenant = await world.tenant("Acme")
    await tenant.route(await tenant.connect("alpha", receive_webhooks=True))
    await sweep_changes_due(world.services)
    return tenant


def fake(world: World) -> Administered:
    provider = world.fake("alpha")
    assert isinstance(provider, Administered)
    return provider


@asynccontextmanager
async def served(store: Store, redis_url: Secret, folder: Any) -> AsyncIterator[World]:
    """A world whose public address answers: what is behind it comes after the address is known."""
    inside: list[Any] = []

    async def door(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif inside:
            await inside[0](scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    async with listen(door) as base:
        general = GeneralSettings(
            data_dir=folder,
            blob_url="memory://",
            loopback_allow_list=("127.0.0.1:*", "localhost:*"),
            public_base_url=base,
        )
        async with open_world(make_settings(store, redis_url, folder, countersign=general)) as world:
            inside.append(world.app)
            yield world
