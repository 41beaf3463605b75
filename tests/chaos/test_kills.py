"""Processes and stores that end in the middle of their work."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
import redis.asyncio

from tests.chaos.conftest import Stage
from tests.chaos.house import until
from tests.chaos.load import Acknowledged, Faults
from tests.chaos.oracle import check

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def under_load(
    stage: Stage, count: int, fault: Callable[[], Awaitable[object]], *, at_once: int = 6
) -> list[Acknowledged]:
    """Runs the fault once some of the load's answers are there and others are not."""
    before = len(stage.load.acknowledged)
    creating = asyncio.create_task(stage.load.create_many(count, at_once=at_once))
    await until(lambda: len(stage.load.acknowledged) > before + 1 or creating.done(), "the first answers")
    await fault()
    return await creating


async def test_a_house_without_a_fault_loses_and_doubles_nothing(stage: Stage, say) -> None:
    acknowledged = await stage.load.create_many(6)
    await stage.load.sign(acknowledged[:4])
    found = await check(stage.house, stage.load, stage.recorder)
    say(f"chaos, no fault: {found}")


async def test_deliverers_killed_in_the_middle_of_deliveries_lose_none(stage: Stage, say) -> None:
    stage.recorder.behaviour["main"] = "slow"
    before = stage.recorder.repeated("main")

    async def kill_thrice() -> None:
        for _ in range(3):
            await until(lambda: stage.house.sql("SELECT 1 FROM deliveries WHERE state = 'leased'"), "a lease")
            await stage.house.kill("deliverer")

    try:
        acknowledged = await under_load(stage, 10, kill_thrice)
        await stage.load.sign(acknowledged[:3])
    finally:
        stage.recorder.behaviour.clear()
    found = await check(stage.house, stage.load, stage.recorder)
    say(f"chaos, deliverer killed 3 times: {found}, repeated here {found.repeated - before}")


async def test_workers_killed_in_the_middle_of_a_batch_apply_every_message_once(stage: Stage, say) -> None:
    acknowledged = await stage.load.create_many(8)
    signing = asyncio.create_task(stage.load.sign(acknowledged))
    for _ in range(2):
        seen = "SELECT 1 FROM inbox_messages WHERE state IN ('processing', 'received')"
        await until(lambda: stage.house.sql(seen), "messages under way", within_s=20)  # noqa: B023
        await stage.house.age_jobs(await stage.house.kill("worker"))
    await signing
    found = await check(stage.house, stage.load, stage.recorder)
    rows = await stage.house.sql("SELECT count(*), sum(duplicates) FROM inbox_messages")
    say(f"chaos, worker killed 2 times: {found}, inbox {rows[0][0]} messages, {rows[0][1]} came again")


async def test_a_gateway_killed_in_the_middle_of_requests_sends_each_once_and_replays(
    stage: Stage, say
) -> None:
    faults = Faults(stage.house)
    for provider, operation in (("docusign", "envelopes.create"), ("adobe_sign", "create_agreement")):
        await faults.arm(provider, "slow", operation, count=6, seconds=0.4)
    took: list[float] = []

    async def kill_twice() -> None:
        for _ in range(2):
            calling = "SELECT 1 FROM envelopes WHERE dispatch_state = 'creating'"
            await until(lambda: stage.house.sql(calling), "a call under way")  # noqa: B023
            dead_at = await stage.house.kill("gateway")
            took.append(await stage.house.until_healthy())
            await stage.house.age(dead_at)

    broken = stage.load.broken
    acknowledged = await under_load(stage, 12, kill_twice)
    await stage.load.replay(acknowledged)
    for provider in ("docusign", "adobe_sign"):
        await faults.clear(provider)
    found = await check(stage.house, stage.load, stage.recorder)
    assert stage.load.broken > broken, "no client noticed: the kills missed the requests"
    recovered = ", ".join(f"{one:.1f} s" for one in took)
    say(
        f"chaos, gateway killed 2 times: {found}, replayed byte-identical {len(acknowledged)}, back after {recovered}"
    )


async def test_valkey_flushed_and_killed_costs_time_and_no_data(stage: Stage, say) -> None:
    url = stage.house.house.settings.redis.url.reveal()

    async def flush_and_kill() -> None:
        async with redis.asyncio.Redis.from_url(url) as client:
            for _ in range(3):
                await client.flushall()
                await asyncio.sleep(0.1)
        await stage.house.crash_valkey()
        await asyncio.sleep(1.0)
        stage.house.start_valkey()

    began = time.monotonic()
    acknowledged = await under_load(stage, 10, flush_and_kill)
    await stage.load.sign(acknowledged[:4])
    found = await check(stage.house, stage.load, stage.recorder)
    say(f"chaos, Valkey flushed 3 times and killed: {found}, all done after {time.monotonic() - began:.1f} s")


async def test_postgresql_crashed_under_load_is_a_clean_503_and_loses_nothing_acknowledged(
    stage: Stage, say
) -> None:
    back: list[float] = []

    async def crash() -> None:
        await stage.house.crash_postgres()
        refused = await stage.load.probe()
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "store_unavailable"
        assert int(refused.headers["retry-after"]) > 0
        await asyncio.sleep(random.uniform(0.2, 0.6))
        stage.house.start_postgres()
        back.append(await stage.house.until_healthy())
        # A call whose end could not be written is over by now: its own deadline is 5 s.
        over = datetime.now(UTC)
        await asyncio.sleep(6.0)
        await stage.house.age(over)

    refused_before = stage.load.answers[503]
    acknowledged = await under_load(stage, 12, crash)
    await stage.load.sign(acknowledged[:4])
    await stage.load.replay(acknowledged)
    found = await check(stage.house, stage.load, stage.recorder)
    refused = stage.load.answers[503] - refused_before
    say(f"chaos, PostgreSQL crashed: {found}, {refused} clean 503, ready {back[0]:.1f} s after its start")
