"""The gateway watches how real providers' sandboxes send it webhooks: alarm, repair, and what was missed meanwhile."""

import importlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.kit.outcome import AuthFailed, NotSent, Rejected
from config.secret import Secret
from config.settings_sweep import SweepSettings
from gateway.envelopes.sweep_changes import sweep_changes_due
from gateway.jobs.kinds import KINDS
from gateway.tenants.keep_alive import keep_alive_due
from gateway.tenants.webhook_checks import check_webhooks_due
from normalizer.ids import Kind, print_id
from tests.conformance.sandbox_process import SandboxProcess
from tests.fixtures.store import Store
from tests.gateway.administered import (
    BROKEN,
    MISSING,
    OFF,
    connect_acme,
    fake,
    open_administered,
    served,
)
from tests.gateway.bodies import envelope, signer
from tests.gateway.world import ADMIN, Tenant, World, replace_settings


@pytest.fixture
async def world(gateway_settings: Any) -> AsyncIterator[World]:
    async with open_administered(gateway_settings) as world:
        yield world


@pytest.fixture
async def acme(world: World) -> Tenant:
    return await connect_acme(world)


async def ledger(acme: Tenant) -> list[str]:
    return [one["event_type"] for one in (await acme.get("/audit/events")).json()["entries"]]


async def due(world: World) -> None:
    await world.services.hub.execute(
        "UPDATE connection_sweeps SET webhooks_due_at = now(), alive_due_at = now()"
    )


async def test_every_connection_that_receives_webhooks_is_looked_at_once_an_hour(
    world: World, acme: Tenant
) -> None:
    await acme.connect("alpha", receive_webhooks=False)
    await acme.connect("beta", receive_webhooks=True)
    made = await acme.made(envelope(send=True))
    await sweep_changes_due(world.services)
    fake(world).calls.clear()
    assert await check_webhooks_due(world.services) == 1
    assert await check_webhooks_due(world.services) == 0
    assert fake(world).calls == ["check_webhooks"]
    assert fake(world).asked_about == [(made["provider_ref"],)]


async def test_what_is_wrong_raises_the_alarm_once_and_again_when_it_comes_back(
    world: World, acme: Tenant
) -> None:
    fake(world).wrong = [BROKEN]
    for _ in range(3):
        await check_webhooks_due(world.services)
        await due(world)
    assert (await ledger(acme)).count("provider_webhooks_broken") == 1
    text = (await world.client().get("/metrics")).text
    assert 'countersign_webhook_configurations_broken{provider="alpha"} 1.0' in text
    fake(world).wrong = []
    await check_webhooks_due(world.services)
    await due(world)
    fake(world).wrong = [BROKEN]
    await check_webhooks_due(world.services)
    assert (await ledger(acme)).count("provider_webhooks_broken") == 2


async def test_a_repair_is_recorded_and_the_sweep_goes_back_to_when_all_was_last_well(
    world: World, acme: Tenant
) -> None:
    await check_webhooks_due(world.services)
    hub = world.services.hub
    await hub.execute(
        "UPDATE connection_sweeps SET webhooks_well_at = now() - interval '3 days', due_at = now() + interval '1 h'"
    )
    fake(world).wrong = [MISSING, BROKEN]
    await due(world)
    await check_webhooks_due(world.services)
    told = [one for one in await ledger(acme) if one.startswith("provider_webhooks")]
    assert sorted(told) == ["provider_webhooks_broken", "provider_webhooks_repaired"]
    row = await hub.fetchrow("SELECT *, now() AS now FROM connection_sweeps")
    assert (row["webhook_repairs"], row["due_at"] <= row["now"]) == (1, True)
    assert row["now"] - row["since"] > timedelta(days=3)
    assert await sweep_changes_due(world.services) == 1
    assert world.services.clock.now() - fake(world).asked_since[-1][0] > timedelta(days=3)


