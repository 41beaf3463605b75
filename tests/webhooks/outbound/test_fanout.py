"""From events to deliveries: contiguous numbers per endpoint, one fan-out at a time, poison that ends."""

import asyncio
import json
import random
from datetime import UTC, datetime
from uuid import UUID

import pytest

from normalizer.ids import Kind, print_id
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver
from webhooks.outbound.compose import compose_body
from webhooks.outbound.fanout import FanOuts, count_waiting, fan_out
from webhooks.outbound.filters import matches, vet_filter
from webhooks.outbound.sweep import PATIENCE, give_up_poison, sweep


async def test_concurrent_writers_and_fan_outs_leave_no_gap_and_no_double(hub: Hub):
    tenant = await hub.tenant()
    for _ in range(3):
        await hub.endpoint(tenant, "http://127.0.0.1:9/hook")

    async def fan_out_until_empty() -> None:
        while (await count_waiting(hub.store.hub)).events or (await fan_out(hub.store.hub, 7)).busy:
            await fan_out(hub.store.hub, 7)

    await asyncio.gather(
        *(hub.put(tenant, 25) for _ in range(4)), fan_out_until_empty(), fan_out_until_empty()
    )
    await fan_out_until_empty()
    rows = await hub.deliveries()
    assert len(rows) == 300
    by_endpoint: dict[UUID, list[int]] = {}
    for row in rows:
        by_endpoint.setdefault(row["endpoint_id"], []).append(row["sequence"])
    assert list(by_endpoint.values()) == [list(range(1, 101))] * 3
    assert len({(row["endpoint_id"], row["event_id"]) for row in rows}) == 300


async def test_racing_fan_outs_leave_no_gap_in_any_tenants_feed(hub: Hub):
    tenants = [await hub.tenant() for _ in range(3)]
    await hub.endpoint(tenants[0], "http://127.0.0.1:9/hook")  # the others have none, and a feed all the same

    async def fan_out_until_empty() -> None:
        while (await count_waiting(hub.store.hub)).events or (await fan_out(hub.store.hub, 5)).busy:
            await fan_out(hub.store.hub, 5)

    puts = [hub.put(tenant, 15) for tenant in tenants for _ in range(3)]
    await asyncio.gather(*puts, *(fan_out_until_empty() for _ in range(3)))
    await fan_out_until_empty()
    rows = await hub.store.hub.fetch(
        "SELECT tenant_id, seq, event_id FROM event_feed ORDER BY tenant_id, seq"
    )
    feeds = {tenant: [row["seq"] for row in rows if row["tenant_id"] == tenant] for tenant in tenants}
    assert feeds == {key: list(range(1, 46)) for key in tenants}
    assert len({row["event_id"] for row in rows}) == 135
    heads = await hub.store.hub.fetch("SELECT next_seq FROM event_feed_heads")
    assert {row["next_seq"] for row in heads} == {46}


async def test_filters_leave_sequences_without_a_gap_and_take_exactly_what_they_say(hub: Hub):
    """Random filters over random events: each endpoint numbers what its filter takes, and nothing else."""
    chance = random.Random(20261122)
    tenant = await hub.tenant()
    filters: dict[UUID, dict] = {}
    for _ in range(12):
        made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
        wanted = {
            "data.number": chance.choice(
                [chance.randrange(6), [1, 3, 5], {"gte": chance.randrange(6)}, {"lt": chance.randrange(6)}]
            )
        }
        filters[made.endpoint.id] = chance.choice(
            [wanted, {"not": wanted}, {"any": [wanted, {"type": "x.y"}]}]
        )
        await hub.store.hub.execute(
            "UPDATE webhook_endpoints SET filter = $2::text::jsonb WHERE id = $1",
            made.endpoint.id,
            json.dumps(filters[made.endpoint.id]),
        )
    for _ in range(5):
        await hub.emit(tenant, chance.randrange(1, 7))
        await fan_out(hub.store.hub, chance.randrange(1, 9))
    while (await fan_out(hub.store.hub, 4)).events:
        pass
    events = await hub.store.hub.fetch(
        "SELECT o.id, o.type, o.data FROM event_feed f JOIN outbox_events o ON o.id = f.event_id ORDER BY f.seq"
    )
    got: dict[UUID, list[tuple[int, UUID]]] = {endpoint: [] for endpoint in filters}
    for row in await hub.deliveries():
        got[row["endpoint_id"]].append((row["sequence"], row["event_id"]))
    for endpoint_id, filter_ in filters.items():
        taken = [
            event["id"] for event in events if matches(vet_filter(filter_), event["type"], event["data"])
        ]
        assert got[endpoint_id] == list(enumerate(taken, 1)), filter_


