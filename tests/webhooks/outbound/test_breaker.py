"""The circuit breaker of an endpoint: opens, burns nothing, lets one through, and agrees over all deliverers."""

import asyncio
from datetime import timedelta
from uuid import UUID

from aiohttp import web

from config.settings_endpoints import EndpointSettings
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, always, serve
from tests.webhooks.outbound.test_hostile import raw_server
from webhooks.outbound.breaker import rules_of
from webhooks.outbound.claims import Claim, Completion, claim_deliveries, complete_deliveries
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.sweep import sweep

# Opens at the third failure in a row, however quick, and stays open until the test says otherwise.
TOUCHY = EndpointSettings(
    breaker_failures=3, breaker_failing_s=1e-6, breaker_pause_s=1000.0, breaker_longest_pause_s=3000.0,
    failing_failures=1000,
)  # fmt: skip
PATIENT_RETRIES = (0.01,) * 40


async def health(hub: Hub, endpoint_id: UUID) -> dict:
    row = await hub.store.hub.fetchrow("SELECT * FROM endpoint_health WHERE endpoint_id = $1", endpoint_id)
    return dict(row)


async def breaker(hub: Hub, endpoint_id: UUID) -> str:
    return (await health(hub, endpoint_id))["breaker"]


async def end_pause(hub: Hub) -> None:
    await hub.store.hub.execute("UPDATE endpoint_health SET breaker_until = now() WHERE breaker = 'open'")


async def claim(hub: Hub, endpoint_id: UUID, share: int = 8) -> list[Claim]:
    claimed = await claim_deliveries(
        hub.store.hub, [endpoint_id], [share], room=64, retry_room=32, lease=timedelta(seconds=60),
        claim_id=hub.ids.new(),
    )  # fmt: skip
    return claimed.claims


async def complete(hub: Hub, claims: list[Claim], status: int, settings: EndpointSettings = TOUCHY):
    succeeded = 200 <= status <= 299
    batch = [
        Completion(
            claim=one, state="succeeded" if succeeded else "pending", attempt=one.attempt + 1,
            throttled=one.throttled, delay_s=0.0, started_at=hub.clock.now(), duration_ms=7,
            outcome="succeeded" if succeeded else "retry", status=status, error="", response=None,
        )
        for one in claims
    ]  # fmt: skip
    return await complete_deliveries(hub.store.hub, batch, rules_of(settings))


async def prepared(hub: Hub, events: int, url: str = "http://127.0.0.1:9/hook", **options) -> UUID:
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, url, **options)
    await hub.put(tenant, events)
    await fan_out(hub.store.hub)
    return made.endpoint.id


async def opened(hub: Hub, events: int = 10) -> UUID:
    endpoint_id = await prepared(hub, events)
    for _ in range(3):
        await complete(hub, await claim(hub, endpoint_id, 1), 503)
    assert await breaker(hub, endpoint_id) == "open"
    return endpoint_id


async def test_failures_in_a_row_open_the_breaker_and_then_no_attempt_is_burnt(hub: Hub, receiver: Receiver):
    receiver.answer = always(503)
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, max_in_flight=1)
    await hub.put(tenant, 10)
    async with hub.delivering(endpoints=TOUCHY, default_schedule_delays_s=PATIENT_RETRIES):
        await hub.until(lambda: is_open(hub, made.endpoint.id))
        asked = len(receiver.requests)
        for _ in range(5):
            await sweep(hub.store.hub)
            assert await claim(hub, made.endpoint.id) == []
    assert asked == len(receiver.requests) == 3
    assert sum(row["attempt"] for row in await hub.deliveries()) == 3
    assert set(await hub.states()) == {"pending"}


async def is_open(hub: Hub, endpoint_id: UUID) -> bool:
    return await breaker(hub, endpoint_id) == "open"


async def test_few_failures_or_a_short_time_of_them_leave_the_breaker_closed(hub: Hub):
    endpoint_id = await prepared(hub, 10)
    slower = EndpointSettings(breaker_failures=3, breaker_failing_s=3600.0)
    for _ in range(5):
        await complete(hub, await claim(hub, endpoint_id, 1), 503, slower)
    assert await breaker(hub, endpoint_id) == "closed"
    await complete(hub, await claim(hub, endpoint_id, 1), 204)
    for _ in range(2):
        await complete(hub, await claim(hub, endpoint_id, 1), 503)
    row = await health(hub, endpoint_id)
    assert (row["breaker"], row["failures_in_row"]) == ("closed", 2)


async def test_an_answer_429_is_neither_a_failure_nor_a_success(hub: Hub):
    endpoint_id = await prepared(hub, 10)
    await complete(hub, await claim(hub, endpoint_id, 1), 503)
    for _ in range(5):
        await complete(hub, await claim(hub, endpoint_id, 1), 429)
    row = await health(hub, endpoint_id)
    assert (row["breaker"], row["failures_in_row"], row["last_success_at"]) == ("closed", 1, None)


async def test_a_blocked_mailbox_says_when_it_may_be_asked_again(hub: Hub):
    endpoint_id = await opened(hub)
    claimed = await claim_deliveries(
        hub.store.hub, [endpoint_id], [8], room=64, retry_room=32, lease=timedelta(seconds=60),
        claim_id=hub.ids.new(),
    )  # fmt: skip
    assert (claimed.claims, claimed.busy, list(claimed.blocked)) == ([], [], [endpoint_id])
    assert 900 < claimed.blocked[endpoint_id] <= 1000
    assert (await sweep(hub.store.hub)).mailboxes == ()