async def test_a_repair_takes_a_walk_that_is_under_way_its_claim(world: World, acme: Tenant) -> None:
    """Else its end would move the beginning of the next walk forward again."""
    hub = world.services.hub
    claim = world.services.ids.new()
    await hub.execute("UPDATE connection_sweeps SET due_at = now()")
    await hub.fetch("SELECT * FROM claim_sweeps($1, 1, 300, 60, '{alpha}')", claim)
    fake(world).wrong = [MISSING]
    await due(world)
    await check_webhooks_due(world.services)
    row = await hub.fetchrow("SELECT tenant_id, connection_id FROM connection_sweeps")
    kept = await hub.fetchval("SELECT keep_page($1, $2, $3, '', 0, 300)", claim, *row)
    ended = await hub.fetchval("SELECT end_sweep($1, $2, $3, 900, 1800, '', false)", claim, *row)
    assert (kept, ended) == (False, False)


async def test_what_is_switched_off_again_after_a_repair_is_left_off_and_told(
    world: World, acme: Tenant
) -> None:
    async def look() -> tuple[int, list[str]]:
        """Repairs so far, and what is left."""
        await due(world)
        await check_webhooks_due(world.services)
        row = await world.services.hub.fetchrow("SELECT webhook_repairs, webhooks FROM connection_sweeps")
        return row["webhook_repairs"], [one["code"] for one in msgspec.json.decode(row["webhooks"])]

    async def days_pass(days: int) -> None:
        await world.services.hub.execute(
            "UPDATE connection_sweeps SET switched_on = (SELECT coalesce(jsonb_object_agg(key,"
            " value::timestamptz - make_interval(days => $1)), '{}') FROM jsonb_each_text(switched_on))",
            days,
        )

    fake(world).wrong = [OFF]
    assert await look() == (1, [])
    fake(world).wrong = [OFF, MISSING]
    assert await look() == (2, ["switched_off"]), "what else is wrong is mended"
    await days_pass(2)
    assert await look() == (2, ["switched_off"])
    await days_pass(2)
    assert await look() == (2, ["switched_off"]), "it has been off all the time"
    assert (await ledger(acme)).count("provider_webhooks_broken") == 1
    fake(world).wrong = []
    await days_pass(4)
    assert await look() == (2, [])
    fake(world).wrong = [OFF]
    assert await look() == (3, []), "the provider may have given it up"


async def test_nothing_is_mended_where_the_settings_say_so(world: World, acme: Tenant) -> None:
    fake(world).wrong = [MISSING]
    services = replace_settings(world.services, sweep=SweepSettings(repair_webhooks=False))
    await check_webhooks_due(services)
    assert fake(world).calls.count("repair_webhooks") == 0
    assert (await ledger(acme)).count("provider_webhooks_broken") == 1


async def test_a_provider_that_is_away_raises_no_alarm_and_one_that_forbids_the_look_does(
    world: World, acme: Tenant
) -> None:
    fake(world).refusals = [NotSent("away")]
    await check_webhooks_due(world.services)
    assert "provider_webhooks_broken" not in await ledger(acme)
    await due(world)
    fake(world).refusals = [Rejected(code="permission", provider_code="NO", detail="not allowed", status=403)]
    await check_webhooks_due(world.services)
    assert (await ledger(acme)).count("provider_webhooks_broken") == 1
    kept = await world.services.hub.fetchval("SELECT webhooks FROM connection_sweeps")
    (finding,) = msgspec.json.decode(kept)
    assert finding["code"] == "unchecked"
    assert "not allowed" in finding["says"]


async def test_credentials_that_are_refused_at_a_look_are_told_as_such_and_once(
    world: World, acme: Tenant
) -> None:
    for _ in range(2):
        fake(world).refusals = [AuthFailed("invalid_grant", "dead")]
        await check_webhooks_due(world.services)
        await due(world)
    told = await ledger(acme)
    assert (told.count("connection_refused"), told.count("provider_webhooks_broken")) == (1, 0)
    await check_webhooks_due(world.services)
    assert await world.services.hub.fetchval("SELECT refused_since FROM connection_sweeps") is None


