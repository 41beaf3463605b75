"""The pull feed over HTTP: contiguous, complete, in the form of webhooks, and what an endpoint was to get."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.errors import StoreUnavailable
from gateway.http.events import LONGEST_WAIT_S
from gateway.tenants.scopes import Scope
from normalizer.catalogue.schemas import FULL
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import EventType
from tests.gateway.bodies import envelope
from tests.gateway.feeding import emit, number, until_waiting
from tests.gateway.world import Tenant, World
from tests.normalizer.announced import faults_of
from webhooks.outbound.compose import compose_body, message_id
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.feed import WINDOW, FeedFilter, read_feed
from webhooks.outbound.feed_watch import FeedWatch


async def page(tenant: Tenant, **asked: Any) -> dict[str, Any]:
    answer = await tenant.get("/events", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def follow(tenant: Tenant, after: int = 0, **asked: Any) -> list[dict[str, Any]]:
    """Every event from a cursor on, as a receiver would fetch them."""
    told: list[dict[str, Any]] = []
    while True:
        one = await page(tenant, after=after, **asked)
        told += one["events"]
        assert one["next"] >= after
        after = one["next"]
        if not one["has_more"]:
            return told


def sequences(events: list[dict[str, Any]]) -> list[int]:
    return [event["sequence"] for event in events]


async def test_feed_of_a_lifecycle_is_whole_in_the_form_of_webhooks_and_in_the_ledger(
    world: World, acme: Tenant
) -> None:
    made = await acme.made(envelope(send=True))
    assert (await acme.post(f"/envelopes/{made['id']}/void", {"reason": "Wrong price"})).status_code == 200
    await number(world.services)
    told = await page(acme)
    assert sequences(told["events"]) == list(range(1, len(told["events"]) + 1))
    assert [event["type"] for event in told["events"]] == [
        "envelope.created",
        "envelope.sent",
        "envelope.voided",
    ]
    assert (told["next"], told["has_more"], told["lag"], told["oldest"]) == (3, False, 0, 1)
    trail = (await acme.get(f"/envelopes/{made['id']}/audit-trail")).json()["entries"]
    hashes = {entry["event_id"]: (entry["sequence"], entry["hash"]) for entry in trail}
    for event in told["events"]:
        assert faults_of(event, FULL) == []
        assert event["tenant_id"] == acme.printed
        assert (event["ledger"]["seq"], event["ledger"]["hash"]) == hashes[event["id"]]
        assert event["ledger"]["chain"] == f"env:{read_id(Kind.ENVELOPE, made['id'])}"


async def test_event_of_the_feed_is_the_bytes_of_a_webhook_with_the_feeds_number(
    world: World, acme: Tenant
) -> None:
    await emit(acme, 1)
    await number(world.services)
    row = await world.services.hub.fetchrow("SELECT * FROM outbox_events WHERE tenant_id = $1", acme.id)
    assert row is not None
    body = compose_body(
        message=message_id(row["id"]),
        type_=row["type"],
        occurred_at=row["occurred_at"],
        tenant_id=acme.id,
        sequence=1,
        data=row["data"],
    )
    answer = await acme.get("/events")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.content.startswith(b'{"events":[' + body + b'],"next":1')


async def test_pages_of_a_feed_hold_every_number_once_while_fan_outs_race(world: World, acme: Tenant) -> None:
    other = await world.tenant("Globex")
    services = world.services
    stop = asyncio.Event()

    async def race() -> None:
        while not stop.is_set():
            await fan_out(services.hub, 7)

    racing = [asyncio.create_task(race()) for _ in range(3)]
    told: list[dict[str, Any]] = []
    try:
        after = 0
        for burst in range(6):
            await emit(acme, 20, envelopes=3)
            await emit(other, 5)
            one = await page(acme, after=after, limit=13)
            told += one["events"]
            after = one["next"]
            assert sequences(told) == list(range(1, after + 1)), burst
    finally:
        stop.set()
        await asyncio.gather(*racing)
    await number(services)
    told += await follow(acme, after, limit=13)
    assert sequences(told) == list(range(1, 121))
    assert len({event["id"] for event in told}) == 120
    assert sequences(await follow(other)) == list(range(1, 31))


async def test_lag_counts_what_is_committed_and_has_no_number_yet(world: World, acme: Tenant) -> None:
    other = await world.tenant("Globex")
    await emit(other, 2)
    await emit(acme, 3)
    before = await page(acme)
    assert (before["events"], before["next"], before["has_more"], before["lag"]) == ([], 0, False, 3)
    await number(world.services)
    after = await page(acme)
    assert (sequences(after["events"]), after["lag"]) == ([1, 2, 3], 0)


async def test_filtered_page_moves_the_cursor_past_what_it_leaves_out(world: World, acme: Tenant) -> None:
    await emit(acme, 9, EventType.ENVELOPE_SENT, EventType.RECIPIENT_SENT, EventType.ENVELOPE_VOIDED)
    await number(world.services)
    sent = await page(acme, types="envelope.sent")
    assert (sequences(sent["events"]), sent["next"], sent["has_more"]) == ([1, 4, 7], 9, False)
    two = await page(acme, types="envelope.sent,envelope.voided", limit=3)
    assert (sequences(two["events"]), two["next"], two["has_more"]) == ([1, 3, 4], 4, True)
    none = await page(acme, types="envelope.expired", after=2)
    assert (none["events"], none["next"], none["has_more"]) == ([], 9, False)


async def test_filter_that_leaves_much_out_moves_on_by_windows(world: World, acme: Tenant) -> None:
    await emit(acme, 1, EventType.ENVELOPE_VOIDED)
    await emit(acme, WINDOW + 5)
    await emit(acme, 1, EventType.ENVELOPE_VOIDED)
    await number(world.services)
    first = await page(acme, types="envelope.voided", after=1)
    assert (first["events"], first["next"], first["has_more"]) == ([], 1 + WINDOW, True)
    second = await page(acme, types="envelope.voided", after=first["next"])
    assert (sequences(second["events"]), second["has_more"]) == ([WINDOW + 7], False)


async def test_feed_of_one_envelope_keeps_the_tenants_numbers(world: World, acme: Tenant) -> None:
    mine, _ = await emit(acme, 6, EventType.ENVELOPE_SENT, EventType.RECIPIENT_SENT, envelopes=2)
    await emit(acme, 3, EventType.ENVELOPE_SENT, EventType.RECIPIENT_SENT, EventType.ENVELOPE_VOIDED)
    await number(world.services)
    printed = print_id(Kind.ENVELOPE, mine)
    whole = await page(acme, envelope_id=printed)
    assert (sequences(whole["events"]), whole["next"], whole["has_more"]) == ([1, 3, 5], 9, False)
    part = await page(acme, envelope_id=printed, limit=2)
    assert (sequences(part["events"]), part["next"], part["has_more"]) == ([1, 3], 3, True)
    both = await page(acme, envelope_id=printed, types="recipient.sent")
    assert both["events"] == []


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bursts=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=4),
    limit=st.integers(1, 7),
    types=st.sets(st.sampled_from([EventType.ENVELOPE_SENT, EventType.RECIPIENT_SENT])),
)
async def test_following_a_feed_in_any_steps_and_filter_tells_exactly_what_is_in_it(
    world: World, bursts: list[tuple[int, int]], limit: int, types: set[EventType]
) -> None:
    tenant = await world.tenant("Acme")
    services = world.services
    for events, batch in bursts:
        await emit(tenant, events, EventType.ENVELOPE_SENT, EventType.RECIPIENT_SENT)
        while not (await fan_out(services.hub, batch)).is_last:
            pass
    after, told = 0, []
    while True:
        wanted = FeedFilter(after=after, limit=limit, types=tuple(sorted(types)))
        one = await read_feed(services.database, tenant.id, wanted)
        told += [json.loads(body) for body in one.bodies]
        after = one.next
        if not one.has_more:
            break
    total = sum(events for events, _ in bursts)
    kinds = await services.hub.fetch(
        "SELECT f.seq, o.type FROM event_feed f JOIN outbox_events o ON o.id = f.event_id WHERE f.tenant_id = $1"
        " ORDER BY f.seq",
        tenant.id,
    )
    assert [row["seq"] for row in kinds] == list(range(1, total + 1))
    expected = [row["seq"] for row in kinds if not types or row["type"] in types]
    assert (sequences(told), after) == (expected, total)


async def forget(tenant: Tenant, numbers: int) -> None:
    """Lets the first events of a feed be too old, and the reaper come by."""
    hub = tenant.world.services.hub
    await hub.execute(
        "UPDATE outbox_events o SET created_at = now() - interval '91 days' FROM event_feed f"
        " WHERE f.tenant_id = $1 AND f.event_id = o.id AND f.seq <= $2",
        tenant.id,
        numbers,
    )
    assert await hub.fetchval("SELECT reap_feed($1, interval '90 days', 1000)", tenant.id) == numbers


async def test_cursor_below_what_is_kept_is_told_where_to_go_on(world: World, acme: Tenant) -> None:
    await emit(acme, 10)
    await number(world.services)
    await forget(acme, 4)
    answer = await acme.get("/events", params={"after": 3})
    assert answer.status_code == 410
    problem = answer.json()
    assert (problem["code"], problem["oldest"]) == ("feed_expired", 5)
    assert "after=4" in problem["remedy"]
    assert sequences(await follow(acme, problem["oldest"] - 1)) == [5, 6, 7, 8, 9, 10]


async def test_feed_whose_events_are_all_too_old_goes_on_at_its_end(world: World, acme: Tenant) -> None:
    await emit(acme, 3)
    await number(world.services)
    await forget(acme, 3)
    refused = await acme.get("/events", params={"after": 2})
    assert (refused.status_code, refused.json()["oldest"]) == (410, 4)
    at_the_end = await page(acme, after=3)
    assert (at_the_end["events"], at_the_end["next"]) == ([], 3)
    await emit(acme, 1)
    await number(world.services)
    assert sequences(await follow(acme, 3)) == [4]


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({"after": 1}, "?after"),
        ({"after": -1}, "?after"),
        ({"after": "x"}, "?after"),
        ({"limit": 0}, "?limit"),
        ({"limit": 501}, "?limit"),
        ({"wait_s": LONGEST_WAIT_S + 1}, "?wait_s"),
        ({"types": "envelope.sent,envelope.sold"}, "?types"),
    ],
)
async def test_question_that_cannot_be_answered_is_refused_with_its_place(
    acme: Tenant, asked: dict[str, Any], where: str
) -> None:
    answer = await acme.get("/events", params=asked)
    assert answer.status_code == 422, answer.text
    assert [finding["where"] for finding in answer.json()["findings"]] == [where]


async def test_feed_shows_nothing_of_another_tenant_and_asks_for_the_scope(
    world: World, acme: Tenant
) -> None:
    other = await world.tenant("Globex")
    (theirs,) = await emit(other, 3)
    await number(world.services)
    assert (await page(acme))["events"] == []
    assert (await page(acme, envelope_id=print_id(Kind.ENVELOPE, theirs)))["events"] == []
    key = await acme.new_key(Scope.ENVELOPES_READ)
    answer = await world.client(key.secret.reveal()).get("/api/v1/signatures/events")
    assert answer.status_code == 403


async def test_waiting_question_is_answered_by_the_event_that_comes(world: World, acme: Tenant) -> None:
    await emit(acme, 1)
    await number(world.services)
    asked = asyncio.create_task(page(acme, after=1, wait_s=LONGEST_WAIT_S))
    await until_waiting(world.services, 1)
    await emit(acme, 2)
    await number(world.services)
    told = await asked
    assert (sequences(told["events"]), told["next"]) == ([2, 3], 3)


async def test_waiting_question_passes_over_events_that_its_filter_leaves_out(
    world: World, acme: Tenant
) -> None:
    asked = asyncio.create_task(page(acme, types="envelope.voided", wait_s=LONGEST_WAIT_S))
    await until_waiting(world.services, 1)
    await emit(acme, 2)
    await number(world.services)
    await until_waiting(world.services, 1)
    await emit(acme, 1, EventType.ENVELOPE_VOIDED)
    await number(world.services)
    assert sequences((await asked)["events"]) == [3]


async def test_waiting_question_ends_empty_with_its_cursor_when_nothing_comes(acme: Tenant) -> None:
    told = await page(acme, wait_s=0.05)
    assert (told["events"], told["next"], told["has_more"]) == ([], 0, False)


async def test_many_waiting_questions_hold_no_connection(world: World, acme: Tenant) -> None:
    others = [await world.tenant(f"Globex {number}") for number in range(3)]
    services = world.services
    many = services.settings.database.pool_size * 4
    asked = [
        asyncio.create_task(page(tenant, wait_s=LONGEST_WAIT_S))
        for _ in range(many // 4)
        for tenant in (acme, *others)
    ]
    await until_waiting(services, many)
    # Whatever needs the database gets it, while all of them wait.
    for _ in range(services.settings.database.pool_size):
        assert (await acme.get("/webhooks")).status_code == 200
    assert services.feeds.waiting == many
    for tenant in (acme, *others):
        await emit(tenant, 1)
    await number(services)
    assert [sequences(told["events"]) for told in await asyncio.gather(*asked)] == [[1]] * many
    assert services.feeds.waiting == 0


class BrokenAtFirst:
    """A hub that cannot be reached for the first question."""

    def __init__(self, heads: list[dict[str, Any]]) -> None:
        self.heads = heads
        self.asked = 0

    async def fetch(self, _sql: str, _tenants: list[UUID]) -> list[dict[str, Any]]:
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("away")
        return self.heads


async def test_watch_outlives_a_lost_database_and_sends_everybody_home_at_the_close(world: World) -> None:
    tenant, other = world.services.ids.new(), world.services.ids.new()
    hub: Any = BrokenAtFirst([{"tenant_id": tenant, "head": 4}])
    watch = FeedWatch(hub)
    waiting = asyncio.create_task(watch.wait_past(other, 0, LONGEST_WAIT_S))
    assert await watch.wait_past(tenant, 3, LONGEST_WAIT_S)
    assert hub.asked > 1
    await watch.aclose()
    assert not await waiting
    assert not await watch.wait_past(tenant, 3, LONGEST_WAIT_S)


async def test_watch_that_failed_is_closed_without_raising_it(caplog) -> None:
    class Broken:
        async def fetch(self, _sql: str, _tenants: list[UUID]) -> list[dict[str, Any]]:
            raise LookupError("a fault of ours")

    hub: Any = Broken()
    watch = FeedWatch(hub)
    assert not await watch.wait_past(UUID(int=1), 0, 0.05)
    await watch.aclose()
    assert "a fault of ours" in caplog.text
