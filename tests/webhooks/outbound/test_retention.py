"""What is forgotten when its time of keeping is over, and what never is."""

from datetime import timedelta
from uuid import UUID

from config.settings_endpoints import RetentionSettings
from tests.webhooks.outbound.hub import Hub
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.retention import reap_outbound

SETTINGS = RetentionSettings(attempt_days=30, event_days=90)
SOME_DAYS = timedelta(days=100)


async def made_long_ago(hub: Hub, tenant: UUID, count: int, age: timedelta = SOME_DAYS) -> None:
    """Events and deliveries as they would be if they had been made so long ago, ids included."""
    await hub.put(tenant, count)
    await fan_out(hub.store.hub)
    # An id's first 48 bits are its time.
    older = (
        "(overlay(uuid_send({0}) PLACING substring(int8send((('x' || left(replace({0}::text, '-', ''), 12))::bit(48)"
        "::bigint - {1})) FROM 3) FROM 1 FOR 6))"
    )
    milliseconds = int(age.total_seconds() * 1000)

    def aged(column: str) -> str:
        return f"encode({older.format(column, milliseconds)}, 'hex')::uuid"

    for statement in (
        (
            f"UPDATE event_feed SET event_id = {aged('event_id')} WHERE event_id IN (SELECT id FROM outbox_events"
            " WHERE created_at > now() - interval '1 hour')"
        ),
        (
            f"UPDATE deliveries SET id = {aged('id')}, event_id = {aged('event_id')}, created_at = now() - $1::interval,"
            " finished_at = now() - $1::interval, state = 'succeeded' WHERE created_at > now() - interval '1 hour'"
        ),
        (
            f"UPDATE outbox_events SET id = {aged('id')}, created_at = now() - $1::interval"
            " WHERE created_at > now() - interval '1 hour'"
        ),
    ):
        await hub.store.hub.execute(statement, *([age] if "$1" in statement else []))


async def log_attempts(hub: Hub, ago: timedelta) -> None:
    await hub.store.hub.execute(
        "INSERT INTO delivery_attempts (tenant_id, delivery_id, claim_id, endpoint_id, started_at, duration_ms, outcome)"
        " SELECT tenant_id, id, gen_random_uuid(), endpoint_id, now() - $1::interval, 1, 'retry' FROM deliveries",
        ago,
    )


async def count(hub: Hub, table: str) -> int:
    return await hub.store.hub.fetchval(f"SELECT count(*) FROM {table}")


async def floor(hub: Hub, tenant: UUID) -> int:
    async with hub.store.app.transaction(tenant) as tx:
        return await tx.driver.fetchval("SELECT feed_floor($1)", tenant)


async def tenant_with_endpoint(hub: Hub) -> UUID:
    tenant = await hub.tenant()
    await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    return tenant


async def test_what_arrived_long_ago_is_forgotten_page_by_page(hub: Hub):
    tenant = await tenant_with_endpoint(hub)
    await made_long_ago(hub, tenant, 7)
    await log_attempts(hub, SOME_DAYS)
    await hub.put(tenant, 2)
    await fan_out(hub.store.hub)
    removed = await reap_outbound(hub.store.hub, SETTINGS, page=3)
    assert removed == {"attempts": 7, "deliveries": 7, "feed": 7, "events": 7}
    assert [await count(hub, t) for t in ("deliveries", "event_feed", "outbox_events")] == [2, 2, 2]
    assert await reap_outbound(hub.store.hub, SETTINGS) == dict.fromkeys(removed, 0)
    assert await floor(hub, tenant) == 8


async def test_what_never_arrived_is_kept_with_its_event(hub: Hub):
    tenant = await tenant_with_endpoint(hub)
    await made_long_ago(hub, tenant, 4)
    for sequence, state in enumerate(("pending", "held", "exhausted"), 1):
        await hub.store.hub.execute("UPDATE deliveries SET state = $2 WHERE sequence = $1", sequence, state)
    await reap_outbound(hub.store.hub, SETTINGS)
    assert await hub.states() == ["pending", "held", "exhausted"]
    assert await count(hub, "outbox_events") == 3


async def test_attempts_go_before_their_deliveries_and_recent_ones_stay(hub: Hub):
    tenant = await tenant_with_endpoint(hub)
    await made_long_ago(hub, tenant, 2, timedelta(days=40))
    await log_attempts(hub, timedelta(days=31))
    await log_attempts(hub, timedelta(days=29))
    removed = await reap_outbound(hub.store.hub, SETTINGS)
    assert (removed["attempts"], removed["deliveries"], await count(hub, "delivery_attempts")) == (2, 0, 2)


async def test_a_young_event_keeps_those_behind_it_in_the_feed(hub: Hub):
    tenant = await tenant_with_endpoint(hub)
    await made_long_ago(hub, tenant, 5)
    await hub.store.hub.execute(
        "UPDATE outbox_events SET created_at = now() WHERE id = (SELECT event_id FROM event_feed WHERE seq = 3)"
    )
    await reap_outbound(hub.store.hub, SETTINGS)
    rows = await hub.store.hub.fetch("SELECT seq FROM event_feed ORDER BY seq")
    assert [row["seq"] for row in rows] == [3, 4, 5]
    assert await count(hub, "outbox_events") == 3


async def test_one_tenants_page_ends_nothing_of_another(hub: Hub):
    old, young = await tenant_with_endpoint(hub), await tenant_with_endpoint(hub)
    await made_long_ago(hub, old, 3)
    await hub.put(young, 3)
    await fan_out(hub.store.hub)
    await reap_outbound(hub.store.hub, SETTINGS)
    assert {row["tenant_id"] for row in await hub.deliveries()} == {young}
    assert (await floor(hub, old), await floor(hub, young)) == (4, 1)
