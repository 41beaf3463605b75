"""The outbound hub over a test's own stores: tenants, endpoints, events and deliverers in a line each."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from config.clock import SystemClock
from config.database import Transaction
from config.master_keys import LocalKeyWrapper
from config.queue import Wake, open_redis
from config.settings import DeliverySettings
from config.settings_endpoints import EndpointSettings
from config.vault import Vault
from gateway.deliverer import Deliverer
from ledger.personal import SubjectKeys
from normalizer.events import Actor, ActorType, Event, ResourceType, Source, SourceKind
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LEDGER_TYPE_OF, EventType
from tests.fixtures.store import Store
from webhooks.outbound.attempt import Attempter
from webhooks.outbound.client import WebhookClient
from webhooks.outbound.endpoint import NewEndpoint
from webhooks.outbound.endpoints import EndpointDesk
from webhooks.outbound.guard import Guard
from webhooks.outbound.health_report import Reporter
from webhooks.outbound.waking import DELIVERERS, Deliverers
from webhooks.record import Recorder

QUICK = DeliverySettings(
    sweep_every_s=0.2, default_schedule_delays_s=(0.02, 0.02, 0.02), lease_s=60.0, connect_timeout_s=2.0
)
ACTOR = Actor(type=ActorType.USER, id="dms-7")
SOURCE = Source(kind=SourceKind.API, request_id="req-1")
MASTER_KEY = ("test-1", bytes(range(32)))


class Hub:
    def __init__(self, store: Store, redis_url, *, loopback=("127.0.0.1:*",), lookup=None) -> None:
        self.store = store
        self.clock = SystemClock()
        self.ids = Ids(self.clock.now)
        self.vault = Vault(LocalKeyWrapper([MASTER_KEY]), self.clock)
        self.guard = Guard(loopback, lookup=lookup)
        self.redis = open_redis(redis_url)
        self.deliverers = Deliverers(Wake(self.redis, DELIVERERS))
        self.recorder = Recorder(
            SubjectKeys(self.vault, self.clock.monotonic), self.clock.now, self.deliverers.events_waiting
        )
        self.reporter = Reporter(self.recorder, self.vault, self.ids, self.clock)
        self.desk = EndpointDesk(
            store.app,
            self.vault,
            self.guard,
            self.recorder,
            self.ids,
            self.clock,
            self.deliverers.mailboxes_ready,
        )

    async def close(self) -> None:
        self.guard.close()
        await self.redis.aclose()

    async def tenant(self) -> UUID:
        tenant_id = self.ids.new()
        await self.store.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'A tenant')", tenant_id)
        return tenant_id

    async def endpoint(self, tenant_id: UUID, url: str, **more):
        return await self.desk.create(tenant_id, NewEndpoint(url=url, **more), ACTOR, SOURCE)

    async def emit(
        self,
        tenant_id: UUID,
        count: int = 1,
        *,
        type_: EventType = EventType.ENVELOPE_SENT,
        envelope_id: UUID | None = None,
    ) -> list[str]:
        """Records `count` events through the real recorder, each in a transaction of its own; webhook ids."""
        sent = []
        for number in range(count):
            async with self.store.app.transaction(tenant_id) as tx:
                sent.append(await self.record_in(tx, tenant_id, type_, envelope_id, number))
                await tx.commit()
        return sent

    async def record_in(
        self,
        tx: Transaction,
        tenant_id: UUID,
        type_: EventType = EventType.ENVELOPE_SENT,
        envelope_id: UUID | None = None,
        number: int = 0,
    ) -> str:
        envelope = envelope_id or self.ids.new()
        event = Event(
            id=self.ids.new(),
            type=LEDGER_TYPE_OF[type_],
            tenant_id=tenant_id,
            envelope_id=envelope,
            resource_type=ResourceType.ENVELOPE,
            resource_id=print_id(Kind.ENVELOPE, envelope),
            occurred_at=self.clock.now(),
            actor=ACTOR,
            source=SOURCE,
            announcement={"envelope_id": print_id(Kind.ENVELOPE, envelope), "number": number},
        )
        await self.recorder.record(tx, [event])
        return print_id(Kind.EVENT, event.id)

    async def put(self, tenant_id: UUID, count: int) -> list[str]:
        """Puts many events into the outbox at once, past the ledger: for volume."""
        events = [self.ids.new() for _ in range(count)]
        envelopes = [self.ids.new() for _ in range(count)]
        data = [json.dumps({"envelope_id": str(envelope)}).encode() for envelope in envelopes]
        async with self.store.hub.transaction() as tx:
            await tx.driver.execute(
                "INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
                " SELECT $1, i, 'envelope.sent', e, now(), d FROM unnest($2::uuid[], $3::uuid[], $4::bytea[]) u(i, e, d)",
                tenant_id, events, envelopes, data,
            )  # fmt: skip
            await tx.driver.execute(
                "INSERT INTO outbox_pending (event_id, tenant_id) SELECT i, $1 FROM unnest($2::uuid[]) i",
                tenant_id,
                events,
            )
            await tx.commit()
        await self.deliverers.events_waiting()
        return [print_id(Kind.EVENT, event) for event in events]

    def deliverer(
        self,
        client: WebhookClient,
        settings: DeliverySettings = QUICK,
        endpoints: EndpointSettings | None = None,
        attempter: type[Attempter] = Attempter,
    ) -> Deliverer:
        return Deliverer(
            self.store.hub, client, self.guard, self.vault, self.recorder, self.deliverers, settings, self.clock,
            self.ids, endpoints=endpoints, attempter=attempter,
        )  # fmt: skip

    @asynccontextmanager
    async def delivering(
        self,
        *,
        tls=None,
        grace_s: float = 5.0,
        response_bytes: int = 65_536,
        endpoints: EndpointSettings | None = None,
        attempter: type[Attempter] = Attempter,
        **settings,
    ) -> AsyncIterator[Deliverer]:
        chosen = msgspec.structs.replace(QUICK, **settings)
        client = WebhookClient(self.guard, response_bytes=response_bytes, connect_timeout_s=2.0, tls=tls)
        await client.open()
        deliverer = self.deliverer(client, chosen, endpoints, attempter)
        stop = asyncio.Event()
        running = asyncio.create_task(deliverer.run(stop, grace_s=grace_s))
        try:
            yield deliverer
        finally:
            stop.set()
            await running
            await client.close()

    async def deliveries(self) -> list[dict]:
        rows = await self.store.hub.fetch("SELECT * FROM deliveries ORDER BY endpoint_id, sequence")
        return [dict(row) for row in rows]

    async def states(self) -> list[str]:
        return [row["state"] for row in await self.deliveries()]

    async def attempts(self) -> list[dict]:
        rows = await self.store.hub.fetch("SELECT * FROM delivery_attempts ORDER BY started_at")
        return [dict(row) for row in rows]

    async def ledger_types(self, tenant_id: UUID) -> list[str]:
        rows = await self.store.hub.fetch(
            "SELECT event_type FROM ledger_entries WHERE tenant_id = $1 ORDER BY recorded_at, seq", tenant_id
        )
        return [row[0] for row in rows]

    async def until(self, holds: Callable, *, within_s: float = 20.0) -> None:
        """Waits until `holds()` (plain or a coroutine function) is true; fails with its last value."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            value = holds()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(
                    f"it did not happen within {within_s} s; deliveries: {await self.states()}"
                )
            await asyncio.sleep(0.02)

    async def settled(self, count: int, state: str = "succeeded") -> None:
        async def all_there() -> bool:
            states = await self.states()
            return len(states) == count and set(states) == {state}

        await self.until(all_there)
