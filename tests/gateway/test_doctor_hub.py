"""The doctor names in words what is wrong with the hub, and changes nothing by looking."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from adapters.kit.outcome import AuthFailed
from adapters.kit.port import WebhookFinding
from config.clock import FixedClock
from config.secret import Secret
from config.settings import GeneralSettings
from gateway.cli.doctor_finding import Finding
from gateway.cli.doctor_hub import examine_hub
from gateway.envelopes.sweep_changes import sweep_changes_due
from normalizer.ids import Kind, print_id
from tests.conformance.sandbox_process import SandboxProcess
from tests.fixtures.store import Store
from tests.gateway.administered import BROKEN, MISSING, connect_acme, fake, open_administered, served
from tests.gateway.bodies import envelope
from tests.gateway.world import Tenant, World, replace_settings
from tests.webhooks.inbound.listen import listen

TABLES = (
    "connection_sweeps",
    "drift_findings",
    "ledger_entries",
    "inbox_messages",
    "deliveries",
    "outbox_events",
)


@pytest.fixture
async def world(gateway_settings: Any) -> AsyncIterator[World]:
    async with open_administered(gateway_settings) as world:
        yield world


@pytest.fixture
async def acme(world: World) -> Tenant:
    return await connect_acme(world)


async def told(world: World, beginning: str = "") -> list[Finding]:
    return [one for one in await examine_hub(world.services) if one.what.startswith(beginning)]


async def only(world: World, beginning: str) -> Finding:
    (finding,) = await told(world, beginning)
    return finding


async def test_a_hub_that_works_has_nothing_wrong(world: World, acme: Tenant) -> None:
    found = await told(world)
    assert [one for one in found if not one.ok] == []
    assert {one.what.split(" of ")[0] for one in found} >= {
        "public address", "clock", "webhooks", "sweep", "drift", "inbox", "fan-out", "deliveries", "endpoints",
    }  # fmt: skip


async def test_looking_changes_nothing(world: World, acme: Tenant) -> None:
    await acme.made(envelope(send=True))
    fake(world).wrong = [BROKEN, MISSING]

    async def state() -> list[Any]:
        return [
            await world.services.hub.fetchval(
                f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t"
            )
            for table in TABLES
        ]

    before = await state()
    await told(world)
    fake(world).refusals = [AuthFailed("invalid_grant", "dead")] * 2
    await told(world)
    assert await state() == before
    assert "repair_webhooks" not in fake(world).calls


async def test_a_webhook_configuration_is_told_by_kind_with_its_count(world: World, acme: Tenant) -> None:
    second = WebhookFinding(
        code="missing", says="There is none.", provider_refs=("alpha-2",), repairable=True
    )
    fake(world).wrong = [MISSING, second, BROKEN]
    says = [one.says for one in await told(world, "webhooks of con_") if not one.ok]
    assert says == ["There is none. [missing, 2 times]", "It signs nothing. [unsigned]"]


async def test_a_connection_that_takes_no_webhooks_is_a_note(world: World) -> None:
    tenant = await world.tenant()
    await tenant.connect("alpha")
    finding = await only(world, "webhooks of con_")
    assert (finding.ok, finding.note) == (True, True)


async def test_a_connection_whose_rule_nothing_can_meet_is_told(world: World, acme: Tenant) -> None:
    await world.services.hub.execute("UPDATE connections SET client_certificate_subject = 'CN=connect'")
    finding = await only(world, "webhooks of con_")
    assert not finding.ok
    assert "every message is refused" in finding.says


async def test_a_sweep_that_lags_is_told_with_its_last_error(world: World, acme: Tenant) -> None:
    await world.services.hub.execute(
        "UPDATE connection_sweeps SET last_whole_at = now() - interval '2 hours', last_error = 'It throttles.'"
    )
    finding = await only(world, "sweep of con_")
    assert not finding.ok
    assert finding.says == "the last whole one was 120 minutes ago: It throttles."


async def test_a_connection_that_was_never_swept_is_told_once_it_is_old_enough(world: World) -> None:
    tenant = await world.tenant()
    await tenant.connect("alpha")
    assert (await only(world, "sweep of con_")).ok
    await world.services.hub.execute("UPDATE connections SET created_at = now() - interval '2 hours'")
    finding = await only(world, "sweep of con_")
    assert not finding.ok
    assert "do a worker and a scheduler run?" in finding.says


async def test_a_clock_that_differs_from_the_databases_is_told(world: World, acme: Tenant) -> None:
    import dataclasses

    ahead = FixedClock(datetime.now(UTC) + timedelta(minutes=5))
    services = dataclasses.replace(world.services, clock=ahead)
    (finding,) = [one for one in await examine_hub(services) if one.what == "clock"]
    assert not finding.ok
    assert "300 s ahead of the database's" in finding.says


@pytest.mark.parametrize(
    ("state", "ok"), [("parked", True), ("unprocessable", False), ("dead", False), ("quarantined", False)]
)
async def test_messages_that_need_a_person_are_counted(
    world: World, acme: Tenant, state: str, ok: bool
) -> None:
    await world.services.hub.execute(
        "INSERT INTO inbox_messages (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes,"
        " key_index, state, next_at) VALUES ($1, $2, $3, 'alpha', '', '', $4, 0, 0, $5, NULL)",
        acme.id,
        uuid4(),
        uuid4(),
        uuid4().bytes,
        state,
    )
    finding = await only(world, "inbox")
    assert finding.ok is ok
    assert f"1 {state}" in finding.says or "1 for their envelope" in finding.says


async def test_a_fan_out_that_stands_still_and_a_delivery_that_waits_are_told(
    world: World, acme: Tenant
) -> None:
    made = await acme.made({"url": "https://hooks.example.com/in"}, "/webhooks")
    hub = world.services.hub
    await hub.execute(
        "INSERT INTO outbox_pending (event_id, tenant_id, created_at) VALUES ($1, $2, now() - interval '5 minutes')",
        uuid4(),
        acme.id,
    )
    finding = await only(world, "fan-out")
    assert (finding.ok, finding.says.split(",")[0]) == (False, "1 events wait for it")
    await acme.post(f"/webhooks/{made['id']}/test")
    await hub.execute("DELETE FROM outbox_pending")
    await hub.execute("UPDATE deliveries SET due_at = now() - interval '10 minutes'")
    if await hub.fetchval("SELECT count(*) FROM deliveries"):
        waiting = await only(world, "deliveries")
        assert (waiting.ok, "does a deliverer run" in waiting.says) == (False, True)


async def test_an_endpoint_whose_breaker_is_open_is_a_note_with_its_host_only(
    world: World, acme: Tenant
) -> None:
    made = await acme.made({"url": "https://hooks.example.com/in?token=secret"}, "/webhooks")
    from normalizer.ids import read_id

    await world.services.hub.execute(
        "INSERT INTO endpoint_health (tenant_id, endpoint_id, breaker, failing_since) VALUES"
        " ($1, $2, 'open', now() - interval '30 minutes') ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET"
        " breaker = 'open', failing_since = excluded.failing_since",
        acme.id,
        read_id(Kind.ENDPOINT, made["id"]),
    )
    finding = await only(world, f"endpoint {made['id']}")
    assert (finding.ok, finding.note) == (True, True)
    assert finding.says == "hooks.example.com has failed for 30 minutes: its breaker is open"


async def test_drift_that_a_person_must_look_at_is_a_note(world: World, acme: Tenant) -> None:
    await world.services.hub.execute("UPDATE connection_sweeps SET contradicting = 2, missed = 7")
    finding = await only(world, "drift")
    assert (finding.ok, finding.note) == (True, True)
    assert finding.says.startswith("2 contradicting; 7 missed webhooks were repaired so far.")


def at(world: World, base: str) -> Any:
    return replace_settings(
        world.services,
        countersign=GeneralSettings(public_base_url=base, loopback_allow_list=("127.0.0.1:*",)),
    )


@asynccontextmanager
async def answering(status: int, body: bytes, kind: str = "text/html") -> AsyncIterator[str]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async with listen(app) as base:
        yield base


async def test_a_public_address_that_answers_as_somebody_else_or_not_at_all_is_told(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli import doctor_hub

    assert (await only(world, "public address")).note, "loopback is for development"
    monkeypatch.setattr(doctor_hub, "_OWN_MACHINE", frozenset())
    async with answering(200, b"<html>Welcome to nginx</html>") as base:
        (finding,) = [one for one in await examine_hub(at(world, base)) if one.what == "public address"]
        assert not finding.ok
        assert "not as this gateway" in finding.says
    async with answering(200, b'{"status":"ok","nonce":"x"}', "application/json") as base:
        (finding,) = [one for one in await examine_hub(at(world, base)) if one.what == "public address"]
        assert not finding.ok
        assert "let providers' posts through" in finding.says
    (finding,) = [
        one for one in await examine_hub(at(world, "http://127.0.0.1:1")) if one.what == "public address"
    ]
    assert not finding.ok
    assert "does not answer (ConnectError)" in finding.says


async def test_a_public_address_that_leads_here_is_well(
    store: Store, redis_url: Secret, gateway_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli import doctor_hub

    monkeypatch.setattr(doctor_hub, "_OWN_MACHINE", frozenset())
    async with served(store, redis_url, gateway_folder) as world:
        finding = await only(world, "public address")
        assert finding.ok, finding.says


@pytest.mark.parametrize("provider", ["docusign", "adobe_sign"])
async def test_a_real_provider_is_asked_for_its_clock_and_its_webhooks(
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
        tenant = await world.tenant()
        keys = (sandbox.credentials["webhook_secret"],) if "webhook_secret" in sandbox.credentials else ()
        connection = await tenant.connect(
            provider, sandbox.credentials, receive_webhooks=True, webhook_keys=keys
        )
        await tenant.route(connection)
        made = await tenant.made(envelope(send=True))
        await sweep_changes_due(world.services)
        named = f"{print_id(Kind.CONNECTION, connection)} ({provider})"
        clock = await only(world, f"clock against {named}")
        assert clock.says in {"agrees with the provider's to 0 s", "agrees with the provider's to 1 s"}
        assert (
            await only(world, f"webhooks of {named}")
        ).says == "nothing is wrong with how the provider sends them"
        url = await world.services.hub.fetchval("SELECT path_key FROM connections")
        adapter = world.services.adapters[provider]
        base = world.services.settings.countersign.public_base_url
        await hand.break_webhooks(
            f"{base}/webhooks/signatures/{adapter.webhook_path}/{url}", made["provider_ref"]
        )
        wrong = await only(world, f"webhooks of {named}")
        assert not wrong.ok
        assert wrong.says.endswith("[inactive]")
        assert url not in wrong.says
    await hand.heal()
