"""The price of certain delivery: the outbound hub against a bare loop of signed POSTs.

`ratio`: events put into the outbox, fanned out, claimed, signed, sent and completed durably by one deliverer,
per second from the first enqueue to the last completion; against aiohttp POSTs of the same bytes, signed the
same way, by as many tasks as the deliverer has slots. Both run in this process, the receiver in its own.
Fairness over 16 tenants, caps per endpoint and the order of each envelope's four events are on.
`open_loop`: events recorded with their ledger entries at a fixed rate, from commit to the answer.
"""

import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import aiohttp

from bench.kit import interleave, median_ratio, report, start_stores
from config.clock import SystemClock
from config.database import Database
from config.embedded import EmbeddedStores
from config.garbage import calm_garbage_collector
from config.master_keys import LocalKeyWrapper
from config.queue import Wake, open_redis
from config.settings import DeliverySettings
from config.vault import Vault
from gateway.deliverer import Deliverer
from ledger.personal import SubjectKeys
from normalizer.events import Actor, ActorType, Event, ResourceType, Source, SourceKind
from normalizer.ids import Ids
from normalizer.vocabulary import LedgerType
from webhooks.outbound.attempt import Attempter
from webhooks.outbound.claims import Claim, Completion
from webhooks.outbound.client import Answer, WebhookClient
from webhooks.outbound.compose import compose_body, message_id
from webhooks.outbound.endpoint import NewEndpoint
from webhooks.outbound.endpoints import EndpointDesk
from webhooks.outbound.guard import Guard
from webhooks.outbound.mailbox import Route
from webhooks.outbound.sign import KeyRing, SignatureProfile, SigningKeys, make_secret, sign
from webhooks.outbound.waking import DELIVERERS, Deliverers
from webhooks.record import Recorder

CONCURRENCY = 64
TENANTS = 16  # with one endpoint each, eight deliveries at a time
MESSAGES = 64 * 64
ENQUEUE_BATCH = 64
OPEN_RATE = 300
OPEN_SECONDS = 30
TARGET = 0.5
STATEMENTS_TARGET = 0.5
P99_TARGET_S = 1.0
ACTOR = Actor(type=ActorType.USER, id="u-1")
SOURCE = Source(kind=SourceKind.API, request_id="bench")
DATA = b'{"envelope_id":"env_01jd0000000000000000000000","note":"' + b"x" * 800 + b'"}'


class TimedAttempter(Attempter):
    """Notes when an answer arrived, by event."""

    answered: dict[UUID, float]

    async def attempt(self, claim: Claim, route: Route) -> tuple[Completion, Answer]:
        result = await super().attempt(claim, route)
        self.answered[claim.event_id] = time.perf_counter()
        return result


