"""What waits behind an earlier event of its envelope: out of the way of others, no stall, and back in every way."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import web

from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Receiver
from webhooks.outbound.breaker import rules_of
from webhooks.outbound.claims import (
    Claim,
    Claimed,
    Completed,
    Completion,
    Place,
    claim_deliveries,
    complete_deliveries,
    find_forgotten,
    set_blocked_aside,
)
from webhooks.outbound.endpoint import EndpointChange, Ordering
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.replay import ReplayDesk
from webhooks.outbound.sweep import PATIENCE, give_up_poison, sweep

LOOKED_AT = 256  # as claim_deliveries has it


class Blocked:
    """An endpoint whose first delivery is in the way of three more of its envelope, which are set aside."""

    def __init__(self, hub: Hub, tenant: UUID, endpoint: UUID) -> None:
        self.hub, self.tenant, self.endpoint = hub, tenant, endpoint

    async def claim(self, most: int = 8) -> Claimed:
        return await claim_deliveries(
            self.hub.store.hub, [self.endpoint], [most], room=64, retry_room=32, lease=timedelta(seconds=60),
            claim_id=self.hub.ids.new(),
        )  # fmt: skip

    async def end(self, claim: Claim, state: str = "succeeded", outcome: str = "succeeded") -> Completed:
        completion = Completion(
            claim, state, 1, 0, 3600.0 if state == "pending" else 0.0, self.hub.clock.now(), 5, outcome,
            204 if outcome == "succeeded" else 500, "", None,
        )  # fmt: skip
        rules = rules_of(self.hub.reporter.settings)
        return await complete_deliveries(self.hub.store.hub, [completion], rules)

    async def aside(self) -> list[int]:
        rows = await self.hub.deliveries()
        return [row["sequence"] for row in rows if row["set_aside"] and row["endpoint_id"] == self.endpoint]

    async def claimable(self) -> list[int]:
        return [claim.sequence for claim in (await self.claim()).claims]


async def blocked(hub: Hub, ordering: Ordering = Ordering.SKIP) -> tuple[Blocked, Claim]:
    """With the claim of the first."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook", ordering=ordering)
    await hub.emit(tenant, 4, envelope_id=hub.ids.new())
    await fan_out(hub.store.hub)
    stage = Blocked(hub, tenant, made.endpoint.id)
    [first] = (await stage.claim()).claims
    assert await set_blocked_aside(hub.store.hub, [stage.endpoint], most=100) == 3
    assert await stage.aside() == [2, 3, 4]
    return stage, first


async def test_the_end_of_the_first_calls_the_next_and_leaves_the_others_aside(hub: Hub):
    stage, first = await blocked(hub)
    done = await stage.end(first)
    assert done.freed == [stage.endpoint]
    assert await stage.aside() == [3, 4]
    [second] = (await stage.claim()).claims
    assert (second.sequence, (await stage.end(second)).freed) == (2, [stage.endpoint])
    assert await stage.claimable() == [3]


async def test_a_failure_that_is_tried_again_calls_nobody(hub: Hub):
    stage, first = await blocked(hub)
    done = await stage.end(first, "pending", "retry")
    assert (done.freed, await stage.aside(), await stage.claimable()) == ([], [2, 3, 4], [])


@pytest.mark.parametrize(
    ("ordering", "aside"), [(Ordering.SKIP, [3, 4]), (Ordering.HOLD, [2, 3, 4])], ids=["skip", "hold"]
)
async def test_one_that_is_given_up_calls_the_next_unless_the_order_is_held(
    hub: Hub, ordering: Ordering, aside: list[int]
):
    stage, first = await blocked(hub, ordering)
    await stage.end(first, "exhausted", "exhausted")
    assert await stage.aside() == aside


async def test_one_that_kills_its_deliverers_calls_the_next_when_it_is_given_up(hub: Hub):
    stage, _ = await blocked(hub)
    await hub.store.hub.execute(
        "UPDATE deliveries SET expiries = $1, lease_until = now() - interval '1 s' WHERE sequence = 1",
        PATIENCE,
    )
    assert await give_up_poison(hub.store.hub, hub.reporter) == 1
    assert (await stage.aside(), await stage.claimable()) == ([3, 4], [2])


