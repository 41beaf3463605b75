"""Endpoints that fail, recover, are switched off, deliveries that are given up: each told once, to who asked."""

import asyncio
import json
from uuid import UUID

import msgspec

from config.settings_endpoints import EndpointSettings
from engine.notify.notice import Notice
from engine.notify.outbox import content_place
from normalizer.ids import Kind, print_id
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, always, serve
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.health_news import find_news, tell_news
from webhooks.outbound.health_report import Reporter, Watched

QUICK_TO_TELL = EndpointSettings(breaker_failures=1000, failing_failures=2, failing_s=1e-6)
ALL_FOUR = ("endpoint.failing", "endpoint.recovered", "endpoint.disabled", "delivery.exhausted")


def reporter(hub: Hub, settings: EndpointSettings = QUICK_TO_TELL) -> Reporter:
    return Reporter(hub.recorder, hub.vault, hub.ids, hub.clock, settings)


async def failing(hub: Hub, *, days: float = 0.01, mail: str = "") -> tuple[UUID, UUID]:
    """An endpoint whose row of health says that it has failed five times in a row over so many days."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "https://dms.example/hook?key=s3cret", description="Orders")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET alert_email = $1", mail)
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET failures_in_row = 5, last_failure_at = now(),"
        " failing_since = now() - $1::float8 * interval '1 day'",
        days,
    )
    return tenant, made.endpoint.id


async def tell_twice(hub: Hub, settings: EndpointSettings = QUICK_TO_TELL) -> int:
    """Two processes that come at once."""
    news = await find_news(hub.store.hub, reporter(hub, settings))
    told = await asyncio.gather(*(tell_news(hub.store.hub, reporter(hub, settings), news) for _ in range(2)))
    return sum(told)


async def notices(hub: Hub, tenant: UUID) -> list[Notice]:
    rows = await hub.store.hub.fetch("SELECT id, content FROM engine_notices ORDER BY created_at")
    return [
        msgspec.json.decode(
            await hub.vault.decrypt(hub.store.hub, tenant, content_place(row["id"]), row["content"]),
            type=Notice,
        )
        for row in rows
    ]


async def announced(hub: Hub) -> list[tuple[str, dict]]:
    rows = await hub.store.hub.fetch(
        "SELECT type, data FROM outbox_events WHERE type = ANY($1) ORDER BY created_at", list(ALL_FOUR)
    )
    return [(row["type"], json.loads(row["data"])) for row in rows]


async def test_a_failing_endpoint_is_told_of_once_in_ledger_webhook_and_mail(hub: Hub):
    tenant, endpoint_id = await failing(hub, mail="ops@dms.example")
    assert await tell_twice(hub) == 1
    assert await find_news(hub.store.hub, reporter(hub)) == []
    assert (await hub.ledger_types(tenant)).count("endpoint_failing") == 1
    [(type_, data)] = await announced(hub)
    assert (type_, data["endpoint_id"], data["failures"]) == (
        "endpoint.failing",
        print_id(Kind.ENDPOINT, endpoint_id),
        5,
    )
    [notice] = await notices(hub, tenant)
    assert (notice.address, notice.values["endpoint"]) == ("ops@dms.example", "Orders (https://dms.example)")
    assert "s3cret" not in json.dumps(notice.values) + json.dumps(data)


async def test_an_endpoint_that_recovered_is_told_of_once_and_only_if_it_was_told_before(hub: Hub):
    tenant, _ = await failing(hub)
    await tell_twice(hub)
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET failures_in_row = 0, failing_since = NULL, last_success_at = now()"
    )
    assert await tell_twice(hub) == 1
    types = await hub.ledger_types(tenant)
    assert (types.count("endpoint_failing"), types.count("endpoint_recovered")) == (1, 1)
    assert (await announced(hub))[-1][1]["failing_since"] is not None
    assert await tell_twice(hub) == 0


async def test_an_endpoint_that_failed_for_days_is_switched_off_and_holds_its_deliveries(hub: Hub):
    tenant, endpoint_id = await failing(hub, days=5.01, mail="ops@dms.example")
    await hub.put(tenant, 3)
    await fan_out(hub.store.hub)
    assert await tell_twice(hub) == 1
    endpoint = await hub.desk.read(tenant, endpoint_id)
    assert (endpoint.active, endpoint.disabled_reason) == (
        False,
        "it has failed for 5 days without one success",
    )
    assert await hub.states() == ["held"] * 3
    [(type_, data)] = await announced(hub)
    assert (type_, data["held"], data["failures"]) == ("endpoint.disabled", 3, 5)
    [notice] = await notices(hub, tenant)
    assert notice.values["reason"] == endpoint.disabled_reason
    await hub.store.hub.execute("UPDATE webhook_endpoints SET active = true")
    assert await tell_twice(hub) == 0


async def test_failures_that_lie_far_apart_without_attempts_between_say_nothing_of_today(hub: Hub):
    _, _ = await failing(hub, days=0.0)
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET last_failure_at = now() - interval '9 days', failing_since = now() - interval '9 days'"
    )
    assert await find_news(hub.store.hub, reporter(hub, EndpointSettings())) == []


async def test_a_real_outage_is_told_and_so_is_its_end(hub: Hub, receiver: Receiver):
    receiver.answer = always(503)
    async with serve() as watcher:
        tenant = await hub.tenant()
        made = await hub.endpoint(tenant, receiver.url, max_in_flight=1)
        await hub.endpoint(tenant, watcher.url, events=ALL_FOUR)
        await hub.put(tenant, 4)
        async with hub.delivering(endpoints=QUICK_TO_TELL, default_schedule_delays_s=(0.02,) * 50):
            await hub.until(lambda: len(watcher.requests) == 1)
            receiver.answer = always(204)
            await hub.until(lambda: len(watcher.requests) == 2)
            await hub.settled(6)
        bodies = [json.loads(request.body) for request in watcher.requests]
    assert [body["type"] for body in bodies] == ["endpoint.failing", "endpoint.recovered"]
    assert [body["sequence"] for body in bodies] == [1, 2]
    assert {body["data"]["endpoint_id"] for body in bodies} == {print_id(Kind.ENDPOINT, made.endpoint.id)}


async def test_operational_events_go_only_to_those_who_name_them_and_never_to_whom_they_are_about(
    hub: Hub, receiver: Receiver
):
    receiver.answer = always(500)
    async with serve() as named, serve() as everything:
        tenant = await hub.tenant()
        about = await hub.endpoint(tenant, receiver.url, events=("envelope.sent", *ALL_FOUR))
        await hub.endpoint(tenant, named.url, events=("delivery.exhausted",))
        await hub.endpoint(tenant, everything.url)
        async with hub.delivering():
            [event] = await hub.emit(tenant)
            await hub.until(lambda: named.requests)
        [request] = named.requests
        assert [json.loads(r.body)["type"] for r in everything.requests] == ["envelope.sent"]
    data = json.loads(request.body)["data"]
    assert (data["event_id"], data["event_type"], data["sequence"], data["attempts"]) == (
        event,
        "envelope.sent",
        1,
        4,
    )
    assert data["endpoint_id"] == print_id(Kind.ENDPOINT, about.endpoint.id)
    assert {json.loads(r.body)["type"] for r in receiver.requests} == {"envelope.sent"}


async def test_an_operational_event_that_could_not_be_delivered_is_announced_to_nobody(
    hub: Hub, receiver: Receiver
):
    receiver.answer = always(500)
    async with serve(always(500)) as watcher, serve() as witness:
        tenant = await hub.tenant()
        await hub.endpoint(tenant, receiver.url)
        await hub.endpoint(tenant, watcher.url, events=ALL_FOUR)
        await hub.endpoint(tenant, witness.url, events=("delivery.exhausted",))
        async with hub.delivering():
            await hub.emit(tenant)
            await hub.until(lambda: ended(hub, tenant))
            await hub.until(lambda: nothing_waits(hub))
        assert len(witness.requests) == 1
    assert (await hub.ledger_types(tenant)).count("delivery_exhausted") == 2


async def ended(hub: Hub, tenant: UUID) -> bool:
    return (await hub.ledger_types(tenant)).count("delivery_exhausted") == 2


async def nothing_waits(hub: Hub) -> bool:
    waiting = await hub.store.hub.fetchval("SELECT count(*) FROM outbox_pending")
    return not waiting and not {"pending", "leased"} & set(await hub.states())


async def test_exhausted_deliveries_of_one_hour_are_one_mail(hub: Hub, receiver: Receiver):
    receiver.answer = always(500)
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET alert_email = 'ops@dms.example'")
    async with hub.delivering(default_schedule_delays_s=()):
        await hub.emit(tenant, 5)
        await hub.settled(5, "exhausted")
    assert [notice.kind.value for notice in await notices(hub, tenant)] == ["delivery_exhausted"]


async def test_an_endpoint_that_says_it_is_gone_is_told_of_by_webhook_and_mail(hub: Hub, receiver: Receiver):
    receiver.answer = always(410)
    async with serve() as watcher:
        tenant = await hub.tenant()
        await hub.endpoint(tenant, watcher.url, events=("endpoint.disabled",))
        gone = await hub.endpoint(tenant, receiver.url)
        await hub.store.hub.execute("UPDATE webhook_endpoints SET alert_email = 'ops@dms.example'")
        async with hub.delivering():
            await hub.emit(tenant)
            await hub.until(lambda: watcher.requests)
        [request] = watcher.requests
    data = json.loads(request.body)["data"]
    assert (data["endpoint_id"], data["last_status"]) == (print_id(Kind.ENDPOINT, gone.endpoint.id), 410)
    assert [notice.kind.value for notice in await notices(hub, tenant)] == ["endpoint_disabled"]


def test_an_endpoint_is_named_by_its_description_and_origin_only():
    url = "https://user:pass@dms.example:8443/secret/path?key=1"
    watched = Watched(UUID(int=1), UUID(int=2), url, "", "")
    assert watched.name == "https://dms.example:8443"