async def test_half_open_lets_one_through_and_its_success_closes_the_breaker(hub: Hub):
    endpoint_id = await opened(hub)
    await end_pause(hub)
    probe = await claim(hub, endpoint_id)
    assert len(probe) == 1
    assert await breaker(hub, endpoint_id) == "half_open"
    assert await claim(hub, endpoint_id) == []
    await complete(hub, probe, 204)
    row = await health(hub, endpoint_id)
    assert (row["breaker"], row["failures_in_row"], row["openings"], row["failing_since"]) == (
        "closed",
        0,
        0,
        None,
    )
    assert len(await claim(hub, endpoint_id)) == 8


async def test_a_failed_probe_doubles_the_pause_up_to_the_longest(hub: Hub):
    endpoint_id = await opened(hub)
    pauses = []
    for status in (503, 503, 429):
        await end_pause(hub)
        await complete(hub, await claim(hub, endpoint_id), status)
        pauses.append(
            await hub.store.hub.fetchval(
                "SELECT round(extract(epoch FROM breaker_until - updated_at))::integer FROM endpoint_health"
            )
        )
    # One that was told to slow down is alive: it waits as long as before, not longer.
    assert pauses == [2000, 3000, 3000]


async def test_two_deliverers_with_a_half_open_breaker_send_exactly_one_probe(hub: Hub, receiver: Receiver):
    gate = asyncio.Event()

    async def hold(request: web.Request, received) -> web.Response:
        await gate.wait()
        return web.Response(status=204)

    receiver.answer = hold
    endpoint_id = await prepared(hub, 20, receiver.url)
    for _ in range(3):
        await complete(hub, await claim(hub, endpoint_id, 1), 503)
    async with hub.delivering(endpoints=TOUCHY) as one, hub.delivering(endpoints=TOUCHY) as two:
        await end_pause(hub)
        await hub.deliverers.mailboxes_ready([endpoint_id])
        await hub.until(lambda: receiver.in_flight == 1)
        for deliverer in (one, two):
            deliverer.pump.wake([endpoint_id])
        assert await claim(hub, endpoint_id) == []
        await hub.until(lambda: one.pump.is_idle or two.pump.is_idle)
        assert (len(receiver.requests), await breaker(hub, endpoint_id)) == (1, "half_open")
        gate.set()
        await hub.settled(20)
    assert len(receiver.requests) == 20


async def test_a_lost_lease_cannot_close_a_half_open_breaker(hub: Hub):
    endpoint_id = await opened(hub)
    await end_pause(hub)
    lost = await claim(hub, endpoint_id)
    await hub.store.hub.execute(
        "UPDATE deliveries SET lease_until = now() - interval '1 s' WHERE state = 'leased'"
    )
    await sweep(hub.store.hub)
    again = await claim(hub, endpoint_id)
    assert len(again) == 1
    done = await complete(hub, lost, 204)
    assert (done.lost, await breaker(hub, endpoint_id)) == ([lost[0].id], "half_open")
    assert await claim(hub, endpoint_id) == []
    await complete(hub, again, 204)
    assert await breaker(hub, endpoint_id) == "closed"


async def test_what_is_replayed_on_request_does_not_count_except_as_a_probe(hub: Hub):
    endpoint_id = await prepared(hub, 10)
    await hub.store.hub.execute("UPDATE deliveries SET replays = 1")
    for _ in range(5):
        await complete(hub, await claim(hub, endpoint_id, 1), 503)
    assert (await health(hub, endpoint_id))["failures_in_row"] == 0
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET breaker = 'open', openings = 1, breaker_until = now()"
    )
    await complete(hub, await claim(hub, endpoint_id), 204)
    assert await breaker(hub, endpoint_id) == "closed"


async def test_a_new_url_closes_the_breaker_and_switching_on_forgets_the_failures(hub: Hub):
    endpoint_id = await opened(hub)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET url = 'https://new.example/hook'")
    row = await health(hub, endpoint_id)
    assert (row["breaker"], row["failures_in_row"]) == ("closed", 3)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET active = false")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET active = true")
    row = await health(hub, endpoint_id)
    assert (row["failures_in_row"], row["failing_since"]) == (0, None)


async def test_completions_and_claims_at_once_count_every_failure_once(hub: Hub):
    endpoint_id = await prepared(hub, 64, max_in_flight=64)
    calm = EndpointSettings(breaker_failures=1000)
    claims = await claim(hub, endpoint_id, 64)
    assert len(claims) == 64
    await asyncio.gather(*(complete(hub, claims[at : at + 8], 503, calm) for at in range(0, 64, 8)))
    assert (await health(hub, endpoint_id))["failures_in_row"] == 64


async def test_one_hanging_endpoint_among_a_hundred_keeps_nothing_from_the_others(hub: Hub):
    async def hang(reader, writer):
        await asyncio.sleep(60)

    async with raw_server(hang) as hanging, serve() as healthy:
        tenant = await hub.tenant()
        await hub.endpoint(tenant, hanging, timeout_seconds=30, max_in_flight=256)
        for _ in range(99):
            await hub.endpoint(tenant, healthy.url)
        async with hub.delivering(in_flight=64, in_flight_per_tenant=48, batch_size=16, grace_s=0.1):
            await hub.put(tenant, 10)
            await hub.until(lambda: len(healthy.requests) >= 990, within_s=30)
    assert len(healthy.requests) == 990
