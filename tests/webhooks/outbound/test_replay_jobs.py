"""Replays as jobs: what they take, how fast, and that a lost worker leaves nothing out and takes nothing twice."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from normalizer.errors import Conflict, NotFound, ValidationFailed
from normalizer.vocabulary import EventType
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Receiver, always
from webhooks.outbound.endpoint import EndpointChange
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.read import DeliveryState
from webhooks.outbound.replay_job import MOST_RANGES, ReplayCriteria, ReplayState
from webhooks.outbound.replay_job_desk import MOST_OPEN, ReplayJobDesk
from webhooks.outbound.replay_job_run import ReplayRunner

BOTH = (DeliveryState.EXHAUSTED, DeliveryState.SUCCEEDED)
NOWHERE = "http://127.0.0.1:9/hook"


@pytest.fixture
def desk(hub: Hub) -> ReplayJobDesk:
    return ReplayJobDesk(hub.store.app, hub.recorder, hub.ids, hub.clock)


@pytest.fixture
def runner(hub: Hub) -> ReplayRunner:
    return ReplayRunner(hub.store.hub, hub.recorder, hub.ids, hub.clock, hub.deliverers.mailboxes_ready)


async def exhausted(
    hub: Hub, tenant: UUID, count: int, *, url: str = NOWHERE, state: str = "exhausted", **more
) -> UUID:
    """An endpoint whose `count` deliveries ended that way."""
    made = await hub.endpoint(tenant, url, **more)
    await hub.put(tenant, count)
    await fan_out(hub.store.hub, 5000)
    await end_all(hub, made.endpoint.id, state)
    return made.endpoint.id


async def end_all(hub: Hub, endpoint_id: UUID, state: str) -> None:
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = $2, attempt = 4, tries = 4, finished_at = now(), last_error = 'answered 500'"
        " WHERE endpoint_id = $1 AND state = 'pending'",
        endpoint_id,
        state,
    )


async def start(desk: ReplayJobDesk, tenant: UUID, endpoint: UUID | None, **more):
    return await desk.start(tenant, ReplayCriteria(endpoint_id=endpoint, **more), ACTOR, SOURCE)


async def sequences_in(hub: Hub, state: str) -> list[int]:
    return [row["sequence"] for row in await hub.deliveries() if row["state"] == state]


async def test_a_replay_sends_the_same_bytes_and_ids_again_and_counts_its_progress(
    hub: Hub, receiver: Receiver, desk: ReplayJobDesk, runner: ReplayRunner
):
    receiver.answer = always(500)
    tenant = await hub.tenant()
    endpoint = (await hub.endpoint(tenant, receiver.url)).endpoint.id
    sent = await hub.emit(tenant, 3)
    async with hub.delivering():
        await hub.settled(3, "exhausted")
        before = {request.id: request.body for request in receiver.requests}
        started = await start(desk, tenant, endpoint)
        assert (started.state, started.selected) == (ReplayState.RUNNING, 3)
        receiver.requests.clear()
        receiver.answer = always(204)
        assert await runner.run_due() == 3
        await hub.settled(3)
    assert sorted(receiver.ids) == sorted(sent)
    assert {request.id: request.body for request in receiver.requests} == before
    replay, progress = await desk.read(tenant, started.id)
    assert (replay.state, replay.requeued) == (ReplayState.DONE, 3)
    assert msgspec.structs.astuple(progress) == (3, 0, 0, 0)
    types = await hub.ledger_types(tenant)
    assert types.count("delivery_replayed") == 3
    assert (types.count("replay_started"), types.count("replay_ended")) == (1, 1)
    assert [row["replays"] for row in await hub.deliveries()] == [1, 1, 1]


async def test_a_dry_run_counts_by_state_and_type_and_changes_nothing(hub: Hub, desk: ReplayJobDesk):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, NOWHERE)
    await hub.emit(tenant, 2)
    await hub.emit(tenant, 1, type_=EventType.ENVELOPE_VOIDED)
    await fan_out(hub.store.hub)
    await end_all(hub, made.endpoint.id, "exhausted")
    await hub.emit(tenant, 1)
    await fan_out(hub.store.hub)
    await end_all(hub, made.endpoint.id, "succeeded")
    before, entries = await hub.deliveries(), await hub.ledger_types(tenant)
    counted = await desk.count(tenant, ReplayCriteria(endpoint_id=made.endpoint.id, states=BOTH))
    assert counted.total == 4
    assert counted.by_state == {"exhausted": 3, "succeeded": 1}
    assert counted.by_type == {"envelope.sent": 3, "envelope.voided": 1}
    assert (await hub.deliveries(), await hub.ledger_types(tenant)) == (before, entries)
    assert await desk.list(tenant) == []


async def test_a_replay_takes_exactly_what_its_criteria_name(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 10)
    await hub.store.hub.execute("UPDATE deliveries SET state = 'succeeded' WHERE sequence IN (2, 3)")
    await hub.store.hub.execute(
        "UPDATE deliveries SET created_at = now() - interval '1 day' WHERE sequence < 6"
    )
    await hub.store.hub.execute(
        "UPDATE outbox_events SET type = 'envelope.voided' WHERE id IN (SELECT event_id FROM deliveries WHERE sequence % 2 = 0)"
    )
    [envelope] = await hub.store.hub.fetch(
        "SELECT envelope_id FROM outbox_events WHERE id = (SELECT event_id FROM deliveries WHERE sequence = 7)"
    )
    hour = timedelta(hours=1)
    cases = {
        "ranges": ({"sequences": ((1, 3), (9, 20)), "states": BOTH}, [1, 2, 3, 9, 10]),
        "overlapping ranges": ({"sequences": ((4, 6), (5, 7))}, [4, 5, 6, 7]),
        "one state": ({"sequences": ((1, 3),)}, [1]),
        "what arrived": ({"states": (DeliveryState.SUCCEEDED,)}, [2, 3]),
        "type": ({"event_types": ("envelope.voided",)}, [4, 6, 8, 10]),
        "since": ({"created_from": hub.clock.now() - hour}, [6, 7, 8, 9, 10]),
        "until": ({"created_before": hub.clock.now() - hour}, [1, 4, 5]),
        "envelope": ({"envelope_id": envelope["envelope_id"]}, [7]),
        "all endpoints": ({}, [1, 4, 5, 6, 7, 8, 9, 10]),
    }
    kept = await hub.store.hub.fetch("SELECT id, state FROM deliveries")
    for name, (given, expected) in cases.items():
        where = None if name == "all endpoints" else endpoint
        criteria = ReplayCriteria(endpoint_id=where, **given)
        assert (await desk.count(tenant, criteria)).total == len(expected), name
        started = await desk.start(tenant, criteria, ACTOR, SOURCE)
        await runner.run_due(page=3)
        assert await sequences_in(hub, "pending") == expected, name
        replay, _ = await desk.read(tenant, started.id)
        assert (replay.state, replay.requeued) == (ReplayState.DONE, len(expected)), name
        if name != "overlapping ranges":  # which are kept as one
            assert replay.criteria == criteria
        await hub.store.hub.execute(
            "UPDATE deliveries d SET state = k.state FROM unnest($1::uuid[], $2::text[]) k(id, state) WHERE d.id = k.id",
            [row["id"] for row in kept],
            [row["state"] for row in kept],
        )


async def test_a_replay_leaves_alone_what_came_after_it(hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 2)
    await start(desk, tenant, endpoint)
    await hub.put(tenant, 2)
    await fan_out(hub.store.hub)
    await end_all(hub, endpoint, "exhausted")
    assert await runner.run_due() == 2
    assert await sequences_in(hub, "exhausted") == [3, 4]


async def test_a_replay_with_a_rate_never_takes_more_than_the_databases_clock_allows(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 60)
    started = await start(desk, tenant, endpoint, rate_per_second=10.0)

    async def taken_and_allowed() -> tuple[int, float]:
        row = await hub.store.hub.fetchrow(
            "SELECT requeued, 10 * (1 + extract(epoch FROM clock_timestamp() - created_at))::float8 AS allowed"
            " FROM replay_jobs WHERE id = $1",
            started.id,
        )
        return row["requeued"], row["allowed"]

    for _ in range(20):
        await runner.run_due(for_s=0.0)
        taken, allowed = await taken_and_allowed()
        assert 0 < taken <= allowed
    # An hour in which no worker came is not made up for at once.
    await hub.store.hub.execute("UPDATE replay_jobs SET next_at = now() - interval '1 hour', requeued = 0")
    assert await runner.run_due(for_s=0.0) <= 60
    row = await hub.store.hub.fetchrow("SELECT next_at > now() - interval '5 s' AS is_near FROM replay_jobs")
    assert row["is_near"]


async def test_two_workers_at_once_take_each_delivery_once(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 200)
    started = await start(desk, tenant, endpoint)
    taken = await asyncio.gather(*(runner.run_due(page=10) for _ in range(4)))
    while (await desk.read(tenant, started.id))[0].state is ReplayState.RUNNING:
        taken.append(await runner.run_due(page=10))
    assert sum(taken) == 200
    assert {row["replays"] for row in await hub.deliveries()} == {1}
    assert (await hub.ledger_types(tenant)).count("delivery_replayed") == 200


async def test_a_cancelled_replay_takes_nothing_more_and_a_paused_one_goes_on_where_it_stood(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 12)
    started = await start(desk, tenant, endpoint)
    assert await runner.run_due(for_s=0.0, page=4) == 4
    assert (await desk.pause(tenant, started.id, ACTOR, SOURCE)).state is ReplayState.PAUSED
    assert await runner.run_due(page=4) == 0
    await desk.resume(tenant, started.id, ACTOR, SOURCE)
    assert await runner.run_due(for_s=0.0, page=4) == 4
    assert await sequences_in(hub, "exhausted") == [9, 10, 11, 12]
    assert (await desk.cancel(tenant, started.id, ACTOR, SOURCE)).requeued == 8
    assert await runner.run_due() == 0
    for move in (desk.cancel, desk.pause, desk.resume):
        with pytest.raises(Conflict, match="The replay is cancelled"):
            await move(tenant, started.id, ACTOR, SOURCE)
    types = [type_ for type_ in await hub.ledger_types(tenant) if type_.startswith("replay_")]
    assert types == ["replay_started", "replay_changed", "replay_changed", "replay_ended"]


async def test_a_replay_of_an_endpoint_that_is_off_is_refused_in_words(hub: Hub, desk: ReplayJobDesk):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 1)
    await hub.desk.change(tenant, endpoint, EndpointChange(active=False), ACTOR, SOURCE)
    for ask in (desk.count(tenant, ReplayCriteria(endpoint_id=endpoint)), start(desk, tenant, endpoint)):
        with pytest.raises(Conflict, match="switched off") as refusal:
            await ask
        assert "Switch it on first" in refusal.value.remedy
    counted = await desk.count(tenant, ReplayCriteria(endpoint_id=None))
    assert (counted.total, counted.off) == (0, 1)


async def test_a_replay_whose_endpoint_goes_off_or_away_stands_still_and_says_why(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 3)
    started = await start(desk, tenant, endpoint)
    await hub.desk.change(tenant, endpoint, EndpointChange(active=False), ACTOR, SOURCE)
    assert await runner.run_due() == 0
    replay, _ = await desk.read(tenant, started.id)
    assert (replay.state, replay.reason) == (ReplayState.PAUSED, "its endpoint was switched off")
    with pytest.raises(Conflict, match="switched off"):
        await desk.resume(tenant, started.id, ACTOR, SOURCE)
    await hub.desk.change(tenant, endpoint, EndpointChange(active=True), ACTOR, SOURCE)
    await desk.resume(tenant, started.id, ACTOR, SOURCE)
    await hub.desk.delete(tenant, endpoint, ACTOR, SOURCE)
    await runner.run_due()
    replay, _ = await desk.read(tenant, started.id)
    assert (replay.state, replay.requeued) == (ReplayState.CANCELLED, 0)
    assert replay.reason == "its endpoint was deleted"
    assert await sequences_in(hub, "cancelled") == [1, 2, 3]  # with their endpoint


async def test_a_replay_shows_what_failed_again_and_what_still_waits(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 4)
    started = await start(desk, tenant, endpoint)
    await runner.run_due()
    await hub.store.hub.execute("UPDATE deliveries SET state = 'succeeded' WHERE sequence = 1")
    await hub.store.hub.execute("UPDATE deliveries SET state = 'exhausted' WHERE sequence = 2")
    await hub.store.hub.execute("DELETE FROM deliveries WHERE sequence = 3")
    _, progress = await desk.read(tenant, started.id)
    assert (progress.delivered, progress.failed, progress.waiting, progress.cancelled) == (2, 1, 1, 0)


async def test_a_replay_that_always_fails_does_not_keep_others_waiting(
    hub: Hub, desk: ReplayJobDesk, runner: ReplayRunner
):
    tenant, other = await hub.tenant(), await hub.tenant()
    broken = await start(desk, tenant, await exhausted(hub, tenant, 2))
    await hub.store.hub.execute("UPDATE replay_jobs SET actor = '{}' WHERE id = $1", broken.id)
    await start(desk, other, await exhausted(hub, other, 2))
    assert await runner.run_due() == 2


async def test_a_replay_that_fails_again_says_nothing_of_the_endpoints_health(
    hub: Hub, receiver: Receiver, desk: ReplayJobDesk, runner: ReplayRunner
):
    receiver.answer = always(500)
    tenant = await hub.tenant()
    endpoint = (await hub.endpoint(tenant, receiver.url)).endpoint.id
    await hub.emit(tenant, 2)

    async def failures() -> int:
        return int(
            await hub.store.hub.fetchval(
                "SELECT failures_in_row FROM endpoint_health WHERE endpoint_id = $1", endpoint
            )
        )

    async with hub.delivering():
        await hub.settled(2, "exhausted")
        before, requests = await failures(), len(receiver.requests)
        assert before == requests
        started = await start(desk, tenant, endpoint)
        await runner.run_due()
        await hub.until(lambda: len(receiver.requests) == 2 * requests)
        await hub.settled(2, "exhausted")
        assert await failures() == before
    assert (await desk.read(tenant, started.id))[1].failed == 2


async def test_impossible_criteria_are_refused_with_everything_that_is_wrong(hub: Hub, desk: ReplayJobDesk):
    tenant, now = await hub.tenant(), hub.clock.now()
    bad = ReplayCriteria(
        endpoint_id=None,
        states=(DeliveryState.PENDING,),
        event_types=("envelope.eaten",),
        created_from=now,
        created_before=now,
        sequences=((1, 2),),
        rate_per_second=0.01,
    )
    with pytest.raises(ValidationFailed) as refusal:
        await desk.start(tenant, bad, ACTOR, SOURCE)
    assert [finding.where for finding in refusal.value.findings] == [
        "/states/0", "/event_types/0", "/to", "/sequences", "/rate_per_second",
    ]  # fmt: skip
    for ranges in (((0, 1),), ((5, 4),), ((1, 2**63 - 1),), ((1, 1),) * (MOST_RANGES + 1)):
        with pytest.raises(ValidationFailed):
            await desk.start(
                tenant, ReplayCriteria(endpoint_id=hub.ids.new(), sequences=ranges), ACTOR, SOURCE
            )
    with pytest.raises(ValidationFailed):
        await start(desk, tenant, None, created_from=now.replace(tzinfo=None))
    with pytest.raises(ValidationFailed):
        await start(desk, tenant, None, states=())


async def test_replays_of_one_tenant_are_limited_and_nobody_elses(hub: Hub, desk: ReplayJobDesk):
    tenant, stranger = await hub.tenant(), await hub.tenant()
    started = [await start(desk, tenant, None) for _ in range(MOST_OPEN)]
    with pytest.raises(Conflict, match="open already"):
        await start(desk, tenant, None)
    assert [one.id for one in await desk.list(tenant, limit=2, before=started[5].id)] == [
        started[4].id,
        started[3].id,
    ]
    assert await desk.list(stranger) == []
    for ask in (desk.read(stranger, started[0].id), desk.cancel(stranger, started[0].id, ACTOR, SOURCE)):
        with pytest.raises(NotFound):
            await ask


@contextlib.asynccontextmanager
async def replay_process(hub: Hub, redis_url) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": hub.store.app_url.reveal(),
        "DATABASE_OWNER_URL": hub.store.owner_url.reveal(),
        "DATABASE_HUB_URL": hub.store.hub_url.reveal(),
        "REDIS_URL": redis_url.reveal(),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.webhooks.outbound.replay_process", env=environment
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_a_worker_killed_in_the_middle_of_a_replay_leaves_nothing_out_and_takes_nothing_twice(
    hub: Hub, desk: ReplayJobDesk, redis_url
):
    tenant = await hub.tenant()
    endpoint = await exhausted(hub, tenant, 400)
    started = await start(desk, tenant, endpoint)

    async def has_taken(count: int) -> bool:
        return (await desk.read(tenant, started.id))[0].requeued >= count

    for wanted in (60, 180):
        async with replay_process(hub, redis_url) as worker:
            await hub.until(lambda wanted=wanted: has_taken(wanted))
            worker.send_signal(signal.SIGKILL)
    assert not await has_taken(400)
    async with replay_process(hub, redis_url) as worker:
        assert await worker.wait() == 0
    replay, progress = await desk.read(tenant, started.id)
    assert (replay.state, replay.requeued, progress.waiting) == (ReplayState.DONE, 400, 400)
    assert {(row["state"], row["replays"]) for row in await hub.deliveries()} == {("pending", 1)}
    assert (await hub.ledger_types(tenant)).count("delivery_replayed") == 400