async def test_a_lost_lease_keeps_them_aside_until_the_first_has_arrived(hub: Hub):
    stage, _ = await blocked(hub)
    await hub.store.hub.execute(
        "UPDATE deliveries SET lease_until = now() - interval '1 s' WHERE sequence = 1"
    )
    await sweep(hub.store.hub)
    assert await stage.aside() == [2, 3, 4]
    [first] = (await stage.claim()).claims
    await stage.end(first)
    assert (first.sequence, await stage.claimable()) == (1, [2])


async def test_a_held_order_calls_them_when_the_replayed_one_has_arrived(hub: Hub):
    stage, first = await blocked(hub, Ordering.HOLD)
    await stage.end(first, "exhausted", "exhausted")
    desk = ReplayDesk(hub.store.app, hub.recorder, hub.ids, hub.clock, hub.deliverers.mailboxes_ready)
    await desk.replay_delivery(stage.tenant, first.id, ACTOR, SOURCE)
    assert await stage.aside() == [2, 3, 4]
    [again] = (await stage.claim()).claims
    await stage.end(again)
    assert (again.id, await stage.claimable()) == (first.id, [2])


@pytest.mark.parametrize(
    ("after", "claimable"), [(Ordering.SKIP, [2]), (Ordering.NONE, [2, 3, 4])], ids=["skip", "none"]
)
async def test_another_policy_calls_whoever_waits_for_nobody_by_it(
    hub: Hub, after: Ordering, claimable: list[int]
):
    stage, first = await blocked(hub, Ordering.HOLD)
    await stage.end(first, "exhausted", "exhausted")
    await hub.desk.change(stage.tenant, stage.endpoint, EndpointChange(ordering=after), ACTOR, SOURCE)
    assert await stage.claimable() == claimable


async def test_switching_off_and_on_leaves_nothing_aside(hub: Hub):
    stage, first = await blocked(hub)
    await hub.desk.change(stage.tenant, stage.endpoint, EndpointChange(active=False), ACTOR, SOURCE)
    await stage.end(first)
    assert (await hub.states(), await stage.aside()) == (["succeeded", "held", "held", "held"], [])
    await hub.desk.change(stage.tenant, stage.endpoint, EndpointChange(active=True), ACTOR, SOURCE)
    assert await stage.claimable() == [2]


async def test_a_deleted_endpoint_cancels_what_is_aside(hub: Hub):
    stage, _ = await blocked(hub)
    await hub.desk.delete(stage.tenant, stage.endpoint, ACTOR, SOURCE)
    assert (await hub.states(), await stage.aside()) == (
        ["leased", "cancelled", "cancelled", "cancelled"],
        [],
    )


async def test_what_nobody_called_is_found(hub: Hub):
    """As when a process forgot: the first ended, and its followers did not hear of it."""
    stage, _ = await blocked(hub)
    other, _ = await blocked(hub)
    await hub.store.hub.execute("UPDATE deliveries SET state = 'succeeded' WHERE sequence = 1")
    freed, place = await find_forgotten(hub.store.hub, Place(), most=1)
    assert freed == [stage.endpoint]
    assert await find_forgotten(hub.store.hub, place, most=2) == ([other.endpoint], Place())
    assert (await stage.claimable(), await other.claimable()) == ([2], [2])


