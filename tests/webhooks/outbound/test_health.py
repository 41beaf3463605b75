"""How an endpoint fares, in figures: rates and times of the last hour and day, what waits, whose it is."""

from datetime import timedelta
from uuid import UUID

import pytest

from normalizer.errors import NotFound
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, always
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.health import BreakerState, Window, read_health

EMPTY = Window(attempts=0, succeeded=0, success_rate=None, p95_ms=None, is_sampled=False)


async def log_attempts(
    hub: Hub, tenant: UUID, endpoint_id: UUID, count: int, *, outcome: str, ago: timedelta
):
    """Attempts that took 1, 2, 3 ... ms."""
    await hub.store.hub.execute(
        "INSERT INTO delivery_attempts (tenant_id, delivery_id, claim_id, endpoint_id, started_at, duration_ms, outcome)"
        " SELECT $1, gen_random_uuid(), gen_random_uuid(), $2, now() - $5::interval, i, $4 FROM generate_series(1, $3) i",
        tenant, endpoint_id, count, outcome, ago,
    )  # fmt: skip


async def test_rates_and_times_are_of_the_last_hour_and_day(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    other = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    own = made.endpoint.id
    await log_attempts(hub, tenant, own, 100, outcome="succeeded", ago=timedelta(minutes=5))
    await log_attempts(hub, tenant, own, 100, outcome="retry", ago=timedelta(hours=5))
    await log_attempts(hub, tenant, own, 100, outcome="retry", ago=timedelta(hours=30))
    await log_attempts(hub, tenant, other.endpoint.id, 100, outcome="retry", ago=timedelta(minutes=1))
    health = await read_health(hub.store.app, tenant, own)
    assert health.last_hour == Window(
        attempts=100, succeeded=100, success_rate=1.0, p95_ms=95, is_sampled=False
    )
    assert (health.last_day.attempts, health.last_day.success_rate) == (200, 0.5)


async def test_more_attempts_than_a_sample_are_judged_by_the_newest_and_said_so(hub: Hub):
    tenant = await hub.tenant()
    own = (await hub.endpoint(tenant, "http://127.0.0.1:9/hook")).endpoint.id
    await log_attempts(hub, tenant, own, 30, outcome="retry", ago=timedelta(minutes=30))
    await log_attempts(hub, tenant, own, 20, outcome="succeeded", ago=timedelta(minutes=1))
    health = await read_health(hub.store.app, tenant, own, sample=20)
    assert health.last_hour == Window(attempts=20, succeeded=20, success_rate=1.0, p95_ms=19, is_sampled=True)


async def test_an_endpoint_that_nothing_was_sent_to_has_empty_figures(hub: Hub):
    tenant = await hub.tenant()
    own = (await hub.endpoint(tenant, "http://127.0.0.1:9/hook")).endpoint.id
    health = await read_health(hub.store.app, tenant, own)
    assert (health.last_hour, health.last_day, health.breaker) == (EMPTY, EMPTY, BreakerState.CLOSED)
    assert (health.undelivered, health.oldest_pending_at, health.failing_since) == (0, None, None)


async def test_what_waits_is_counted_and_the_oldest_named(hub: Hub):
    tenant = await hub.tenant()
    own = (await hub.endpoint(tenant, "http://127.0.0.1:9/hook")).endpoint.id
    await hub.put(tenant, 6)
    await fan_out(hub.store.hub)
    for sequence, state in enumerate(("exhausted", "held", "succeeded", "cancelled", "leased"), 1):
        await hub.store.hub.execute("UPDATE deliveries SET state = $2 WHERE sequence = $1", sequence, state)
    health = await read_health(hub.store.app, tenant, own)
    oldest = await hub.store.hub.fetchval("SELECT created_at FROM deliveries WHERE sequence = 6")
    assert (health.undelivered, health.oldest_pending_at) == (4, oldest)


async def test_real_attempts_move_the_figures(hub: Hub, receiver: Receiver):
    receiver.answer = always(503)
    tenant = await hub.tenant()
    own = (await hub.endpoint(tenant, receiver.url)).endpoint.id
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.settled(1, "exhausted")
        receiver.answer = always(204)
        await hub.emit(tenant)
        await hub.until(lambda: hub.store.hub.fetchval("SELECT last_success_at FROM endpoint_health"))
    health = await read_health(hub.store.app, tenant, own)
    assert (health.last_hour.attempts, health.last_hour.succeeded) == (5, 1)
    assert (health.failures_in_row, health.failing_since, health.undelivered) == (0, None, 1)
    assert health.last_failure_at is not None
    assert health.last_success_at > health.last_failure_at


async def test_a_strangers_endpoint_is_not_found(hub: Hub):
    tenant, other = await hub.tenant(), await hub.tenant()
    own = (await hub.endpoint(tenant, "http://127.0.0.1:9/hook")).endpoint.id
    with pytest.raises(NotFound):
        await read_health(hub.store.app, other, own)
