"""The inbound half over a test's own stores: real services, real routes over HTTP, providers in a line each."""

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import aiohttp
import msgspec

from adapters.adobe_sign import ADAPTER as ADOBE_SIGN
from adapters.docusign import ADAPTER as DOCUSIGN
from adapters.kit.outcome import Failure, Interruption, Rejected
from adapters.kit.port import Adapter
from config.clock import Clock, SystemClock
from config.secret import Secret
from config.settings import (
    DatabaseSettings,
    DispatchSettings,
    GeneralSettings,
    RedisSettings,
    Settings,
)
from config.settings_inbox import InboxSettings
from gateway.composition import open_services
from gateway.jobs.inbox import make_processor
from gateway.services import Caller, Services
from gateway.tenants.connections import (
    ConnectionChange,
    ConnectionInput,
    change_connection,
    create_connection,
)
from normalizer.envelope import EnvelopeReport
from normalizer.events import SYSTEM, Source, SourceKind
from normalizer.status import EnvelopeStatus
from tests.adapters.docusign import samples
from tests.fixtures.store import Store
from tests.gateway.kept_app import give_back, take_app
from tests.webhooks.inbound.listen import listen
from webhooks.inbound.process import Processor

KEY = "connect-key-of-the-tests"
CLIENT_ID = "client-of-the-tests"
CALLER = Caller(
    tenant_id=UUID(int=0),
    key_id=UUID(int=0),
    scopes=frozenset(),
    actor=SYSTEM,
    source=Source(kind=SourceKind.CLI),
)
_refs = itertools.count(1)
# Messages are of yesterday: what is older than any retry is doubted.
DAY = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d")
AT = f"{DAY}T10:20:30.1234567Z"


def settings_of(store: Store, redis_url: Secret, folder: Any, **inbox: Any) -> Settings:
    return Settings(
        countersign=GeneralSettings(data_dir=folder, loopback_allow_list=("127.0.0.1:*",)),
        database=DatabaseSettings(url=store.app_url, hub_url=store.hub_url, owner_url=store.owner_url),
        redis=RedisSettings(url=redis_url),
        dispatch=DispatchSettings(),
        inbox=msgspec.structs.replace(InboxSettings(), **inbox),
    )


class LaterClock(SystemClock):
    """The real clock, `shift` seconds ahead for whoever measures durations."""

    shift = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.shift


class TrustedProvider:
    """An adapter whose provider answers the confirming GET with `says`, without a network."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self.says: EnvelopeStatus | None = EnvelopeStatus.COMPLETED
        self.reference = ""
        self.is_unknown = False
        self.failures: list[Failure] = []  # used up first
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    async def get_envelope(self, exchange: Any, connection: Any, provider_ref: str) -> EnvelopeReport:
        self.asked += 1
        if self.failures:
            raise Interruption(self.failures.pop(0))
        if self.is_unknown:
            raise Interruption(Rejected(code="not_found", provider_code="", detail="", status=404))
        if self.says is None:
            raise OSError("the provider is away")
        return EnvelopeReport(
            provider_ref=provider_ref,
            status=self.says,
            provider_status=str(self.says),
            reference=self.reference,
        )


class Placed(msgspec.Struct, frozen=True):
    """A tenant's connection and the path under which it hears."""

    tenant_id: UUID
    id: UUID
    path: str


