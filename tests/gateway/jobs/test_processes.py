"""Worker and scheduler as processes: kills, a Redis that forgets or goes away, and orderly ends."""

import asyncio
import random
import signal
from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from config.embedded_valkey import start_valkey
from config.secret import Secret
from gateway.jobs.bell import INBOX, JobBell
from gateway.jobs.store import enqueue_job
from tests.gateway.jobs.processes import Processes
from tests.webhooks.inbound.house import (
    House,
    connect_message,
    eventually,
    open_house,
    serve,
    settings_of,
)
from tests.webhooks.inbound.keeping import keep


async def all_done(house: House) -> bool:
    return set(await house.states()) == {"done"}


async def test_post_wakes_a_worker_that_applies_it_and_ends_in_order(
    gateway: House, processes: Processes
) -> None:
    worker = processes.start("worker")
    placed = await gateway.docusign()
    refs = [await gateway.envelope(placed) for _ in range(30)]
    for ref in refs:
        assert await gateway.deliver(placed, connect_message("envelope-sent", ref)) == 200
    scheduler = processes.start("scheduler")
    await eventually(lambda: all_done(gateway))
    assert {(await gateway.status(ref))[0] for ref in refs} == {"sent"}
    ticked = "SELECT fired >= 1 FROM schedules WHERE name = 'process_inbox'"
    await eventually(lambda: gateway.services.hub.fetchval(ticked))
    assert await processes.end(worker) == 0
    assert await processes.end(scheduler) == 0


async def test_worker_killed_in_the_middle_of_a_batch_loses_nothing(
    house: House, processes: Processes
) -> None:
    placed = await house.docusign()
    refs = [await house.envelope(placed) for _ in range(12)]
    for ref in refs:
        await keep(house, placed, connect_message("envelope-reminder-sent", ref))
    worker = processes.start("worker")
    processes.start("scheduler")
    async with house.services.hub.transaction() as tx:
        # Holds one envelope, so that the worker stands in the middle of its batch.
        await tx.driver.execute("SELECT 1 FROM envelopes WHERE provider_ref = $1 FOR UPDATE", refs[5])
        await eventually(lambda: recorded(house, 11))
        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait, 10)
    assert set(await house.states()) == {"processing"}
    # The dead worker's leases run out: the messages' in two seconds, the schedule's run now.
    await house.services.hub.execute("UPDATE jobs SET lease_until = now() WHERE state = 'running'")
    processes.start("worker")
    await eventually(lambda: all_done(house))
    assert [await house.ledger_types(ref) for ref in refs] == [["envelope_reminded"]] * 12


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_workers_killed_at_random_moments_lose_nothing_and_double_nothing(
    gateway: House, processes: Processes
) -> None:
    placed = await gateway.docusign()
    processes.start("scheduler")
    chance, refs = random.Random(11), []
    for _ in range(25):
        worker = processes.start("worker")
        for _ in range(20):
            refs.append(await gateway.envelope(placed))
            body = connect_message("envelope-reminder-sent", refs[-1])
            assert await gateway.deliver(placed, body) == 200
            assert await gateway.deliver(placed, body + b" ") == 200
        await asyncio.sleep(chance.uniform(0.8, 2.2))
        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait, 10)
    processes.start("worker")
    await eventually(lambda: all_done(gateway), within_s=120)
    for ref in refs:
        assert await gateway.ledger_types(ref) == ["envelope_reminded"]


async def recorded(house: House, count: int) -> bool:
    found = await house.services.hub.fetchval(
        "SELECT count(*) FROM ledger_entries WHERE event_type = 'envelope_reminded'"
    )
    return found == count


