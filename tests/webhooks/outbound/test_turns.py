"""Nobody waits for the sweep, or for ever, because of what was under way when its mailbox was asked."""

import asyncio
from collections import Counter
from uuid import UUID

import pytest
from aiohttp import web

from config.database import Database
from config.errors import StoreUnavailable
from config.settings import DeliverySettings
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Received, Receiver
from webhooks.outbound.attempt import Attempter
from webhooks.outbound.claims import Claim, Claimed
from webhooks.outbound.fanout import BATCH_EVENTS, FanOuts, count_waiting, fan_out
from webhooks.outbound.mailbox import Mailbox, Route
from webhooks.outbound.schedule import RetryProfile, Schedule
from webhooks.outbound.sign import SignatureProfile
from webhooks.outbound.sinks.broker import attempt_on
from webhooks.outbound.sinks.stock import Stock
from webhooks.outbound.turns import Turns

NO_SWEEP = 3600.0
COSTLY = {
    "any": [{f"data.p{i}": {"in": [f"{j:04}" for j in range(9)]}} for i in range(45)]
    + [{"data.envelope_id": {"exists": True}}]
}


async def test_the_next_event_of_an_envelope_goes_when_the_one_under_way_ends(hub: Hub, receiver: Receiver):
    gate = asyncio.Event()

    async def hold(request: web.Request, received: Received) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    receiver.answer = hold
    tenant, envelope = await hub.tenant(), hub.ids.new()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering(sweep_every_s=NO_SWEEP):
        first = await hub.emit(tenant, envelope_id=envelope)
        await hub.until(lambda: receiver.in_flight == 1)
        second = await hub.emit(tenant, envelope_id=envelope)

        async def is_fanned_out() -> bool:
            return await hub.states() == ["leased", "pending"]

        await hub.until(is_fanned_out)
        gate.set()
        await hub.settled(2)
    assert receiver.ids == [*first, *second]


async def test_retries_of_many_endpoints_wait_for_room_and_not_for_the_sweep(hub: Hub, receiver: Receiver):
    seen: Counter[str] = Counter()

    async def fail_once(request: web.Request, received: Received) -> web.Response:
        seen[received.path] += 1
        return web.Response(status=503 if seen[received.path] == 1 else 204)

    receiver.answer = fail_once
    tenant = await hub.tenant()
    for number in range(30):
        await hub.endpoint(tenant, f"{receiver.url}/{number}")
    await hub.put(tenant, 1)
    async with hub.delivering(
        sweep_every_s=NO_SWEEP, in_flight=4, batch_size=4, default_schedule_delays_s=(0.3, 0.3, 0.3)
    ):
        await hub.settled(30)
    assert set(seen.values()) == {2}


async def test_a_deliverer_with_one_slot_retries_too(hub: Hub, receiver: Receiver):
    answers = iter([503, 204])

    async def fail_once(request: web.Request, received: Received) -> web.Response:
        return web.Response(status=next(answers))

    receiver.answer = fail_once
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.put(tenant, 1)
    async with hub.delivering(in_flight=1):
        await hub.settled(1)


class BrokenAtFirst(Attempter):
    broken = 0

    async def attempt(self, claim: Claim, route):
        if type(self).broken < 2:
            type(self).broken += 1
            raise LookupError("a fault of ours")
        return await super().attempt(claim, route)


async def test_a_slot_survives_an_attempt_that_breaks(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.put(tenant, 3)
    async with hub.delivering(in_flight=1, lease_s=0.4, attempter=BrokenAtFirst):
        await hub.settled(3)
    assert len(set(receiver.ids)) == 3


def known(endpoint: int, tenant: int) -> Mailbox:
    return Mailbox(UUID(int=endpoint), UUID(int=tenant))


def test_a_mailbox_gets_the_share_that_those_before_it_did_not_take():
    settings = DeliverySettings(in_flight_per_tenant=8)
    turns = Turns(settings, lambda: None)
    boxes = {box.id: box for box in (known(1, 9), known(2, 9))}
    under_way: Counter[UUID] = Counter()
    turns.add(boxes)
    wanted, shares = turns.choose(64, boxes, under_way)
    assert (wanted, shares) == ([UUID(int=1)], [8])
    nothing = Claimed([], busy=[], blocked={})
    turns.note(wanted, nothing, {}, retry_room=4, mailboxes=boxes, under_way=under_way)
    assert turns.choose(64, boxes, under_way) == ([UUID(int=2)], [8])
    turns.note([UUID(int=2)], nothing, {}, retry_room=4, mailboxes=boxes, under_way=under_way)
    assert not turns


def test_a_mailbox_whose_delivery_ended_while_it_was_asked_is_asked_again():
    turns = Turns(DeliverySettings(), lambda: None)
    box = known(1, 9)
    boxes = {box.id: box}
    turns.note(
        [box.id], Claimed([], busy=[], blocked={}), {box.id: 1}, retry_room=4, mailboxes=boxes, under_way=Counter()
    )  # fmt: skip
    assert turns


async def test_a_tenant_with_much_to_fan_out_delays_itself_before_others(hub: Hub):
    greedy, modest = await hub.tenant(), await hub.tenant()
    await hub.endpoint(greedy, "http://127.0.0.1:9/hook")
    mine = await hub.endpoint(modest, "http://127.0.0.1:9/hook")
    await hub.put(greedy, 100)
    await hub.put(modest, 1)
    await fan_out(hub.store.hub, 20)
    assert [row["endpoint_id"] for row in await hub.deliveries()].count(mine.endpoint.id) == 1


async def test_batches_that_the_store_gives_up_become_small_enough_to_end(hub: Hub):
    tenant = await hub.tenant()
    for _ in range(25):
        await hub.endpoint(tenant, "http://127.0.0.1:9/hook", filter=COSTLY)
    await hub.put(tenant, 300)
    hasty = await Database.connect(hub.store.hub_url, statement_timeout_s=0.25)
    try:
        fan_outs, gave_up = FanOuts(hasty), 0
        fan_outs.batch_events = 50 * BATCH_EVENTS  # as if events cost fifty times what they are taken to cost
        while (await count_waiting(hub.store.hub)).events:
            before = fan_outs.batch_events
            try:
                await fan_outs.next()
            except StoreUnavailable:
                gave_up += 1
                assert fan_outs.batch_events < before
    finally:
        await hasty.close()
    assert gave_up > 0
    assert len(await hub.deliveries()) == 25 * 300


async def test_what_a_library_cancels_by_itself_is_an_answer(hub: Hub):
    class Link:
        is_usable = True

        def abort(self) -> None: ...

        async def close(self) -> None: ...

    async def open_(route) -> Link:
        return Link()

    async def put(link: Link) -> None:
        raise asyncio.CancelledError

    route = Route(
        UUID(int=1), 1, 8, 5.0, Schedule(RetryProfile.DESIGN, (), DeliverySettings()), SignatureProfile.BOTH
    )
    stock = Stock(open_)
    answer = await attempt_on(stock, route, put, str)
    await stock.close()
    assert (answer.status, answer.error) == (None, "the connection was closed before the answer")
    task = asyncio.create_task(attempt_on(stock, route, lambda link: asyncio.sleep(60), str))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await stock.close()
