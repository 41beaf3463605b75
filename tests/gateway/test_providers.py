"""The gateway against the real adapters and their sandboxes: the main job, the switch, and lost answers."""

import asyncio
import importlib
from typing import Any

import httpx
import pytest

from gateway.envelopes.reconcile import reconcile_due, reconcile_envelope
from normalizer.ids import Kind, print_id, read_id
from tests.conformance.hand import Hand
from tests.conformance.sandbox_process import SandboxProcess
from tests.gateway.bodies import envelope, field, signer
from tests.gateway.world import ADMIN, Tenant, World

PROVIDERS = ["docusign", "adobe_sign"]
Sandboxes = dict[str, SandboxProcess]


async def connected(world: World, sandboxes: Sandboxes, provider: str) -> tuple[Tenant, Hand]:
    tenant = await world.tenant(provider)
    await tenant.route(await tenant.connect(provider, sandboxes[provider].credentials))
    hand: Hand = importlib.import_module(f"tests.conformance.providers.{provider}").ProviderHand(
        sandboxes[provider].url
    )
    await hand.heal()
    return tenant, hand


async def until(world: World, tenant: Tenant, envelope_id: str, *wanted: str) -> dict[str, Any]:
    """Asks the provider, as the sweep does, until the envelope is there."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    async with asyncio.timeout(20):
        while True:
            found = (await tenant.get(f"/envelopes/{envelope_id}")).json()
            if found["status"] in wanted:
                return found
            await reconcile_envelope(world.services, tenant.id, own)
            await asyncio.sleep(0.05)


async def held_at_provider(sandbox: SandboxProcess, provider: str, envelope_id: str) -> list[str]:
    """The states of everything at the provider that carries a reference of this envelope."""
    async with httpx.AsyncClient(trust_env=False) as client:
        path = "envelopes" if provider == "docusign" else "agreements"
        listed = (await client.get(f"{sandbox.url}/sandbox/{path}")).json()
        rows = listed if isinstance(listed, list) else next(v for v in listed.values() if isinstance(v, list))
        states = []
        for row in rows:
            key = row.get("envelopeId") or row.get("id")
            whole = (await client.get(f"{sandbox.url}/sandbox/{path}/{key}")).text
            if envelope_id in whole:
                states.append(str(row.get("status", "")).lower())
        return states


SENT_STATES = {"sent", "delivered", "out_for_signature", "in_process", "waiting_for_my_signature"}


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_envelope_goes_out_is_voided_and_downloaded(
    world: World, sandboxes: Sandboxes, provider: str
) -> None:
    tenant, _ = await connected(world, sandboxes, provider)
    made = await tenant.made(envelope(send=True))
    assert (made["status"], made["provider"]) == ("sent", provider)
    pdf = await tenant.get(f"/envelopes/{made['id']}/combined")
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
    assert (await tenant.get(f"/envelopes/{made['id']}/documents/1")).content[:5] == b"%PDF-"
    assert (await tenant.get(f"/envelopes/{made['id']}/documents/2")).status_code == 404
    assert (await tenant.get(f"/envelopes/{made['id']}/provider-history")).json()["records"]
    voided = await tenant.post(f"/envelopes/{made['id']}/void", {"reason": "wrong price"})
    assert (voided.status_code, voided.json()["status"], voided.json()["reason"]) == (
        200,
        "voided",
        "wrong price",
    )
    again = await tenant.post(f"/envelopes/{made['id']}/void", {"reason": "wrong price"})
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")


LOSSES = ["timeout_after_accept", "reset_after", "reset_before", "http_500_html"]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_lost_answer_never_makes_a_second_sent_envelope(
    world: World, sandboxes: Sandboxes, provider: str, loss: str
) -> None:
    import msgspec

    from config.settings import DispatchSettings
    from tests.gateway.world import replace_settings

    tenant, hand = await connected(world, sandboxes, provider)
    quick = DispatchSettings(deadline_s=2.0, look_up_delays_s=(0.01, 0.01, 0.01))
    services = replace_settings(world.services, dispatch=quick)
    patient = World(services)
    async with patient:
        client = patient.client(tenant.key)
        await hand.break_next(loss, "create", seconds=4)
        answer = await client.post("/api/v1/signatures/envelopes", json=envelope(send=True))
        assert answer.status_code in {201, 202, 503}, answer.text
        envelope_id = answer.json().get("id") or answer.json()["envelope_id"]
        if answer.status_code == 503:  # certainly not done: the caller sends again
            await client.post(f"/api/v1/signatures/envelopes/{envelope_id}/send")
        done = await until(patient, tenant, envelope_id, "sent")
    states = await held_at_provider(sandboxes[provider], provider, envelope_id)
    assert len([one for one in states if one in SENT_STATES]) == 1, states
    assert done["provider_ref"]
    trail = (await tenant.get(f"/envelopes/{envelope_id}/audit-trail")).json()
    assert trail["integrity"]["valid"]
    await hand.heal()
    assert msgspec.json.encode(trail)


async def test_the_switch_sends_new_envelopes_elsewhere_and_leaves_those_in_flight(
    world: World, sandboxes: Sandboxes
) -> None:
    tenant = await world.tenant()
    first = await tenant.connect("docusign", sandboxes["docusign"].credentials)
    second = await tenant.connect("adobe_sign", sandboxes["adobe_sign"].credentials)
    await tenant.route(first)
    admin = await world.administrator()
    base = f"{ADMIN}/tenants/{tenant.printed}/provider-switches"
    before = await tenant.made(envelope(send=True))
    switched = await admin.post(
        base, json={"to_connection_id": print_id(Kind.CONNECTION, second), "reason": "price"}
    )
    assert (switched.status_code, switched.json()["in_flight"]) == (201, {"sent": 1})
    after = await tenant.made(envelope(send=True))
    assert (before["provider"], after["provider"]) == ("docusign", "adobe_sign")
    resent = await tenant.post(f"/envelopes/{before['id']}/resend", {})
    assert resent.status_code == 200
    voided = await tenant.post(f"/envelopes/{before['id']}/void", {"reason": "done"})
    assert (voided.json()["status"], voided.json()["provider"]) == ("voided", "docusign")
    reverted = await admin.post(f"{base}/{switched.json()['id']}/revert")
    assert (reverted.status_code, reverted.json()["reverts"]) == (201, switched.json()["id"])
    assert (await tenant.made(envelope(send=True)))["provider"] == "docusign"
    twice = await admin.post(f"{base}/{switched.json()['id']}/revert")
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")
    types = [one["event_type"] for one in (await tenant.get("/audit/events")).json()["entries"]]
    assert types.count("provider_switched") == 2
    assert [one["reason"] for one in (await admin.get(base)).json()] == ["reverted", "price"]


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_a_provider_has_in_a_weaker_form_is_listed(
    world: World, sandboxes: Sandboxes, provider: str
) -> None:
    tenant, _ = await connected(world, sandboxes, provider)
    body = envelope(
        send=True, expires_at="2027-03-01T15:45:00Z", reminders={"first_after_hours": 30, "every_hours": 30}
    )
    made = await tenant.made(body)
    assert made["degraded"], "expiry and reminders count whole days there"
    assert all(one["feature"] and one["given"] for one in made["degraded"])


async def test_the_sweep_over_the_sandboxes_finds_nothing_left(world: World, sandboxes: Sandboxes) -> None:
    tenant, _ = await connected(world, sandboxes, "docusign")
    await tenant.made(
        envelope(send=True, recipients=[signer(fields=[field(), field(type="text", label="PO", y=650)])])
    )
    assert await reconcile_due(world.services) == 0
