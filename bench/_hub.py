"""A whole outbound hub for a benchmark: stores, deliverers in processes of their own, a receiver that notes times.

Everything shares the machine, as it would on a small one. Commit and answer are both read from the machine's
monotonic clock, so a latency spans processes. Must never configure the hub otherwise than an installation would.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import aiohttp

from bench.kit import until
from config.clock import SystemClock
from config.database import Database
from config.embedded import EmbeddedStores
from config.master_keys import LocalKeyWrapper
from config.queue import Wake, open_redis
from config.vault import Vault
from ledger.personal import SubjectKeys
from normalizer.events import Actor, ActorType, Event, ResourceType, Source, SourceKind
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound.endpoint import NewEndpoint
from webhooks.outbound.endpoints import EndpointDesk
from webhooks.outbound.guard import Guard
from webhooks.outbound.waking import DELIVERERS, Deliverers
from webhooks.record import Recorder

ACTOR = Actor(type=ActorType.USER, id="u-1")
SOURCE = Source(kind=SourceKind.API, request_id="bench")
LOOPBACK = ("127.0.0.1:*",)
PUT = (
    "WITH e AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS u(t, i, v)),"
    " o AS (INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
    " SELECT t, i, 'envelope.sent', v, now(), $4 FROM e)"
    " INSERT INTO outbox_pending (event_id, tenant_id) SELECT i, t FROM e"
)

_SETTLED = (
    "SELECT NOT EXISTS (SELECT FROM outbox_pending)"
    " AND NOT EXISTS (SELECT FROM deliveries WHERE state IN ('pending', 'leased'))"
)


@dataclass
class HubHouse:
    stores: EmbeddedStores
    master_key: bytes
    hub: Database
    app: Database
    recorder: Recorder
    deliverers: Deliverers
    desk: EndpointDesk
    ids: Ids
    committed: dict[str, float] = field(default_factory=dict)
    tenants: list[UUID] = field(default_factory=list)

    async def add_tenants(self, count: int, endpoint: Callable[[int], NewEndpoint | None]) -> list[UUID]:
        """Tenants with one endpoint each; their numbers count from 0."""
        made = []
        for number in range(count):
            tenant = self.ids.new()
            await self.hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'bench')", tenant)
            wanted = endpoint(number)
            if wanted is not None:
                await self.add_endpoint(tenant, wanted)
            made.append(tenant)
        self.tenants += made
        return made

    async def add_endpoint(self, tenant: UUID, wanted: NewEndpoint) -> None:
        await self.desk.create(tenant, wanted, ACTOR, SOURCE)

    async def record_one(self, tenant: UUID, envelope: UUID, note: str) -> str:
        """One event with its ledger entry in a transaction of its own; notes the moment before its COMMIT is sent,
        so that a latency holds the commit too.
        """
        event = self.event(tenant, envelope, note)
        printed = print_id(Kind.EVENT, event.id)
        async with self.app.transaction(tenant) as tx:
            await self.recorder.record(tx, [event])
            self.committed[printed] = time.monotonic()
            await tx.commit()
        return printed

    def event(self, tenant: UUID, envelope: UUID, note: str) -> Event:
        return Event(
            id=self.ids.new(), type=LedgerType.ENVELOPE_SENT, tenant_id=tenant, envelope_id=envelope,
            resource_type=ResourceType.ENVELOPE, resource_id=print_id(Kind.ENVELOPE, envelope),
            occurred_at=datetime.now(UTC), actor=ACTOR, source=SOURCE,
            announcement={"envelope_id": print_id(Kind.ENVELOPE, envelope), "note": note},
        )  # fmt: skip

    async def put(self, tenants: Sequence[UUID], data: bytes, *, batch: int = 64) -> list[str]:
        """One event for each tenant named, past the ledger, in transactions of `batch` events: for volume."""
        printed = []
        for start in range(0, len(tenants), batch):
            share = list(tenants[start : start + batch])
            events = [self.ids.new() for _ in share]
            moment = time.monotonic()
            await self.hub.execute(PUT, share, events, [self.ids.new() for _ in share], data)
            await self.deliverers.events_waiting()
            for event in events:
                printed.append(print_id(Kind.EVENT, event))
                self.committed[printed[-1]] = moment
        return printed

    async def until_settled(self, *, longest_s: float = 300.0) -> None:
        """Waits until nothing is pending. Raises TimeoutError."""
        await until(lambda: self.hub.fetchval(_SETTLED), longest_s=longest_s)

    async def warm_up(self) -> None:
        """Until every tenant's endpoint was delivered to: processes have started, connections stand."""
        await self.put(self.tenants, b'{"note":"warm-up"}')
        await self.until_settled()
        self.committed.clear()

    async def flush_redis(self) -> None:
        async with open_redis(self.stores.redis_url) as redis:
            await redis.flushall()

    @contextlib.contextmanager
    def deliver(self, count: int = 1, **settings: str) -> Iterator[list["DelivererProcess"]]:
        """Deliverers as they run in production, each a process; ended in order at the end."""
        children = [DelivererProcess(self, settings) for _ in range(count)]
        try:
            yield children
        finally:
            for child in children:
                child.stop()