async def test_flushed_redis_loses_nothing(
    gateway: House, processes: Processes, valkey: redis.asyncio.Redis
) -> None:
    placed = await gateway.docusign()
    refs = [await gateway.envelope(placed) for _ in range(20)]
    for ref in refs[:10]:
        await gateway.deliver(placed, connect_message("envelope-sent", ref))
    await enqueue_job(gateway.services.hub, gateway.services.ids.new(), "flush_refusals")
    await valkey.flushall()
    processes.start("worker")
    processes.start("scheduler")
    await eventually(lambda: all_done(gateway))
    await valkey.flushall()
    for ref in refs[10:]:
        assert await gateway.deliver(placed, connect_message("envelope-sent", ref)) == 200
        await valkey.flushall()
    await eventually(lambda: all_done(gateway))
    assert {(await gateway.status(ref))[0] for ref in refs} == {"sent"}
    asked_for = "SELECT state = 'done' FROM jobs WHERE schedule IS NULL"
    await eventually(lambda: gateway.services.hub.fetchval(asked_for))


async def test_posts_are_taken_while_redis_is_away_and_processed_when_it_is_back(
    store, tmp_path: Path
) -> None:
    server = start_valkey(tmp_path, Secret("a-password-of-the-tests"), for_tests=True)
    processes = None
    try:
        settings = settings_of(store, server.url(), tmp_path)
        processes = Processes(settings)
        running = [processes.start("worker"), processes.start("scheduler")]
        async with open_house(settings) as house, serve(house):
            placed = await house.docusign()
            refs = [await house.envelope(placed) for _ in range(4)]
            await house.deliver(placed, connect_message("envelope-sent", refs[0]))
            await eventually(lambda: all_done(house))
            port = server.port
            await asyncio.to_thread(server.stop)
            for ref in refs[1:]:
                assert await house.deliver(placed, connect_message("envelope-sent", ref)) == 200
            await asyncio.sleep(1.5)  # long enough for both to meet the outage
            server.start(port=port)
            await eventually(lambda: all_done(house))
            assert {(await house.status(ref))[0] for ref in refs} == {"sent"}
            assert [await processes.end(one) for one in running] == [0, 0]
    finally:
        if processes is not None:
            await asyncio.to_thread(processes.stop_all)
        await asyncio.to_thread(server.stop)


async def test_worker_whose_connections_are_cut_goes_on(gateway: House, processes: Processes) -> None:
    """What a restart of PostgreSQL does to it."""
    placed = await gateway.docusign()
    processes.start("worker")
    processes.start("scheduler")
    cut = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = current_user"
        " AND application_name LIKE 'countersign worker%' AND datname = current_database()"
    )
    refs = []
    for _ in range(3):
        refs.append(await gateway.envelope(placed))
        assert await gateway.deliver(placed, connect_message("envelope-reminder-sent", refs[-1])) == 200
        await eventually(lambda: all_done(gateway))
        await gateway.services.hub.fetchval(cut)
        assert await gateway.services.database.fetchval(cut) >= 1
    assert [await gateway.ledger_types(ref) for ref in refs] == [["envelope_reminded"]] * 3


async def test_two_schedulers_and_two_workers_fire_a_schedule_once(
    house: House, processes: Processes
) -> None:
    for module in ("worker", "worker", "scheduler", "scheduler"):
        processes.start(module)
    hub = house.services.hub
    fired = "SELECT fired FROM schedules WHERE name = 'reap_idempotency_keys'"
    await eventually(lambda: hub.fetchval(fired))
    swept = "SELECT fired FROM schedules WHERE name = 'process_inbox'"
    await eventually(lambda: hub.fetchval(swept + " AND fired >= 2"))
    assert await hub.fetchval(fired) == 1


async def test_bell_rings_once_for_many_and_without_redis_only_warns(
    settings, valkey: redis.asyncio.Redis
) -> None:
    bell = JobBell(settings)
    for _ in range(50):
        bell.ring_inbox()
        await asyncio.sleep(0)
    await bell.aclose()
    assert await valkey.llen("rq:queue:countersign") == 1
    assert await valkey.delete(f"countersign:bell:{INBOX}") == 1
    nowhere = msgspec.structs.replace(
        settings, redis=msgspec.structs.replace(settings.redis, url=Secret("redis://127.0.0.1:1/0"))
    )
    silent = JobBell(nowhere)
    silent.ring_inbox()
    await silent.aclose()
