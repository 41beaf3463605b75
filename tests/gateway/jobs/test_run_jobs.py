"""Jobs: tried, retried, given up, re-driven; schedules fired once. All of it in SQL."""

import asyncio

import pytest

from config.errors import StoreUnavailable
from gateway.jobs import run_jobs
from gateway.jobs.kinds import KINDS, JobKind, schedules
from gateway.jobs.run_jobs import run_due
from gateway.jobs.store import (
    claim_job,
    end_job,
    enqueue_job,
    fire_schedules,
    list_dead_jobs,
    redrive_job,
    set_schedules,
)
from normalizer.errors import Conflict, NotFound
from tests.webhooks.inbound.house import House

ID = "0192f0c1-2345-7000-8000-000000000001"


class Handler:
    """Counts its runs; raises what it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[dict[str, str]] = []

    async def __call__(self, _: object, args: dict[str, str]) -> None:
        self.seen.append(args)
        if self.error is not None:
            raise self.error


def kinds_of(handler, *, every_s: float | None = None, timeout_s: float = 10.0) -> dict[str, JobKind]:
    recurs = None if every_s is None else lambda _: every_s
    return {"probe": JobKind(run=handler, timeout_s=timeout_s, every_s=recurs)}


async def due_now(house: House) -> None:
    await house.services.hub.execute("UPDATE jobs SET due_at = now() WHERE state = 'queued'")


async def rows(house: House) -> list[dict]:
    return [dict(row) for row in await house.services.hub.fetch("SELECT * FROM jobs ORDER BY id")]


async def test_queued_job_is_run_once_with_its_ids(house: House) -> None:
    handler = Handler()
    await enqueue_job(house.services.hub, house.services.ids.new(), "probe", {"envelope_id": ID})
    assert await run_due(house.services, kinds=kinds_of(handler)) == 1
    assert await run_due(house.services, kinds=kinds_of(handler)) == 0
    assert handler.seen == [{"envelope_id": ID}]
    assert [row["state"] for row in await rows(house)] == ["done"]


async def test_job_of_a_transaction_that_is_rolled_back_never_was(house: House) -> None:
    async with house.services.hub.transaction() as tx:
        await enqueue_job(tx, house.services.ids.new(), "probe")
    assert await rows(house) == []


async def test_failing_job_is_retried_three_times_then_listed_explained_and_redriven(house: House) -> None:
    handler = Handler(ValueError("secret text"))
    hub = house.services.hub
    await enqueue_job(hub, house.services.ids.new(), "probe")
    waits = []
    for _ in range(4):
        await run_due(house.services, kinds=kinds_of(handler))
        (row,) = await rows(house)
        waits.append(row["state"])
        await due_now(house)
    assert waits == ["queued", "queued", "queued", "dead"]
    assert await run_due(house.services, kinds=kinds_of(handler)) == 0
    (dead,) = await list_dead_jobs(hub)
    assert dead.explanation == (
        "It failed with ValueError. Tried 4 times. It does not run again by itself."
        " Re-drive it when the cause is gone."
    )
    handler.error = None
    await redrive_job(hub, dead.id)
    assert await run_due(house.services, kinds=kinds_of(handler)) == 1
    assert len(handler.seen) == 5
    assert await list_dead_jobs(hub) == []
    with pytest.raises(Conflict):
        await redrive_job(hub, dead.id)
    with pytest.raises(NotFound):
        await redrive_job(hub, house.services.ids.new())


async def test_retry_waits_for_its_delay(house: House) -> None:
    handler = Handler(ValueError())
    await enqueue_job(house.services.hub, house.services.ids.new(), "probe")
    for _ in range(3):
        await run_due(house.services, kinds=kinds_of(handler))
    assert len(handler.seen) == 1
    delay = await house.services.hub.fetchval("SELECT extract(epoch FROM due_at - now())::float8 FROM jobs")
    assert 0 < delay <= run_jobs.RETRY_DELAYS_S[0]


async def test_job_that_takes_too_long_is_stopped_and_retried(house: House) -> None:
    async def forever(*_: object) -> None:
        await asyncio.sleep(60)

    await enqueue_job(house.services.hub, house.services.ids.new(), "probe")
    await run_due(house.services, kinds=kinds_of(forever, timeout_s=0.05))
    (row,) = await rows(house)
    assert (row["state"], row["error"]) == ("queued", "It did not end within 0.05 s. Tried 1 times.")


async def test_time_out_of_what_a_job_waits_for_is_not_told_as_the_jobs_own(house: House) -> None:
    await enqueue_job(house.services.hub, house.services.ids.new(), "probe")
    await run_due(house.services, kinds=kinds_of(Handler(TimeoutError()), timeout_s=10.0))
    (row,) = await rows(house)
    assert (row["state"], row["error"]) == ("queued", "It failed with TimeoutError. Tried 1 times.")


async def test_lost_store_leaves_the_job_to_its_lease(house: House) -> None:
    handler = Handler(StoreUnavailable("away"))
    await enqueue_job(house.services.hub, house.services.ids.new(), "probe")
    with pytest.raises(StoreUnavailable):
        await run_due(house.services, kinds=kinds_of(handler))
    (row,) = await rows(house)
    assert row["state"] == "running"
    await house.services.hub.execute("UPDATE jobs SET lease_until = now()")
    handler.error = None
    assert await run_due(house.services, kinds=kinds_of(handler)) == 1
    assert (await rows(house))[0]["state"] == "done"


async def test_job_that_kills_its_workers_is_given_up(house: House) -> None:
    hub, ids = house.services.hub, house.services.ids
    await enqueue_job(hub, ids.new(), "probe")
    for _ in range(4):
        assert await claim_job(hub, ids.new(), ["probe"], 60.0)
        await hub.execute("UPDATE jobs SET lease_until = now() - interval '1 second'")
    handler = Handler()
    await run_due(house.services, kinds=kinds_of(handler))
    (dead,) = await list_dead_jobs(hub)
    assert (handler.seen, dead.error) == ([], "Its workers were lost while it ran. Tried 5 times.")


async def test_worker_that_lost_its_lease_cannot_end_the_job(house: House) -> None:
    hub, ids = house.services.hub, house.services.ids
    await enqueue_job(hub, ids.new(), "probe")
    late = ids.new()
    job = await claim_job(hub, late, ["probe"], 60.0)
    assert job is not None
    await hub.execute("UPDATE jobs SET lease_until = now() - interval '1 second'")
    assert await claim_job(hub, ids.new(), ["probe"], 60.0)
    assert not await end_job(hub, job.id, late)
    assert (await rows(house))[0]["state"] == "running"


async def test_schedule_fires_once_however_many_ask_and_leaves_no_row(house: House) -> None:
    hub, ids = house.services.hub, house.services.ids
    await set_schedules(hub, {"probe": 60.0})
    assert sum(await asyncio.gather(*(fire_schedules(hub, ids, ["probe"]) for _ in range(8)))) == 1
    handler = Handler()
    kinds = kinds_of(handler, every_s=60.0)
    assert sum(await asyncio.gather(*(run_due(house.services, kinds=kinds) for _ in range(4)))) == 1
    assert (len(handler.seen), await rows(house)) == (1, [])
    await hub.execute("UPDATE schedules SET due_at = now()")
    assert await run_due(house.services, kinds=kinds) == 1
    assert await hub.fetchval("SELECT fired FROM schedules WHERE name = 'probe'") == 2


async def test_schedule_does_not_pile_up_behind_a_run_that_is_open(house: House) -> None:
    hub, ids = house.services.hub, house.services.ids
    await set_schedules(hub, {"probe": 60.0})
    assert await fire_schedules(hub, ids, ["probe"]) == 1
    await hub.execute("UPDATE schedules SET due_at = now()")
    assert await fire_schedules(hub, ids, ["probe"]) == 0
    assert len(await rows(house)) == 1


async def test_failing_schedule_leaves_one_dead_letter_and_goes_on(house: House) -> None:
    hub = house.services.hub
    kinds = kinds_of(Handler(ValueError()), every_s=0.01)
    await set_schedules(hub, {"probe": 0.01})
    for _ in range(12):
        await asyncio.sleep(0.02)
        await due_now(house)
        await run_due(house.services, kinds=kinds, for_s=0.05)
    dead = await list_dead_jobs(hub)
    assert len(dead) == 1
    assert "Its schedule goes on beside it." in dead[0].explanation
    assert await hub.fetchval("SELECT fired FROM schedules WHERE name = 'probe'") >= 2


async def test_changed_interval_is_taken_over_and_a_kept_time_is_kept(house: House) -> None:
    hub = house.services.hub
    await set_schedules(hub, {"probe": 60.0})
    await hub.execute("UPDATE schedules SET due_at = now() + interval '1 hour'")
    await set_schedules(hub, {"probe": 60.0})
    later = "SELECT extract(epoch FROM due_at - now())::float8 FROM schedules WHERE name = 'probe'"
    assert await hub.fetchval(later) > 3000
    await set_schedules(hub, {"probe": 30.0})
    assert await hub.fetchval(later) <= 30


async def test_every_recurring_kind_runs_on_an_empty_house(house: House) -> None:
    await set_schedules(house.services.hub, schedules(house.services.settings))
    assert await run_due(house.services) == len(KINDS)
    assert await rows(house) == []


async def test_stopping_worker_takes_nothing_new(house: House) -> None:
    await enqueue_job(house.services.hub, house.services.ids.new(), "probe")
    handler = Handler()
    assert await run_due(house.services, kinds=kinds_of(handler), is_stopping=lambda: True) == 0
    assert handler.seen == []


async def test_old_successes_and_recorded_refusals_are_reaped_and_dead_letters_stay(house: House) -> None:
    hub, ids = house.services.hub, house.services.ids
    for state, age in (("done", 8), ("done", 6), ("dead", 80)):
        await hub.execute(
            "INSERT INTO jobs (id, kind, state, due_at, finished_at)"
            " VALUES ($1, 'probe', $2, NULL, now() - make_interval(days => $3))",
            ids.new(), state, age,
        )  # fmt: skip
    for recorded, age in ((5, 31), (4, 31), (5, 29)):
        await hub.execute(
            "INSERT INTO inbound_refusals (tenant_id, connection_id, minute, reason, refused, recorded)"
            " VALUES ($1, $1, now() - make_interval(days => $2), 'forged', 5, $3)",
            ids.new(), age, recorded,
        )  # fmt: skip
    await KINDS["reap_old_rows"].run(house.services, {})
    assert sorted(row["state"] for row in await rows(house)) == ["dead", "done"]
    assert await hub.fetchval("SELECT count(*) FROM inbound_refusals") == 2