class DelivererProcess:
    """`statements` and `delivered` are known once it has stopped in order."""

    def __init__(self, house: HubHouse, settings: Mapping[str, str]) -> None:
        self._house = house
        self._settings = settings
        environment = {
            **os.environ,
            **environment_of(house.stores, house.master_key),
            **{f"COUNTERSIGN_DELIVERY_{name.upper()}": value for name, value in settings.items()},
        }
        # A file: nobody reads while it runs, and a full pipe would hold its event loop.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "deliverer"],
            env=environment,
            stdout=self._said,
            stderr=subprocess.STDOUT,
        )
        self.delivered = 0
        self.statements = 0

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def again(self) -> "DelivererProcess":
        """Another one like this."""
        return DelivererProcess(self._house, self._settings)

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait(timeout=60)
        self._said.seek(0)
        for line in self._said:
            if "deliverer.stopped" in line and line.startswith("{"):
                told = json.loads(line)
                self.delivered += int(told.get("delivered", 0))
                self.statements += int(told.get("statements", 0))
        self._said.close()


def environment_of(stores: EmbeddedStores, master_key: bytes) -> dict[str, str]:
    return {
        "DATABASE_URL": stores.database_url.reveal(),
        "DATABASE_HUB_URL": stores.database_hub_url.reveal(),
        "DATABASE_OWNER_URL": stores.database_owner_url.reveal(),
        "REDIS_URL": stores.redis_url.reveal(),
        "COUNTERSIGN_DATA_DIR": str(stores.data_dir),
        "COUNTERSIGN_MASTER_KEY": f"bench:{b64encode(master_key).decode()}",
        "COUNTERSIGN_LOOPBACK_ALLOW_LIST": ",".join(LOOPBACK),
        "COUNTERSIGN_LOG_LEVEL": "info",
    }


@contextlib.asynccontextmanager
async def open_house(stores: EmbeddedStores) -> AsyncIterator[HubHouse]:
    clock, master_key = SystemClock(), os.urandom(32)
    ids = Ids(clock.now)
    vault = Vault(LocalKeyWrapper([("bench", master_key)]), clock)
    guard = Guard(LOOPBACK)
    redis = open_redis(stores.redis_url)
    deliverers = Deliverers(Wake(redis, DELIVERERS))
    recorder = Recorder(SubjectKeys(vault, clock.monotonic), clock.now, deliverers.events_waiting)
    async with (
        await Database.connect(stores.database_hub_url) as hub,
        await Database.connect(stores.database_url) as app,
    ):
        desk = EndpointDesk(app, vault, guard, recorder, ids, clock, deliverers.mailboxes_ready)
        try:
            yield HubHouse(stores, master_key, hub, app, recorder, deliverers, desk, ids)
        finally:
            await redis.aclose()
            guard.close()


class Receiver:
    def __init__(self, port: int) -> None:
        self.base = f"http://127.0.0.1:{port}"

    async def latencies_s(self, committed: Mapping[str, float]) -> list[float]:
        """From the commit to the first 2xx, of those events; inf for one that never came."""
        answered: dict[str, float] = {}
        for message, moment, status in await self.seen():
            if status < 300:
                answered.setdefault(message, moment)
        return [answered.get(message, float("inf")) - moment for message, moment in committed.items()]

    async def seen(self) -> list[tuple[str, float, int]]:
        """(webhook-id, monotonic seconds, status) of every answer, in order."""
        async with aiohttp.ClientSession() as session, session.get(self.base + "/seen") as answer:
            lines = (await answer.text()).splitlines()
        rows = (line.split() for line in lines)
        return [(message, float(moment), int(status)) for message, moment, status in rows]


@contextlib.contextmanager
def start_receiver(module: str = "bench._clocked") -> Iterator[Receiver]:
    child = subprocess.Popen([sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if child.stdout is None or child.stdin is None:
        raise AssertionError("pipes were asked for")
    try:
        yield Receiver(int(child.stdout.readline()))
    finally:
        child.stdin.close()
        child.wait(5)
        child.stdout.close()


def percentiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        f"p{share}_ms": round(ordered[min(len(ordered) - 1, len(ordered) * share // 100)] * 1000, 1)
        for share in (50, 95, 99)
    } | {"longest_ms": round(ordered[-1] * 1000, 1)}


async def at_rate(work: Callable[[int], object], rate: float, seconds: float) -> int:
    """Calls `work(number)` on an open loop: at its own pace, whatever the system does. How many calls."""
    begin = time.monotonic()
    count = int(rate * seconds)
    for number in range(count):
        ahead = begin + number / rate - time.monotonic()
        if ahead > 0:
            await asyncio.sleep(ahead)
        work(number)
    return count
