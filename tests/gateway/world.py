"""A gateway in one test: services on a fresh database, the application in process, and tenants in it."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import httpx
import msgspec

from config.settings import (
    DatabaseSettings,
    DispatchSettings,
    GeneralSettings,
    HttpSettings,
    IdempotencySettings,
    LimitSettings,
    ProviderSettings,
    RedisSettings,
    Settings,
)
from gateway.composition import open_services
from gateway.services import SYSTEM_TENANT, Caller, Services
from gateway.tenants.connections import ConnectionInput, create_connection
from gateway.tenants.issue_keys import KeyInput, issue_key
from gateway.tenants.routing import PolicyInput, read_policy, set_policy
from gateway.tenants.scopes import TENANT_SCOPES, Scope
from gateway.tenants.tenants import TenantInput, create_tenant
from normalizer.events import SYSTEM, Source, SourceKind
from normalizer.ids import Kind, print_id
from tests.fixtures.store import Store
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.kept_app import give_back, litestar_of, take_app

API = "/api/v1/signatures"
ADMIN = "/api/v1/admin"
OPERATOR = Caller(
    tenant_id=SYSTEM_TENANT,
    key_id=SYSTEM_TENANT,
    scopes=frozenset(),
    actor=SYSTEM,
    source=Source(kind=SourceKind.CLI),
)
# Quick enough for a test, in the proportions of the defaults.
QUICK_DISPATCH = DispatchSettings(deadline_s=5.0, look_up_delays_s=(0.01, 0.01, 0.01, 0.01))


def make_settings(store: Store, redis_url: Any, folder: Path, **sections: Any) -> Settings:
    """Sections by name replace the test's own."""
    given: dict[str, Any] = {
        "countersign": GeneralSettings(
            data_dir=folder, blob_url="memory://", loopback_allow_list=("127.0.0.1:*", "localhost:*")
        ),
        "database": DatabaseSettings(url=store.app_url, hub_url=store.hub_url, pool_size=8),
        "redis": RedisSettings(url=redis_url),
        "limit": LimitSettings(requests_per_minute=100_000, requests_burst=100_000),
        "dispatch": QUICK_DISPATCH,
        "provider": ProviderSettings(total_timeout_s=10.0, retries=1, read_timeout_s=5.0),
        "idempotency": IdempotencySettings(claim_s=5.0),
        "http": HttpSettings(),
    }
    return Settings(**given | sections)


@dataclasses.dataclass
class Tenant:
    """`client` calls with a key that has every scope of a tenant, and act_as."""

    world: "World"
    id: UUID
    key: str
    key_id: UUID
    client: httpx.AsyncClient

    @property
    def printed(self) -> str:
        return print_id(Kind.TENANT, self.id)

    async def connect(self, provider: str, credentials: Any = None, **given: Any) -> UUID:
        made = await create_connection(
            self.world.services,
            OPERATOR,
            self.id,
            ConnectionInput(
                provider=provider,
                credentials={"token": "canary-token-of-a-connection"} if credentials is None else credentials,
                receive_webhooks=given.pop("receive_webhooks", False),
                **given,
            ),
        )
        return made.id

    async def route(
        self, default: UUID | None, *, rules: Sequence[Any] = (), fallback: Sequence[UUID] = ()
    ) -> None:
        before = await read_policy(self.world.services, self.id)
        await set_policy(
            self.world.services,
            OPERATOR,
            self.id,
            PolicyInput(
                version=before.version,
                default_connection_id=print_id(Kind.CONNECTION, default) if default else None,
                rules=tuple(rules),
                fallback=tuple(print_id(Kind.CONNECTION, one) for one in fallback),
            ),
        )

    async def new_key(self, *scopes: str, **given: Any) -> Any:
        return await issue_key(
            self.world.services,
            OPERATOR,
            self.id,
            KeyInput(label=given.pop("label", f"key {scopes}"), scopes=scopes, **given),
        )

    async def post(self, path: str, body: Any = None, **given: Any) -> httpx.Response:
        return await self.client.post(f"{API}{path}", json=body, **given)

    async def get(self, path: str, **given: Any) -> httpx.Response:
        return await self.client.get(f"{API}{path}", **given)

    async def made(self, body: Any, path: str = "/envelopes", **given: Any) -> dict[str, Any]:
        answer = await self.post(path, body, **given)
        assert answer.status_code in {200, 201}, answer.text
        return answer.json()


class World:
    def __init__(self, services: Services, *, is_whole: bool = True) -> None:
        """A world that `is_whole` leaves its application to the next."""
        self.services = services
        self._kept = take_app(services)
        self._is_whole = is_whole
        self.app = self._kept.app
        self._clients: list[httpx.AsyncClient] = []
        self._stop = asyncio.Event()
        self._lifespan: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Runs the application's lifespan as a server does."""
        started = asyncio.Event()

        async def receive() -> dict[str, str]:
            if not started.is_set() and not self._asked:
                self._asked = True
                return {"type": "lifespan.startup"}
            await self._stop.wait()
            return {"type": "lifespan.shutdown"}

        async def send(message: Any) -> None:
            assert not message["type"].endswith("failed"), message
            started.set()

        self._asked = False
        scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._lifespan = asyncio.create_task(self.app(scope, receive, send))  # type: ignore[arg-type]
        await started.wait()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for client in self._clients:
            await client.aclose()
        self._stop.set()
        assert self._lifespan is not None
        await self._lifespan
        if kind is None and self._is_whole:
            give_back(self._kept)

    @property
    def litestar(self) -> Any:
        """The framework's application inside ours, for tests that go through its routes."""
        return litestar_of(self.app)

    def client(self, key: str = "", **headers: str) -> httpx.AsyncClient:
        if key:
            headers["authorization"] = f"Bearer {key}"
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://gateway", headers=headers, timeout=60
        )
        self._clients.append(client)
        return client

    async def tenant(self, name: str = "Acme", **given: Any) -> Tenant:
        made = await create_tenant(self.services, OPERATOR, TenantInput(name=name, **given))
        key = await issue_key(
            self.services, OPERATOR, made.id, KeyInput(label="dms", scopes=tuple(TENANT_SCOPES))
        )
        secret = key.secret.reveal()
        return Tenant(self, made.id, secret, key.facts.id, self.client(secret))

    async def administrator(self) -> httpx.AsyncClient:
        key = await issue_key(self.services, OPERATOR, None, KeyInput(label="admin", scopes=(Scope.ADMIN,)))
        return self.client(key.secret.reveal())

    def fake(self, name: str) -> FakeProvider:
        provider = self.services.adapters[name]
        assert isinstance(provider, FakeProvider)
        return provider

    async def ledger_types(self, tenant: Tenant, envelope_id: str) -> list[str]:
        answer = await tenant.get(f"/envelopes/{envelope_id}/audit-trail")
        trail = answer.json()
        assert trail["integrity"]["valid"], trail["integrity"]
        return [entry["event_type"] for entry in trail["entries"]]


@asynccontextmanager
async def open_world(settings: Settings, *fakes: FakeProvider, **replaced: Any) -> AsyncIterator[World]:
    async with open_services(settings, name="test") as services:
        known = {**services.adapters, **{fake.name: fake for fake in fakes}}
        services = dataclasses.replace(services, adapters=known, **replaced)
        async with World(services, is_whole=not replaced) as world:
            yield world


def replace_settings(services: Services, **sections: Any) -> Services:
    return dataclasses.replace(services, settings=msgspec.structs.replace(services.settings, **sections))