class House:
    def __init__(self, services: Services, adobe: TrustedProvider, connect: TrustedProvider) -> None:
        self.services = services
        self.adobe = adobe
        self.connect = connect
        self.base = ""
        self.http: aiohttp.ClientSession

    @property
    def processor(self) -> Processor:
        return make_processor(self.services)

    async def tenant(self) -> UUID:
        tenant_id = self.services.ids.new()
        await self.services.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'A tenant')", tenant_id)
        return tenant_id

    async def docusign(self, tenant_id: UUID | None = None, *keys: str) -> Placed:
        credentials = msgspec.json.decode(
            msgspec.json.encode(
                {
                    "integration_key": "5a0b0c5a-0000-4000-8000-00000000d0c1",
                    "user_id": "22222222-2222-4222-8222-222222222222",
                    "account_id": samples.ACCOUNT,
                    "private_key_pem": samples.private_key_pem(),
                    "environment": "demo",
                }
            )
        )
        return await self._connect(
            tenant_id,
            ConnectionInput(provider="docusign", credentials=credentials, webhook_keys=keys or (KEY,)),
        )

    async def adobe_sign(self, tenant_id: UUID | None = None) -> Placed:
        credentials = {"client_id": CLIENT_ID, "client_secret": "s", "refresh_token": "r"}
        return await self._connect(tenant_id, ConnectionInput(provider="adobe_sign", credentials=credentials))

    async def internal(self, tenant_id: UUID | None = None) -> Placed:
        return await self._connect(tenant_id, ConnectionInput(provider="internal", credentials={}))

    async def _connect(self, tenant_id: UUID | None, given: ConnectionInput) -> Placed:
        tenant_id = tenant_id or await self.tenant()
        made = await create_connection(self.services, CALLER, tenant_id, given)
        return Placed(tenant_id, made.id, made.webhook_url.split("8400", 1)[1])

    async def change(self, placed: Placed, **given: Any) -> None:
        await change_connection(self.services, CALLER, placed.tenant_id, placed.id, ConnectionChange(**given))

    async def rotate(self, placed: Placed, *keys: str) -> None:
        await change_connection(
            self.services, CALLER, placed.tenant_id, placed.id, ConnectionChange(webhook_keys=keys)
        )

    async def envelope(
        self, placed: Placed, provider: str = "docusign", ref: str | None = None, *documents: str
    ) -> str:
        """A sent envelope with one signer at order 1 and documents by these names; its provider's id."""
        ref = ref or str(UUID(int=(1 << 100) + next(_refs)))
        envelope_id = self.services.ids.new()
        await self.services.hub.execute(
            "INSERT INTO envelopes (tenant_id, id, name, status, sender_id, provider, connection_id,"
            " connection_version, provider_ref, dispatch_state, dispatch_epoch)"
            " VALUES ($1, $2, 'Agreement', 'processing', 'dms-1', $3, $4, 1, $5, 'settled', 1)",
            placed.tenant_id, envelope_id, provider, placed.id, ref,
        )  # fmt: skip
        await self.services.hub.execute(
            "INSERT INTO recipients (tenant_id, id, envelope_id, position, name, email, provider_ref)"
            " VALUES ($1, $2, $3, 1, 'Ada Signer', 'ada@example.com', '1')",
            placed.tenant_id, self.services.ids.new(), envelope_id,
        )  # fmt: skip
        for position, name in enumerate(documents, 1):
            await self.services.hub.execute(
                "INSERT INTO documents (tenant_id, id, envelope_id, position, name, media_type, size_bytes, sha256,"
                " blob_key) VALUES ($1, $2, $3, $4, $5, 'application/pdf', 1, $6, $7)",
                placed.tenant_id, self.services.ids.new(), envelope_id, position, name,
                hashlib.sha256(name.encode()).hexdigest(), f"blob-{name}",
            )  # fmt: skip
        return ref

    async def envelope_id(self, ref: str) -> UUID:
        found: UUID = await self.services.hub.fetchval(
            "SELECT id FROM envelopes WHERE provider_ref = $1", ref
        )
        return found

    async def bodies(self, kind: str) -> list[dict[str, Any]]:
        """The ledger entries of a kind, as they are hashed."""
        rows = await self.services.hub.fetch(
            "SELECT body FROM ledger_entries WHERE event_type = $1 ORDER BY recorded_at, seq", kind
        )
        return [json.loads(bytes(row["body"])) for row in rows]

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        async with self.http.post(self.base + path, data=body, headers=headers) as answer:
            await answer.read()
            return answer

    async def deliver(self, placed: Placed, body: bytes, key: str = KEY) -> int:
        """Posts a signed Connect message; the status."""
        return (await self.post(placed.path, body, signed(body, key))).status

    async def notify(self, placed: Placed, body: bytes, client_id: str = CLIENT_ID) -> int:
        return (await self.post(placed.path, body, {"X-AdobeSign-ClientId": client_id})).status

    async def messages(self) -> list[dict[str, Any]]:
        return [
            dict(row) for row in await self.services.hub.fetch("SELECT * FROM inbox_messages ORDER BY id")
        ]

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.messages()]

    async def refusals_written(self) -> None:
        """Until what the door counted is in the table."""
        ask = "SELECT 1 FROM inbound_refusals"
        await eventually(lambda: self.services.hub.fetch(ask), within_s=10)

    async def polls_run_out(self) -> None:
        """As if the time had passed within which an object may not be looked at again; see also LaterClock."""
        redis = self.services.redis
        async for mark in redis.scan_iter("countersign:polled:*"):
            await redis.delete(mark)

    async def due_now(self) -> None:
        """Lets the time of every waiting message come."""
        await self.services.hub.execute(
            "UPDATE inbox_messages SET next_at = now() WHERE next_at IS NOT NULL AND state <> 'processing'"
        )

    async def status(self, ref: str) -> tuple[str, str]:
        """(envelope's, recipient's)"""
        row = await self.services.hub.fetchrow(
            "SELECT e.status, r.status FROM envelopes e JOIN recipients r ON r.envelope_id = e.id"
            " WHERE e.provider_ref = $1",
            ref,
        )
        assert row is not None
        return row[0], row[1]

    async def ledger_types(self, ref: str | None = None) -> list[str]:
        """Of one envelope's chain, or of all chains that are no envelope's."""
        if ref is None:
            rows = await self.services.hub.fetch(
                "SELECT event_type FROM ledger_entries WHERE event_type LIKE 'inbound%' ORDER BY recorded_at, seq"
            )
        else:
            rows = await self.services.hub.fetch(
                "SELECT l.event_type FROM ledger_entries l JOIN envelopes e ON e.tenant_id = l.tenant_id"
                " AND l.chain_id LIKE '%' || e.id::text || '%' WHERE e.provider_ref = $1 ORDER BY l.seq",
                ref,
            )
        return [row[0] for row in rows]


