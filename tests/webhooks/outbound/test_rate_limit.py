"""An endpoint's rate: a bucket of tokens by the database's clock, over all deliverers, that burns no attempt."""

from datetime import timedelta
from uuid import UUID

from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver
from webhooks.outbound.claims import Claimed, claim_deliveries
from webhooks.outbound.fanout import fan_out


async def limited(hub: Hub, url: str, events: int, rate: float) -> UUID:
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, url, max_in_flight=64)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET rate_per_second = $1", rate)
    await hub.put(tenant, events)
    await fan_out(hub.store.hub)
    return made.endpoint.id


async def claim(hub: Hub, endpoint_id: UUID) -> Claimed:
    return await claim_deliveries(
        hub.store.hub, [endpoint_id], [64], room=64, retry_room=32, lease=timedelta(seconds=60),
        claim_id=hub.ids.new(),
    )  # fmt: skip


async def test_a_claim_takes_the_burst_and_then_says_when_the_next_token_is_there(hub: Hub):
    endpoint_id = await limited(hub, "http://127.0.0.1:9/hook", 10, 0.01)
    first, second = await claim(hub, endpoint_id), await claim(hub, endpoint_id)
    assert (len(first.claims), second.claims) == (1, [])
    assert 90 < first.blocked[endpoint_id] < 100.1
    assert 90 < second.blocked[endpoint_id] < 100.1


async def test_tokens_come_back_with_time_and_never_more_than_the_burst(hub: Hub):
    endpoint_id = await limited(hub, "http://127.0.0.1:9/hook", 60, 4.0)
    assert len((await claim(hub, endpoint_id)).claims) == 4
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET tokens = 0, tokens_at = now() - interval '500 ms'"
    )
    assert len((await claim(hub, endpoint_id)).claims) == 2
    await hub.store.hub.execute("UPDATE endpoint_health SET tokens_at = now() - interval '1 day'")
    assert len((await claim(hub, endpoint_id)).claims) == 4


async def test_a_clock_that_stepped_back_gives_no_tokens(hub: Hub):
    endpoint_id = await limited(hub, "http://127.0.0.1:9/hook", 20, 2.0)
    await claim(hub, endpoint_id)
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET tokens = 0, tokens_at = now() + interval '1 hour'"
    )
    assert (await claim(hub, endpoint_id)).claims == []


async def test_two_deliverers_never_send_more_than_the_rate_allows_and_burn_no_attempt(
    hub: Hub, receiver: Receiver
):
    rate = 20.0
    await limited(hub, receiver.url, 50, rate)
    began = await hub.store.hub.fetchval("SELECT clock_timestamp()")
    async with hub.delivering(), hub.delivering():
        await hub.settled(50)
    rows = await hub.store.hub.fetch(
        "SELECT extract(epoch FROM finished_at - $1)::float8 AS at FROM deliveries ORDER BY finished_at",
        began,
    )
    # At any moment no more has been sent than the burst and what has come since.
    assert [number for number, row in enumerate(rows, 1) if number > rate + rate * row["at"] + 1e-6] == []
    assert {row["tries"] for row in await hub.deliveries()} == {1}
    assert len(receiver.requests) == 50


async def test_a_limited_endpoint_costs_few_statements_while_it_waits(hub: Hub, receiver: Receiver):
    await limited(hub, receiver.url, 60, 100.0)
    await hub.store.hub.execute("UPDATE endpoint_health SET tokens = 0, tokens_at = now()")
    hub.store.hub.reset_counters()
    async with hub.delivering(sweep_every_s=60.0) as deliverer:
        await hub.until(lambda: deliverer.pump.delivered == 60)
        assert hub.store.hub.statements < 60
