"""Processes that are killed, stores that forget: nothing is lost, and a repetition carries the same id."""

import asyncio
import base64
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from config.queue import Wake
from tests.webhooks.outbound.hub import MASTER_KEY, Hub
from tests.webhooks.outbound.receiver import Receiver, always
from webhooks.outbound.ending import end_tasks
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.sweep import sweep
from webhooks.outbound.waking import DELIVERERS, Deliverers


@contextlib.asynccontextmanager
async def deliverer_process(hub: Hub, redis_url, **settings) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": hub.store.app_url.reveal(),
        "DATABASE_OWNER_URL": hub.store.owner_url.reveal(),
        "DATABASE_HUB_URL": hub.store.hub_url.reveal(),
        "REDIS_URL": redis_url.reveal(),
        "COUNTERSIGN_MASTER_KEY": f"{MASTER_KEY[0]}:{base64.b64encode(MASTER_KEY[1]).decode()}",
        "COUNTERSIGN_LOOPBACK_ALLOW_LIST": "127.0.0.1:*",
        "COUNTERSIGN_DELIVERY_LEASE_S": "1",
        "COUNTERSIGN_DELIVERY_TOTAL_TIMEOUT_S": "0.9",
        "COUNTERSIGN_DELIVERY_SWEEP_EVERY_S": "0.2",
        **{f"COUNTERSIGN_DELIVERY_{name.upper()}": str(value) for name, value in settings.items()},
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.webhooks.outbound.deliverer_process", env=environment
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), 10)
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_a_deliverer_killed_in_the_middle_loses_nothing_and_repeats_the_same_id(
    hub: Hub, receiver: Receiver, redis_url
):
    answering = asyncio.Event()

    async def answer_later(request: web.Request, received) -> web.Response:
        await answering.wait()
        return web.Response(status=204)

    receiver.answer = answer_later
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    sent = await hub.put(tenant, 40)
    async with deliverer_process(hub, redis_url) as first:
        await hub.until(lambda: len(receiver.requests) == 8)
        first.send_signal(signal.SIGKILL)
        await first.wait()
    cut_off = set(receiver.ids)
    answering.set()
    async with deliverer_process(hub, redis_url):
        await hub.settled(40)
    bodies = {request.id: request.body for request in receiver.requests}
    assert sorted(set(receiver.ids)) == sorted(sent)
    assert all(request.body == bodies[request.id] for request in receiver.requests)
    assert len(receiver.requests) == 48
    marked = {row["event_id"] for row in await hub.deliveries() if row["possibly_delivered"]}
    assert len(marked) == len(cut_off) == 8


async def test_random_kills_under_load_lose_nothing(hub: Hub, receiver: Receiver, redis_url):
    tenant = await hub.tenant()
    for _ in range(3):
        await hub.endpoint(tenant, receiver.url)
    sent: list[str] = []
    for moment_s in (0.0, 0.03, 0.1):
        sent += await hub.put(tenant, 100)
        seen = len(receiver.requests)
        async with deliverer_process(hub, redis_url) as child:
            await hub.until(lambda seen=seen: len(receiver.requests) > seen)
            await asyncio.sleep(moment_s)
            child.kill()
            await child.wait()
    async with deliverer_process(hub, redis_url):
        await hub.settled(900)
    counts = {event: receiver.ids.count(event) for event in sent}
    assert set(receiver.ids) == set(sent)
    assert min(counts.values()) >= 3
    marked = sum(row["possibly_delivered"] for row in await hub.deliveries())
    assert len(receiver.requests) - 900 <= marked


async def test_two_deliverers_at_once_send_nothing_twice(hub: Hub, receiver: Receiver, redis_url):
    both_work = asyncio.Event()

    async def answer_when_both_work(request: web.Request, received) -> web.Response:
        await both_work.wait()
        return web.Response(status=204)

    receiver.answer = answer_when_both_work
    tenant = await hub.tenant()
    for _ in range(4):
        await hub.endpoint(tenant, receiver.url)
    async with (
        hub.delivering(batch_size=8, in_flight=8) as one,
        hub.delivering(batch_size=8, in_flight=8) as two,
    ):
        sent = [event for _ in range(5) for event in await hub.put(tenant, 50)]
        await hub.until(lambda: one.pump.in_flight and two.pump.in_flight)
        both_work.set()
        await hub.settled(1000)
        assert one.pump.delivered + two.pump.delivered == 1000
        assert min(one.pump.delivered, two.pump.delivered) > 0
    assert sorted(receiver.ids) == sorted(sent * 4)
    sequences: dict = {}
    for row in await hub.deliveries():
        sequences.setdefault(row["endpoint_id"], []).append(row["sequence"])
    assert all(numbers == list(range(1, 251)) for numbers in sequences.values())


