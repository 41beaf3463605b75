"""One list call per connection finds what no webhook has told, and nothing is asked more often than it may be."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import AuthFailed, NotSent, Rejected, Throttled
from adapters.kit.port import ChangePage, Connection, Limits
from config.clock import SystemClock
from config.settings_sweep import SweepSettings
from gateway.envelopes.catch_up import catch_up_due
from gateway.envelopes.sweep_changes import sweep_changes_due, swept_providers
from gateway.shared_polls import SharedPolls
from normalizer.envelope import EnvelopeReport, RecipientReport
from normalizer.status import EnvelopeStatus, RecipientStatus
from tests.gateway.bodies import envelope
from tests.gateway.world import Tenant, World, replace_settings

_S = EnvelopeStatus


def told(ref: str, status: EnvelopeStatus = _S.COMPLETED, **given: Any) -> EnvelopeReport:
    return EnvelopeReport(provider_ref=ref, status=status, provider_status=str(status), **given)


def whole(ref: str, status: EnvelopeStatus = _S.COMPLETED, **given: Any) -> EnvelopeReport:
    """With a recipient, as a list that says enough."""
    person = RecipientReport(status=RecipientStatus.COMPLETED, email="ada@example.com")
    return told(ref, status, recipients=(person,), **given)


async def sent(acme: Tenant) -> dict[str, Any]:
    return await acme.made(envelope(send=True))


async def again(world: World) -> None:
    """The interval is over."""
    await world.services.hub.execute("UPDATE connection_sweeps SET due_at = now()")


async def row(world: World) -> Any:
    return await world.services.hub.fetchrow("SELECT * FROM connection_sweeps")


async def status_of(acme: Tenant, made: dict[str, Any]) -> str:
    return str((await acme.get(f"/envelopes/{made['id']}")).json()["status"])


async def test_what_no_webhook_told_is_found_by_one_list_call_and_applied(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    made = [await sent(acme) for _ in range(3)]
    fake.calls.clear()
    fake.changes = [ChangePage(tuple(whole(one["provider_ref"]) for one in made))]
    assert await sweep_changes_due(world.services) == 1
    assert fake.calls == ["list"]
    assert [await status_of(acme, one) for one in made] == ["completed"] * 3
    trail = (await acme.get(f"/envelopes/{made[0]['id']}/audit-trail")).json()
    last = [(one["event_type"], one["source"]) for one in trail["entries"][-3:]]
    assert last == [
        ("drift_found", "reconcile"),
        ("recipient_completed", "reconcile"),
        ("envelope_completed", "reconcile"),
    ]
    assert trail["integrity"]["valid"]


async def test_a_connection_is_asked_once_per_interval_and_from_before_its_last_walk(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    assert await sweep_changes_due(world.services) == 1
    assert await sweep_changes_due(world.services) == 0, "the interval has only begun"
    first = await row(world)
    assert first["due_at"] - first["last_whole_at"] == timedelta(seconds=900)
    assert first["since"] == first["walk_began_at"] - timedelta(seconds=1800)
    await again(world)
    assert await sweep_changes_due(world.services) == 1
    (_, _), (since, cursor) = fake.asked_since
    assert (since, cursor) == (first["since"], "")


async def test_pages_are_walked_to_the_end_and_a_walk_that_was_stopped_goes_on_there(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    made = [await sent(acme) for _ in range(3)]
    pages = [
        ChangePage((whole(one["provider_ref"]),), cursor)
        for one, cursor in zip(made, ("b", "c", ""), strict=True)
    ]
    fake.changes = [pages[0], NotSent("away"), pages[1], pages[2]]
    await sweep_changes_due(world.services)
    stopped = await row(world)
    assert (stopped["page_cursor"], stopped["last_whole_at"], stopped["walks"]) == ("b", None, 0)
    assert "away" in stopped["last_error"] or stopped["last_error"]
    await again(world)
    await sweep_changes_due(world.services)
    done = await row(world)
    assert [cursor for _, cursor in fake.asked_since] == ["", "b", "b", "c"]
    assert (done["page_cursor"], done["walks"], done["calls"], done["behind"]) == ("", 1, 3, 3)
    assert done["since"] == stopped["walk_began_at"] - timedelta(seconds=1800), (
        "the walk's own beginning counts"
    )
    assert done["last_error"] == ""


async def test_a_run_reads_no_more_pages_than_it_may(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.changes = [ChangePage((), str(number)) for number in range(1, 6)]
    services = replace_settings(world.services, sweep=SweepSettings(pages=2))
    await sweep_changes_due(services)
    assert (len(fake.asked_since), (await row(world))["page_cursor"]) == (2, "2")


@pytest.mark.parametrize(
    "outcome",
    [Throttled(4000.0), Rejected(code="validation", provider_code="X", detail="cursor", status=400)],
    ids=["throttled", "rejected"],
)
async def test_a_refused_page_is_told_in_words_and_waited_for(
    world: World, acme: Tenant, outcome: Any
) -> None:
    fake = world.fake("alpha")
    fake.changes = [ChangePage((), "b"), NotSent("away")]
    await sweep_changes_due(world.services)
    await again(world)
    fake.changes = [outcome]
    await sweep_changes_due(world.services)
    after = await row(world)
    assert after["last_error"]
    wait_s = (after["due_at"] - after["last_run_at"]).total_seconds()
    if isinstance(outcome, Throttled):
        assert (after["page_cursor"], wait_s >= 4000) == ("b", True)
    else:
        assert (after["page_cursor"], wait_s < 1000) == ("", True), "a page that is refused may be too old"


async def test_refused_credentials_are_recorded_once_and_while_they_last(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    for _ in range(2):
        fake.changes = [AuthFailed("invalid_grant", "the key is not known")]
        await sweep_changes_due(world.services)
        await again(world)
    assert (await row(world))["refused_since"] is not None
    types = [one["event_type"] for one in (await acme.get("/audit/events")).json()["entries"]]
    assert types.count("connection_refused") == 1
    await sweep_changes_due(world.services)
    assert (await row(world))["refused_since"] is None


async def test_several_workers_at_once_walk_a_connection_once(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    assert sum(await asyncio.gather(*(sweep_changes_due(world.services) for _ in range(5)))) == 1
    assert len(fake.asked_since) == 1


async def test_a_lost_workers_connection_is_free_after_its_lease_and_the_late_worker_writes_nothing(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    entered, go_on = asyncio.Event(), asyncio.Event()
    original = fake.list_changes

    async def hang(exchange: Exchange, connection: Connection, since: datetime, cursor: str) -> ChangePage:
        page = await original(exchange, connection, since, cursor)
        entered.set()
        await go_on.wait()
        return msgspec.structs.replace(page, cursor="of-the-late-one")

    fake.list_changes = hang  # type: ignore[method-assign]
    late = asyncio.create_task(sweep_changes_due(world.services))
    await entered.wait()
    fake.list_changes = original  # type: ignore[method-assign]
    assert await sweep_changes_due(world.services) == 0, "it is leased"
    await world.services.hub.execute("UPDATE connection_sweeps SET lease_until = now()")
    assert await sweep_changes_due(world.services) == 1
    go_on.set()
    await late
    after = await row(world)
    assert (after["page_cursor"], after["walks"], after["calls"]) == ("", 1, 1)


async def test_a_fresh_change_is_left_to_its_webhook_and_found_by_the_next_walk(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    made = await sent(acme)
    await world.services.hub.execute("UPDATE connections SET receive_webhooks = true, version = version + 1")
    now = world.services.clock.now()
    fake.changes = [ChangePage((whole(made["provider_ref"], changed_at=now - timedelta(seconds=20)),))]
    await sweep_changes_due(world.services)
    assert await status_of(acme, made) == "sent"
    await again(world)
    old = whole(made["provider_ref"], changed_at=now - timedelta(minutes=6))
    fake.changes = [ChangePage((old,))]
    await sweep_changes_due(world.services)
    assert await status_of(acme, made) == "completed"


async def test_a_row_that_says_too_little_costs_one_read_and_no_second_within_the_interval(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    fake.limits = Limits(min_poll_interval_s=600, calls_per_hour=10**6, burst_calls=10**6, burst_window_s=1)
    made = await sent(acme)
    thin = told(made["provider_ref"], _S.UNKNOWN)
    fake._set(made["provider_ref"], _S.SENT)
    fake.changes = [ChangePage((thin,)), ChangePage((thin,))]
    fake.calls.clear()
    await sweep_changes_due(world.services)
    await again(world)
    fake._set(made["provider_ref"], _S.VOIDED)
    await sweep_changes_due(world.services)
    assert fake.calls == ["list", f"get {made['provider_ref']}", "list"]
    assert await status_of(acme, made) == "sent", "the read waits for its time"
    await world.services.redis.flushall()
    fake.limits = msgspec.structs.replace(fake.limits, min_poll_interval_s=0.0)
    await again(world)
    fake.changes = [ChangePage((thin,))]
    await sweep_changes_due(world.services)
    assert await status_of(acme, made) == "voided"


async def test_silent_envelopes_are_read_within_the_same_budget(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.limits = Limits(min_poll_interval_s=600, calls_per_hour=10**6, burst_calls=10**6, burst_window_s=1)
    made = await sent(acme)
    fake.calls.clear()
    silent = "UPDATE envelopes SET updated_at = now() - interval '2 hours', next_lookup_at = NULL"
    for _ in range(2):
        await world.services.hub.execute(silent)
        assert await catch_up_due(world.services) == 1
    assert fake.calls == [f"get {made['provider_ref']}"]


async def test_a_look_counts_for_every_process_and_a_lost_redis_only_for_one(world: World) -> None:
    redis = world.services.redis
    one, other = SharedPolls(SystemClock(), redis), SharedPolls(SystemClock(), redis)
    assert await one.claim_poll("env", 600)
    assert not await other.claim_poll("env", 600)
    assert await other.claim_poll("another", 600)
    await one.mark_poll("env", 0)
    assert await other.claim_poll("env", 600), "one's own mark and everybody's are gone"
    await other.mark_poll("env", 600)
    assert not await one.claim_poll("env", 600)
    await other.mark_poll("env", 0)
    assert await one.claim_poll("env", 600), "a refusal is not remembered longer than its cause"
    import redis.asyncio as clients

    async with clients.Redis.from_url("redis://127.0.0.1:1/0") as away:
        alone = SharedPolls(SystemClock(), away)
        assert (await alone.claim_poll("env", 600), await alone.claim_poll("env", 600)) == (True, False)
        await alone.mark_poll("env", 0)
        assert await alone.claim_poll("env", 600)


async def test_a_connection_that_is_switched_off_is_asked_while_envelopes_of_it_are_open(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    made = await sent(acme)
    await world.services.hub.execute("UPDATE connections SET active = false")
    fake.changes = [ChangePage((whole(made["provider_ref"]),))]
    assert await sweep_changes_due(world.services) == 1
    await again(world)
    assert await sweep_changes_due(world.services) == 0


async def test_the_builtin_engine_is_never_asked(world: World) -> None:
    assert "internal" in world.services.adapters
    assert "internal" not in swept_providers(world.services)


async def test_one_connection_that_fails_keeps_no_other_from_being_asked(world: World, acme: Tenant) -> None:
    other = await world.tenant("Other")
    await other.connect("beta")
    world.fake("alpha").changes = [ValueError("a bug")]  # type: ignore[list-item]
    assert await sweep_changes_due(world.services) == 2
    errors = await world.services.hub.fetch("SELECT last_error FROM connection_sweeps ORDER BY 1")
    assert sorted(bool(one["last_error"]) for one in errors) == [False, True]
    assert len(world.fake("beta").asked_since) == 1


async def test_another_tenants_envelopes_are_never_moved_by_a_list(world: World, acme: Tenant) -> None:
    made = await sent(acme)
    other = await world.tenant("Other")
    await other.connect("beta")
    world.fake("beta").changes = [ChangePage((whole(made["provider_ref"]),))]
    await sweep_changes_due(world.services)
    assert await status_of(acme, made) == "sent"