async def test_an_administrator_reads_the_last_look_and_asks_for_another(world: World, acme: Tenant) -> None:
    connection = await world.services.hub.fetchval("SELECT connection_id FROM connection_sweeps")
    base = f"{ADMIN}/tenants/{acme.printed}/connections/{print_id(Kind.CONNECTION, connection)}/webhook-configuration"
    admin = await world.administrator()
    before = (await admin.get(base)).json()
    assert (before["ok"], before["checked_at"], before["findings"]) == (None, None, [])
    fake(world).wrong = [BROKEN, MISSING]
    after = (await admin.post(f"{base}/check")).json()
    assert (after["ok"], after["repairs"], [one["code"] for one in after["findings"]]) == (
        False,
        1,
        ["unsigned"],
    )
    assert (await admin.get(base)).json() == after
    other = await acme.connect("beta", receive_webhooks=True)
    refused = await admin.post(
        base.replace(print_id(Kind.CONNECTION, connection), print_id(Kind.CONNECTION, other)) + "/check"
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "unsupported_feature")


async def test_idle_credentials_are_used_before_they_die_and_busy_ones_are_left_alone(
    world: World, acme: Tenant
) -> None:
    hub = world.services.hub
    assert await keep_alive_due(world.services) == 0
    await hub.execute("UPDATE connection_sweeps SET used_at = now() - interval '31 days'")
    await hub.execute("UPDATE connections SET active = false")
    assert await keep_alive_due(world.services) == 1
    assert await hub.fetchval("SELECT used_at > now() - interval '1 minute' FROM connection_sweeps")
    assert await keep_alive_due(world.services) == 0
    assert fake(world).calls.count("check_credentials") == 1


async def test_idle_credentials_that_are_refused_are_told_once_and_tried_again_the_next_day(
    world: World, acme: Tenant
) -> None:
    hub = world.services.hub
    for _ in range(2):
        await hub.execute("UPDATE connection_sweeps SET used_at = now() - interval '31 days'")
        fake(world).refusals = [AuthFailed("invalid_grant", "the token has died")]
        assert await keep_alive_due(world.services) == 0
        assert await keep_alive_due(world.services) == 0
        await due(world)
    assert fake(world).calls.count("check_credentials") == 2
    assert (await ledger(acme)).count("connection_refused") == 1


async def test_the_jobs_run(world: World, acme: Tenant) -> None:
    for kind in ("sweep_changes", "check_webhooks", "keep_alive"):
        await KINDS[kind].run(world.services, {})
    assert fake(world).calls.count("check_webhooks") == 1


@pytest.mark.parametrize("provider", ["docusign", "adobe_sign"])
async def test_webhooks_that_a_real_provider_switched_off_are_mended_and_what_was_missed_is_read(
    store: Store,
    redis_url: Secret,
    gateway_folder: Any,
    sandboxes: dict[str, SandboxProcess],
    provider: str,
) -> None:
    sandbox = sandboxes[provider]
    hand = importlib.import_module(f"tests.conformance.providers.{provider}").ProviderHand(sandbox.url)
    await hand.heal()
    async with served(store, redis_url, gateway_folder) as world:
        services = replace_settings(world.services, sweep=SweepSettings(grace_s=0.001))
        tenant = await world.tenant(provider)
        keys = (sandbox.credentials["webhook_secret"],) if "webhook_secret" in sandbox.credentials else ()
        await tenant.route(
            await tenant.connect(provider, sandbox.credentials, receive_webhooks=True, webhook_keys=keys)
        )
        made = await tenant.made(envelope(send=True, recipients=[signer()]))
        await sweep_changes_due(services)
        url = (await _connection_view(world, tenant))["webhook_url"]
        await hand.break_webhooks(url, made["provider_ref"])
        await hand.sign(made["provider_ref"], "ada@example.com")
        assert await check_webhooks_due(services) == 1
        recorded = [one["event_type"] for one in (await tenant.get("/audit/events")).json()["entries"]]
        assert "provider_webhooks_repaired" in recorded
        assert await services.hub.fetchval("SELECT webhooks::text FROM connection_sweeps") == "[]"
        assert await sweep_changes_due(services) == 1, "the walk is due at once"
        after = (await tenant.get(f"/envelopes/{made['id']}")).json()
        assert (after["status"], after["recipients"][0]["status"]) == ("completed", "completed")
        types = await world.ledger_types(tenant, made["id"])
        assert "drift_found" in types
    await hand.heal()


async def _connection_view(world: World, tenant: Tenant) -> dict[str, Any]:
    admin = await world.administrator()
    (view,) = (await admin.get(f"{ADMIN}/tenants/{tenant.printed}/connections")).json()
    return dict(view)