async def test_a_first_that_is_just_ending_is_not_waited_for(hub: Hub):
    """Its end would not see who is set aside at the same moment: they stay due instead."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    await hub.emit(tenant, 2, envelope_id=hub.ids.new())
    await fan_out(hub.store.hub)
    stage = Blocked(hub, tenant, made.endpoint.id)
    await stage.claim()
    async with hub.store.hub.transaction() as tx:
        await tx.driver.execute("UPDATE deliveries SET state = 'succeeded' WHERE sequence = 1")
        assert await set_blocked_aside(hub.store.hub, [stage.endpoint], most=100) == 0
        await tx.commit()
    assert await stage.claimable() == [2]


async def test_thousands_behind_one_make_no_claim_dearer_and_hide_nobody(hub: Hub):
    stage, first = await blocked(hub)
    await stage.end(first, "pending", "retry")
    await fill_behind(hub, 20_000)
    await hub.emit(stage.tenant, 1)
    await fan_out(hub.store.hub)
    claimed = await stage.claim()
    assert (claimed.claims, claimed.crowded) == ([], [stage.endpoint])
    while claimed.crowded:
        assert await set_blocked_aside(hub.store.hub, claimed.crowded, most=5_000)
        claimed = await stage.claim()
    assert [claim.envelope_id == first.envelope_id for claim in claimed.claims] == [False]
    async with hub.store.hub.transaction() as tx:
        before = await rows_read(tx)
        assert not await tx.driver.fetch(
            "SELECT * FROM claim_deliveries(ARRAY[$1::uuid], ARRAY[8], 64, 32, interval '60 s', $2)",
            stage.endpoint,
            hub.ids.new(),
        )
        assert await rows_read(tx) - before < LOOKED_AT


async def test_a_claim_looks_no_further_than_its_window(hub: Hub):
    stage, first = await blocked(hub)
    await stage.end(first, "pending", "retry")
    await fill_behind(hub, 20_000)
    async with hub.store.hub.transaction() as tx:
        before = await rows_read(tx)
        await tx.driver.fetch(
            "SELECT * FROM claim_deliveries(ARRAY[$1::uuid], ARRAY[8], 64, 32, interval '60 s', $2)",
            stage.endpoint,
            hub.ids.new(),
        )
        assert await rows_read(tx) - before < 4 * LOOKED_AT


async def test_what_waits_for_another_is_no_stall(hub: Hub):
    stage, first = await blocked(hub, Ordering.HOLD)
    await stage.end(first, "exhausted", "exhausted")
    await hub.store.hub.execute("UPDATE deliveries SET set_aside = false, due_at = now() - interval '1 hour'")
    swept = await sweep(hub.store.hub)
    assert (swept.oldest_due_s, swept.mailboxes, await stage.aside()) == (0.0, (), [2, 3, 4])


async def test_a_deliverer_passes_by_a_crowd_that_waits(hub: Hub, receiver: Receiver):
    """Without a sweep: the claims themselves find what stands behind more than they look at."""
    stage, first = await blocked(hub)
    await stage.end(first, "pending", "retry")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET url = $1, revision = 2", receiver.url)
    await fill_behind(hub, 3_000)
    [other] = await hub.emit(stage.tenant, 1)
    async with hub.delivering(sweep_every_s=60.0):
        await hub.until(lambda: receiver.requests)
    assert [request.headers["webhook-id"] for request in receiver.requests] == [other]


async def test_the_next_of_an_envelope_goes_at_once_though_nobody_here_knew_of_it(
    hub: Hub, receiver: Receiver
):
    """Somebody else asked for it in vain while the first was under way; no sweep comes for a minute."""
    gate = asyncio.Event()

    async def hold(request: web.Request, received) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    receiver.answer = hold
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    envelope = hub.ids.new()
    async with hub.delivering(sweep_every_s=60.0):
        await hub.emit(tenant, 1, envelope_id=envelope)
        await hub.until(lambda: receiver.in_flight == 1)
        await put_silently(hub, tenant, envelope)
        gate.set()
        await hub.settled(2)


async def put_silently(hub: Hub, tenant: UUID, envelope: UUID) -> None:
    """An event that is fanned out elsewhere: no bell rings here."""
    event = hub.ids.new()
    async with hub.store.hub.transaction() as tx:
        await tx.driver.execute(
            "INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
            " VALUES ($1, $2, 'envelope.completed', $3, now(), '{}')",
            tenant, event, envelope,
        )  # fmt: skip
        await tx.driver.execute(
            "INSERT INTO outbox_pending (event_id, tenant_id) VALUES ($1, $2)", event, tenant
        )
        await tx.driver.fetch("SELECT * FROM fan_out(10)")
        await tx.commit()


async def fill_behind(hub: Hub, count: int) -> None:
    """So many more of the one envelope, due and behind its first."""
    await hub.store.hub.execute(
        "INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, order_key, state, due_at)"
        " SELECT d.tenant_id, gen_random_uuid(), d.event_id, d.endpoint_id, 4 + i, d.order_key, 'pending',"
        " now() - interval '1 minute' FROM deliveries d, generate_series(1, $1::integer) i WHERE d.sequence = 1",
        count,
    )
    await hub.store.hub.execute("UPDATE webhook_endpoints SET next_sequence = 5 + $1::integer", count)
    await hub.store.owner.execute("ANALYZE deliveries")


async def rows_read(tx) -> int:
    return await tx.driver.fetchval(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::integer"
        " FROM pg_stat_xact_user_tables WHERE relname = 'deliveries'"
    )