async def test_a_flushed_redis_loses_nothing(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    sent = await hub.put(tenant, 20)
    await hub.redis.flushall()
    async with hub.delivering():
        await hub.settled(20)
        sent += await hub.put(tenant, 20)
        await hub.redis.flushall()
        await hub.settled(40)
    assert sorted(receiver.ids) == sorted(sent)


async def test_without_redis_the_sweep_delivers(hub: Hub, receiver: Receiver, redis_url):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.redis.config_set("maxclients", 1)  # every further connection is refused
    try:
        async with hub.delivering():
            sent = await hub.put(tenant, 10)
            await hub.settled(10)
    finally:
        await hub.redis.config_set("maxclients", 10_000)
    assert sorted(receiver.ids) == sorted(sent)


async def test_a_deliverer_that_is_asked_to_stop_finishes_and_gives_back(hub: Hub, receiver: Receiver):
    finish = asyncio.Event()

    async def answer_later(request: web.Request, received) -> web.Response:
        await finish.wait()
        return web.Response(status=204)

    receiver.answer = answer_later
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url, max_in_flight=20)
    await hub.put(tenant, 20)
    async with hub.delivering(in_flight=4, batch_size=8):
        await hub.until(lambda: receiver.in_flight == 4)
        asyncio.get_running_loop().call_later(0.2, finish.set)
    states = await hub.states()
    assert (states.count("succeeded"), states.count("pending")) == (4, 16)
    assert not any(row["possibly_delivered"] for row in await hub.deliveries())


async def test_a_lost_lease_cannot_complete_the_delivery(hub: Hub, receiver: Receiver):
    finish = asyncio.Event()

    async def answer_later(request: web.Request, received) -> web.Response:
        await finish.wait()
        return web.Response(status=500)

    receiver.answer = answer_later
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.put(tenant, 1)
    async with hub.delivering():
        await hub.until(lambda: receiver.in_flight == 1)
        await hub.store.hub.execute("UPDATE deliveries SET claim_id = gen_random_uuid()")
        finish.set()
        await hub.until(hub.attempts)
        [row] = await hub.deliveries()
        assert (row["state"], row["attempt"], row["tries"]) == ("leased", 0, 0)


async def test_a_long_request_keeps_its_lease(hub: Hub, receiver: Receiver):
    async def answer_late(request: web.Request, received) -> web.Response:
        await asyncio.sleep(1.5)
        return web.Response(status=204)

    receiver.answer = answer_late
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.put(tenant, 1)
    async with hub.delivering(lease_s=0.6), hub.delivering(lease_s=0.6):
        await hub.settled(1)
    assert len(receiver.requests) == 1


async def test_a_retry_for_an_endpoint_switched_off_or_deleted_meanwhile_is_put_away(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    made = [await hub.endpoint(tenant, receiver.url) for _ in range(2)]
    await hub.put(tenant, 1)
    await fan_out(hub.store.hub)
    await hub.store.hub.execute(
        "UPDATE webhook_endpoints SET active = false WHERE id = $1", made[0].endpoint.id
    )
    await hub.store.hub.execute("DELETE FROM webhook_endpoints WHERE id = $1", made[1].endpoint.id)
    await sweep(hub.store.hub)
    assert sorted(await hub.states()) == ["cancelled", "held"]


async def test_the_oldest_due_delivery_shows_a_stall(hub: Hub, receiver: Receiver):
    receiver.answer = always(204)
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.put(tenant, 1)
    await fan_out(hub.store.hub)
    await hub.store.hub.execute("UPDATE deliveries SET due_at = now() - interval '90 s'")
    swept = await sweep(hub.store.hub)
    assert 90 <= swept.oldest_due_s < 120


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same():
    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await end_tasks([task])
    assert task.cancelled()


async def test_a_task_that_had_failed_before_it_was_to_end_is_told_of(caplog):
    async def broken() -> None:
        raise LookupError("a fault of ours")

    task = asyncio.create_task(broken())
    await asyncio.wait({task})
    await end_tasks([task])
    assert "a fault of ours" in caplog.text


class DeafAtFirst(Deliverers):
    """Fails at the first question in a way that nobody foresaw."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(Wake(hub.redis, DELIVERERS))
        self.asked = 0
        self.hears = asyncio.Event()

    async def wait(self, timeout_s: float) -> bool:
        self.asked += 1
        if self.asked == 1:
            raise LookupError("a fault of ours")
        self.hears.set()
        return await super().wait(timeout_s)


async def test_a_deliverer_that_could_not_hear_one_wake_up_hears_the_next(hub: Hub, caplog):
    hub.deliverers = deaf = DeafAtFirst(hub)
    async with hub.delivering():
        await deaf.hears.wait()
    assert "a wake-up could not be heard" in caplog.text