def signed(body: bytes, *keys: str) -> dict[str, str]:
    return {
        f"X-DocuSign-Signature-{number}": base64.b64encode(
            hmac.new(key.encode(), body, hashlib.sha256).digest()
        ).decode()
        for number, key in enumerate(keys, 1)
    }


def connect_message(
    event: str,
    ref: str,
    *,
    at: str = AT,
    retry: int = 0,
    recipient: str = "",
    account: str = samples.ACCOUNT,
    summary: dict[str, Any] | None = None,
) -> bytes:
    """A minimal SIM message, as a configuration without included data sends it; `summary`: what it includes."""
    about: dict[str, Any] = {"accountId": account, "userId": "u", "envelopeId": ref}
    if summary is not None:
        about["envelopeSummary"] = {"status": "sent", "envelopeId": ref, **summary}
    if recipient:
        about["recipientId"] = recipient
    return json.dumps(
        {"event": event, "apiVersion": "v2.1", "retryCount": retry, "generatedDateTime": at, "data": about}
    ).encode()


def notification(event: str, ref: str, *, number: int = 1, status: str = "OUT_FOR_SIGNATURE") -> bytes:
    return json.dumps(
        {
            "webhookNotificationId": f"{ref}-{number}",
            "event": event,
            "eventDate": f"{DAY}T10:20:{number:02d}Z",
            "eventResourceType": "agreement",
            "participantUserEmail": "ada@example.com",
            "actingUserEmail": "ada@example.com",
            "agreement": {"id": ref, "status": status},
        }
    ).encode()


async def eventually(ask: Callable[[], Awaitable[Any]], *, within_s: float = 40.0) -> Any:
    """The first answer that is true; fails with the last one."""
    ends_at = asyncio.get_running_loop().time() + within_s
    while not (answer := await ask()):
        if asyncio.get_running_loop().time() > ends_at:
            raise AssertionError(f"it did not happen within {within_s} s: {answer!r}")
        await asyncio.sleep(0.03)
    return answer


@asynccontextmanager
async def open_house(
    settings: Settings,
    change: Callable[[Services], Services] = lambda services: services,
    clock: Clock | None = None,
) -> AsyncIterator[House]:
    """Services without HTTP."""
    adobe, connect = TrustedProvider(ADOBE_SIGN), TrustedProvider(DOCUSIGN)
    async with open_services(settings, name="test", clock=clock) as services:
        adapters = {**services.adapters, "adobe_sign": adobe, "docusign": connect}
        yield House(change(replace(services, adapters=adapters)), adobe, connect)


@asynccontextmanager
async def serve(house: House) -> AsyncIterator[House]:
    """The real application behind a real server on loopback."""
    kept = take_app(house.services)
    async with listen(kept.app) as base, aiohttp.ClientSession() as session:
        house.base, house.http = base, session
        yield house
    give_back(kept)