@dataclass
class Bench:
    hub: Database
    app: Database
    recorder: Recorder
    deliverers: Deliverers
    deliverer: Deliverer
    ids: Ids
    tenants: list[UUID]
    url: str

    async def enqueue(self, ids: list[UUID]) -> None:
        """In batches, as concurrent business transactions commit together; the ledger is measured elsewhere.
        The ids are made beforehand, as a business transaction has them.
        """
        for start in range(0, len(ids), 2 * ENQUEUE_BATCH):
            events = ids[start : start + ENQUEUE_BATCH]
            tenants = [self.tenants[n % TENANTS] for n in range(len(events))]
            # Four events of each envelope, one after another among its tenant's.
            envelopes = [ids[start + ENQUEUE_BATCH + n % TENANTS] for n in range(len(events))]
            await self.hub.execute(
                "WITH e AS (SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS u(t, i, v)),"
                " o AS (INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
                " SELECT t, i, 'envelope.sent', v, now(), $4 FROM e)"
                " INSERT INTO outbox_pending (event_id, tenant_id) SELECT i, t FROM e",
                tenants, events, envelopes, DATA,
            )  # fmt: skip
            await self.deliverers.events_waiting()

    async def delivered_per_s(self) -> float:
        before = self.deliverer.pump.delivered
        ids = [self.ids.new() for _ in range(2 * MESSAGES)]
        begin = time.perf_counter()
        await self.enqueue(ids)
        while self.deliverer.pump.delivered < before + MESSAGES:  # noqa: ASYNC110 - the pump has no hook for it
            await asyncio.sleep(0.001)
        return MESSAGES / (time.perf_counter() - begin)

    async def posted_per_s(self) -> float:
        """The bare loop: compose, sign, POST, read."""
        keys = KeyRing(SigningKeys(make_secret(), os.urandom(32)))
        left = iter(range(MESSAGES))
        tenant = self.tenants[0]
        connector = aiohttp.TCPConnector(limit=CONCURRENCY)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def post() -> None:
                for number in left:
                    now = datetime.now(UTC)
                    message = message_id(self.ids.new())
                    body = compose_body(
                        message=message, type_="envelope.sent", occurred_at=now, tenant_id=tenant,
                        sequence=number, data=DATA,
                    )  # fmt: skip
                    headers = sign(
                        keys,
                        SignatureProfile.BOTH,
                        message=message,
                        type_="envelope.sent",
                        body=body,
                        now=now,
                    )
                    headers["Content-Type"] = "application/json"
                    async with session.post(self.url, data=body, headers=headers) as response:
                        await response.read()

            begin = time.perf_counter()
            await asyncio.gather(*(post() for _ in range(CONCURRENCY)))
            return MESSAGES / (time.perf_counter() - begin)

    async def open_loop(self, attempter: TimedAttempter) -> dict[str, float]:
        """Seconds from commit to answer, for events that come at their own pace, whatever the hub does."""
        committed: dict[UUID, float] = {}
        attempter.answered = {}

        async def record_one() -> None:
            tenant, event_id, envelope = random.choice(self.tenants), self.ids.new(), self.ids.new()
            event = Event(
                id=event_id, type=LedgerType.ENVELOPE_SENT, tenant_id=tenant, envelope_id=envelope,
                resource_type=ResourceType.ENVELOPE, resource_id=str(envelope), occurred_at=datetime.now(UTC),
                actor=ACTOR, source=SOURCE, announcement={"envelope_id": str(envelope), "note": "x" * 800},
            )  # fmt: skip
            async with self.app.transaction(tenant) as tx:
                await self.recorder.record(tx, [event])
                tx.on_commit(lambda: _note(committed, event_id))
                await tx.commit()

        begin = time.perf_counter()
        recording = []
        for number in range(OPEN_RATE * OPEN_SECONDS):
            await asyncio.sleep(max(0.0, begin + number / OPEN_RATE - time.perf_counter()))
            recording.append(asyncio.create_task(record_one()))
        await asyncio.gather(*recording)
        while len(attempter.answered) < len(recording):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        taken = sorted(attempter.answered[event] - committed[event] for event in committed)
        return {
            "rate_per_s": round(len(taken) / (time.perf_counter() - begin)),
            "p50_ms": round(taken[len(taken) // 2] * 1000, 1),
            "p95_ms": round(taken[len(taken) * 95 // 100] * 1000, 1),
            "p99_ms": round(taken[len(taken) * 99 // 100] * 1000, 1),
            "longest_ms": round(taken[-1] * 1000, 1),
        }


async def _note(moments: dict[UUID, float], event_id: UUID) -> None:
    moments[event_id] = time.perf_counter()


@contextlib.contextmanager
def start_receiver() -> Iterator[str]:
    child = subprocess.Popen(
        [sys.executable, "-m", "bench._receiver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    if child.stdout is None or child.stdin is None:
        raise AssertionError("pipes were asked for")
    try:
        yield f"http://127.0.0.1:{int(child.stdout.readline())}/hook"
    finally:
        child.stdin.close()
        child.wait(5)
        child.stdout.close()


@contextlib.asynccontextmanager
async def open_bench(stores: EmbeddedStores, url: str) -> AsyncIterator[tuple[Bench, TimedAttempter]]:
    clock = SystemClock()
    ids = Ids(clock.now)
    settings = DeliverySettings(in_flight=CONCURRENCY)
    vault = Vault(LocalKeyWrapper([("bench", os.urandom(32))]), clock)
    guard = Guard(("127.0.0.1:*",))
    redis = open_redis(stores.redis_url)
    deliverers = Deliverers(Wake(redis, DELIVERERS))
    recorder = Recorder(SubjectKeys(vault, clock.monotonic), clock.now, deliverers.events_waiting)
    client = WebhookClient(guard, response_bytes=65_536, connect_timeout_s=5)
    await client.open()
    async with (
        await Database.connect(stores.database_hub_url) as hub,
        await Database.connect(stores.database_url) as app,
    ):
        desk = EndpointDesk(app, vault, guard, recorder, ids, clock, deliverers.mailboxes_ready)
        tenants = [ids.new() for _ in range(TENANTS)]
        for tenant in tenants:
            await hub.execute("INSERT INTO tenants (id, name) VALUES ($1, 'bench')", tenant)
            await desk.create(tenant, NewEndpoint(url=url), ACTOR, SOURCE)
        deliverer = Deliverer(
            hub, client, guard, vault, recorder, deliverers, settings, clock, ids, attempter=TimedAttempter
        )
        attempter = deliverer.attempter
        if not isinstance(attempter, TimedAttempter):
            raise TypeError("the deliverer made another attempter")
        attempter.answered = {}
        stop = asyncio.Event()
        running = asyncio.create_task(deliverer.run(stop))
        try:
            yield Bench(hub, app, recorder, deliverers, deliverer, ids, tenants, url), attempter
        finally:
            stop.set()
            await running
            await client.close()
            await redis.aclose()
            guard.close()


async def compare(stores: EmbeddedStores, url: str) -> int:
    async with open_bench(stores, url) as (bench, attempter):
        await bench.delivered_per_s()
        await bench.posted_per_s()
        calm_garbage_collector()  # as the deliverer's process does; the bare loop profits too
        statements = []

        async def delivered() -> float:
            bench.hub.reset_counters()
            rate = await bench.delivered_per_s()
            statements.append((bench.hub.statements - MESSAGES / ENQUEUE_BATCH) / MESSAGES)
            return rate

        figures = await interleave({"delivered": delivered, "posted": bench.posted_per_s})
        per_delivery = statistics.median(statements)
        latency = await bench.open_loop(attempter)
    ratio = median_ratio(figures["delivered"], figures["posted"])
    return report(
        "deliver",
        ratio=ratio,
        target=TARGET,
        ok=ratio >= TARGET and per_delivery < STATEMENTS_TARGET and latency["p99_ms"] < P99_TARGET_S * 1000,
        raw={
            "concurrency": CONCURRENCY,
            "body_bytes": len(DATA) + 200,
            "delivered_per_s": round(statistics.median(figures["delivered"])),
            "posted_per_s": round(statistics.median(figures["posted"])),
            "statements_per_delivery": round(per_delivery, 3),
            "open_loop": latency,
        },
    )


def main() -> int:
    with start_receiver() as url, start_stores(valkey=True) as stores:
        return asyncio.run(compare(stores, url))


if __name__ == "__main__":
    sys.exit(main())
