"""A job is woken: its schedule is due now, and a worker is rung for."""

from datetime import timedelta

from gateway.jobs.bell import JobBell
from gateway.jobs.store import set_schedules
from gateway.jobs.waking import JobWaker
from tests.gateway.world import World


async def test_woken_job_is_due_now_and_the_others_are_not(world: World) -> None:
    hub = world.services.hub
    await set_schedules(hub, {"seal": 3600.0, "send_notices": 3600.0})
    await hub.execute("UPDATE schedules SET due_at = clock_timestamp() + interval '1 hour'")
    bell = JobBell(world.services.settings)
    waker = JobWaker(hub, bell)
    for _ in range(3):
        waker("seal")
    await waker.aclose()
    await bell.aclose()
    waits = {
        row["name"]: row["waits"]
        for row in await hub.fetch("SELECT name, due_at - clock_timestamp() AS waits FROM schedules")
    }
    assert waits["seal"] <= timedelta(0) < waits["send_notices"]
    assert await world.services.redis.exists("countersign:bell:gateway.jobs.entry.work")