async def hostile_tenant(hub: Hub, events: int) -> UUID:
    """At the limits of what a tenant may ask of the fan-out: 100 endpoints with filters of nearly 4 KB."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    costly = {"all": [{f"data.a{n}": {"nin": ["x" * 54]}} for n in range(49)]}
    vet_filter(costly)
    await hub.store.hub.execute(
        "INSERT INTO webhook_endpoints (tenant_id, id, url, secret, filter)"
        " SELECT tenant_id, gen_random_uuid(), url, secret, $2::text::jsonb FROM webhook_endpoints,"
        " generate_series(1, 99) WHERE id = $1",
        made.endpoint.id,
        json.dumps(costly),
    )
    await hub.put(tenant, events)
    return tenant


async def fanned_out_of(hub: Hub, tenant: UUID) -> int:
    return await hub.store.hub.fetchval(
        "SELECT count(*)::integer FROM event_feed WHERE tenant_id = $1", tenant
    )


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_quiet_tenants_event_waits_for_no_thousand_of_a_costly_ones(hub: Hub, batch: int):
    hostile = await hostile_tenant(hub, 1000)
    quiet = await hub.tenant()
    await hub.endpoint(quiet, "http://127.0.0.1:9/hook")
    fan_outs = FanOuts(hub.store.hub)
    fan_outs.batch_events = batch
    await fan_outs.next()  # one is under way when the quiet one's event comes
    before = await fanned_out_of(hub, hostile)
    await hub.put(quiet, 1)
    fan_outs.batch_events = batch
    await fan_outs.next()
    assert await fanned_out_of(hub, quiet) == 1
    assert await fanned_out_of(hub, hostile) - before <= 5
    assert before <= 5


async def test_a_quiet_tenants_turn_comes_among_many_costly_ones(hub: Hub):
    """Each batch has room for few of theirs, and they have waited longer."""
    hostile = [await hostile_tenant(hub, 20) for _ in range(5)]
    quiet = await hub.tenant()
    await hub.put(quiet, 1)
    fan_outs = FanOuts(hub.store.hub)
    batches = 0
    while not await fanned_out_of(hub, quiet):
        fan_outs.batch_events = 1
        await fan_outs.next()
        batches += 1
    assert batches <= len(hostile) + 1
    assert sum([await fanned_out_of(hub, one) for one in hostile]) < batches


async def test_all_is_fanned_out_in_each_tenants_order_however_small_the_batches(hub: Hub):
    tenants = [await hub.tenant() for _ in range(4)]
    wanted = {}
    for at, tenant in enumerate(tenants):
        await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
        wanted[tenant] = await hub.emit(tenant, 3 + 2 * at)
    fan_outs = FanOuts(hub.store.hub)
    sizes = []
    while True:
        fan_outs.batch_events = 3
        fanned = await fan_outs.next()
        sizes.append(fanned.events)
        if fanned.is_last:
            break
    assert sizes == [3] * 8
    rows = await hub.store.hub.fetch("SELECT tenant_id, event_id FROM event_feed ORDER BY tenant_id, seq")
    got = {tenant: [] for tenant in tenants}
    for row in rows:
        got[row["tenant_id"]].append(print_id(Kind.EVENT, row["event_id"]))
    assert got == wanted


async def test_a_second_fan_out_is_told_that_one_is_under_way(hub: Hub):
    tenant = await hub.tenant()
    await hub.put(tenant, 1)
    async with hub.store.hub.transaction() as tx:
        await tx.driver.fetch("SELECT * FROM fan_out(10)")
        assert (await fan_out(hub.store.hub)).busy
    assert (await fan_out(hub.store.hub)).events == 1


async def test_an_event_without_a_matching_endpoint_makes_no_delivery_and_does_not_wait(hub: Hub):
    tenant = await hub.tenant()
    await hub.put(tenant, 2)
    fanned = await fan_out(hub.store.hub)
    assert (fanned.events, fanned.deliveries, fanned.mailboxes) == (2, 0, ())
    assert (await count_waiting(hub.store.hub)).events == 0


async def test_a_tenant_never_takes_all_the_slots(hub: Hub, receiver: Receiver):
    from aiohttp import web

    gate = asyncio.Event()

    async def hold(request: web.Request, received) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    receiver.answer = hold
    greedy, modest = await hub.tenant(), await hub.tenant()
    for _ in range(4):
        await hub.endpoint(greedy, receiver.url)
    mine = await hub.endpoint(modest, receiver.url)
    await hub.put(greedy, 8)
    async with hub.delivering(in_flight=12, in_flight_per_tenant=8, batch_size=12):
        await hub.until(lambda: receiver.in_flight == 8)
        await hub.put(modest, 2)
        await hub.until(lambda: receiver.in_flight == 10)
        gate.set()
        await hub.settled(34)
    tenants = [json.loads(request.body)["tenant_id"] for request in receiver.requests[:10]]
    assert sorted(tenants.count(tenant) for tenant in set(tenants)) == [2, 8]
    assert mine.endpoint.tenant_id == modest


async def test_a_delivery_that_loses_its_deliverer_again_and_again_is_given_up_and_recorded(hub: Hub):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    await hub.put(tenant, 1)
    await fan_out(hub.store.hub)
    for lost in range(PATIENCE + 1):
        assert await hub.states() == ["pending"]
        await hub.store.hub.execute(
            "UPDATE deliveries SET state = 'leased', claim_id = gen_random_uuid(), lease_until = now() - interval '1 s'"
        )
        await sweep(hub.store.hub)
        given_up = await give_up_poison(hub.store.hub, hub.reporter)
        assert given_up == (1 if lost == PATIENCE else 0)
    assert await hub.states() == ["exhausted"]
    assert "delivery_exhausted" in await hub.ledger_types(tenant)


@pytest.mark.parametrize("data", [b"{}", b'{"a":"\xc3\xbc","b":[1,{"c":null}]}'])
def test_a_body_is_json_with_the_stored_data_as_it_is(data: bytes):
    body = compose_body(
        message="evt_1",
        type_="envelope.sent",
        occurred_at=datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC),
        tenant_id=UUID(int=1),
        sequence=7,
        data=data,
    )
    assert data in body
    assert json.loads(body)["data"] == json.loads(data)
    assert json.loads(body)["timestamp"] == "2026-01-02T03:04:05.678Z"
