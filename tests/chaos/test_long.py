"""The long lists: the same faults until chance has tried every moment. `make test-long`.

The counts are those of one pull request in the design's programme.
"""

import asyncio
import random
import time

import pytest
import redis.asyncio

from tests.chaos import load
from tests.chaos.conftest import Stage
from tests.chaos.load import PROVIDERS, Faults
from tests.chaos.oracle import Findings, check
from tests.chaos.test_providers import CREATE, LOOK_UP, TROUBLES

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.asyncio(loop_scope="package"),
]

DELIVERER_KILLS = 200
GATEWAY_KILLS = 100
WORKER_KILLS = 50
POSTGRES_CRASHES = 5
VALKEY_FLUSHES = 5
AMBIGUOUS_CREATES = 400


@pytest.fixture
def chance() -> random.Random:
    """Seeded by the clock; the seed is printed, so that a failure can be looked at again."""
    seed = int(time.time())
    print(f"seed {seed}")
    return random.Random(seed)


async def _load_until(stage: Stage, done: asyncio.Event) -> None:
    """Envelopes at both providers, some of them signed, until the faults are over."""
    while not done.is_set():
        acknowledged = await stage.load.create_many(4, at_once=4)
        await stage.load.sign(acknowledged[:2])


async def _break(stage: Stage, times: int, fault) -> Findings:
    done = asyncio.Event()
    loading = [asyncio.create_task(_load_until(stage, done)) for _ in range(2)]
    try:
        for _ in range(times):
            await fault()
            failed = next((one for one in loading if one.done()), None)
            if failed is not None:
                await failed
    finally:
        done.set()
    await asyncio.gather(*loading)
    return await check(stage.house, stage.load, stage.recorder)


async def test_many_kills_of_deliverers_lose_nothing(stage: Stage, chance: random.Random, say) -> None:
    async def kill() -> None:
        await asyncio.sleep(chance.uniform(0, 1.5))
        await stage.house.kill("deliverer")

    before = stage.recorder.repeated("main")
    found = await _break(stage, DELIVERER_KILLS, kill)
    repeated = found.repeated - before
    say(f"chaos long, deliverer killed {DELIVERER_KILLS} times: {found}, repeated here {repeated}")


async def test_many_kills_of_workers_apply_everything_once(stage: Stage, chance: random.Random, say) -> None:
    async def kill() -> None:
        await asyncio.sleep(chance.uniform(0, 3))
        await stage.house.age_jobs(await stage.house.kill("worker"))

    found = await _break(stage, WORKER_KILLS, kill)
    say(f"chaos long, worker killed {WORKER_KILLS} times: {found}")


async def test_many_kills_of_the_gateway_send_everything_once(
    stage: Stage, chance: random.Random, say
) -> None:
    async def kill() -> None:
        await asyncio.sleep(chance.uniform(0, 1))
        dead_at = await stage.house.kill("gateway")
        await stage.house.until_healthy()
        await stage.house.age(dead_at)

    before = set(stage.load.acknowledged)
    found = await _break(stage, GATEWAY_KILLS, kill)
    new = [one for key, one in stage.load.acknowledged.items() if key not in before]
    await stage.load.replay(new)
    say(f"chaos long, gateway killed {GATEWAY_KILLS} times: {found}, replayed byte-identical {len(new)}")


async def test_crashes_of_postgresql_lose_nothing_acknowledged(
    stage: Stage, chance: random.Random, say
) -> None:
    back: list[float] = []

    async def crash() -> None:
        await asyncio.sleep(chance.uniform(0.5, 4))
        await stage.house.crash_postgres()
        await asyncio.sleep(chance.uniform(0, 3))
        stage.house.start_postgres()
        back.append(await stage.house.until_healthy())

    found = await _break(stage, POSTGRES_CRASHES, crash)
    say(
        f"chaos long, PostgreSQL crashed {POSTGRES_CRASHES} times: {found}, ready after at most {max(back):.1f} s"
    )


async def test_flushes_and_kills_of_valkey_lose_nothing(stage: Stage, chance: random.Random, say) -> None:
    url = stage.house.house.settings.redis.url.reveal()

    async def flush_or_kill() -> None:
        await asyncio.sleep(chance.uniform(0.5, 3))
        async with redis.asyncio.Redis.from_url(url) as client:
            await client.flushall()
        await asyncio.sleep(chance.uniform(0, 1))
        await stage.house.crash_valkey()
        await asyncio.sleep(chance.uniform(0, 3))
        stage.house.start_valkey()

    found = await _break(stage, VALKEY_FLUSHES, flush_or_kill)
    say(f"chaos long, Valkey flushed and killed {VALKEY_FLUSHES} times each: {found}")


async def test_many_ambiguous_creates_are_sent_once(
    stage: Stage, chance: random.Random, say, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault before half of the creates; a retry may meet another's, so some need several tries."""
    monkeypatch.setattr(load, "PATIENCE_S", 180.0)
    faults = Faults(stage.house)
    ambiguous = [one for one in TROUBLES if one not in {"http_429", "token_expired"}]
    gate = asyncio.Semaphore(8)

    async def create(provider: str) -> None:
        async with gate:
            if chance.random() < 0.5:
                await faults.arm(provider, chance.choice(ambiguous), CREATE[provider], seconds=2.0)
            if chance.random() < 0.2:
                await faults.arm(provider, "lookup_lag", LOOK_UP[provider], seconds=chance.uniform(1, 120))
            await stage.load.create(provider)

    await asyncio.gather(*(create(PROVIDERS[number % 2]) for number in range(AMBIGUOUS_CREATES)))
    for provider in PROVIDERS:
        await faults.clear(provider)
    found = await check(stage.house, stage.load, stage.recorder)
    rows = await stage.house.sql("SELECT count(*) FROM dispatch_attempts WHERE outcome = 'unknown'")
    say(f"chaos long, {AMBIGUOUS_CREATES} creates, {rows[0][0]} unknown outcomes: {found}")
