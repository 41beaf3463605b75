"""What the design documents ask of the envelope's API, told once over HTTP, with every designed event recorded."""

import re
from typing import Any

from gateway import metrics
from gateway.envelopes.apply_event import apply_provider_event
from ledger.check import check_chain
from normalizer.events import ProviderEvent, Source, SourceKind
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import VOCABULARY, EventType
from tests.docs.lists import DOCS
from tests.docs.tables import read_tables
from tests.gateway import papers
from tests.gateway.bodies import envelope, field, signer
from tests.gateway.world import API, Tenant, World
from webhooks.inbound.ports import Trust

R, S, E = RecipientStatus, EnvelopeStatus, EventType
ACTOR = {
    "x-actor-id": "u-17",
    "x-actor-name": "Grace",
    "x-actor-email": "grace@example.com",
    "x-actor-ip": "192.0.2.7",
    "x-actor-user-agent": "DMS/1",
}


async def test_every_designed_event_of_this_piece_is_recorded_by_a_use_case(world: World, acme: Tenant):
    recorded = set(await _draft_and_void(world, acme))
    recorded |= set(await _complete(world, acme))
    recorded |= set(await _decline(world, acme))
    tenant_chain = (await acme.get("/audit/events", params={"limit": 500})).json()
    recorded |= {entry["event_type"] for entry in tenant_chain["entries"]}
    names = recorded | {also for kind in recorded for also in VOCABULARY[kind].also}
    assert _designed_events() - names == set()


async def _draft_and_void(world: World, acme: Tenant) -> list[str]:
    scan = await acme.client.post(
        f"{API}/documents", params={"name": "scan.png"}, content=papers.image("png")
    )
    assert scan.status_code == 201, scan.text
    made = await acme.made({"name": "Contract", "documents": [{"document_id": scan.json()["id"]}]})
    path = f"/envelopes/{made['id']}"
    person = await acme.made(signer(fields=[]), f"{path}/recipients")
    first = await acme.made(_placed(person), f"{path}/fields")
    await acme.made(_placed(person), f"{path}/fields")
    removed = await acme.client.delete(f"{API}{path}/fields/{first['id']}")
    assert removed.status_code == 204
    downloaded = await acme.get(f"/documents/{scan.json()['id']}/content")
    assert downloaded.content.startswith(b"%PDF")
    sent = await acme.post(f"{path}/send", {})
    assert (sent.status_code, sent.json()["status"]) == (200, "sent")
    again = await acme.post(f"{path}/send", {})
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")
    voided = await acme.post(f"{path}/void", {"reason": "Wrong price"})
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")
    assert (await acme.post(f"{path}/void", {"reason": "Again"})).status_code == 409
    return await world.ledger_types(acme, made["id"])


async def _complete(world: World, acme: Tenant) -> list[str]:
    people = [signer(embedded=True), signer("Charles Babbage", routing_order=2)]
    made = await acme.made(envelope(send=True, recipients=people))
    ada = made["recipients"][0]["id"]
    link = await acme.post(
        f"/envelopes/{made['id']}/recipients/{ada}/signing-url", {"return_url": "https://dms.example/"}
    )
    assert link.status_code == 201, link.text
    await _told(
        world, acme, made, E.RECIPIENT_SENT, recipient_status=R.SENT, recipient_email="ada@example.com"
    )
    await _told(world, acme, made, E.RECIPIENT_AUTHENTICATED, recipient_email="ada@example.com")
    await _told(
        world,
        acme,
        made,
        E.RECIPIENT_AUTH_FAILED,
        recipient_status=R.AUTH_FAILED,
        recipient_email="ada@example.com",
    )
    await _told(
        world,
        acme,
        made,
        E.RECIPIENT_COMPLETED,
        recipient_status=R.COMPLETED,
        recipient_email="ada@example.com",
    )
    assert (await acme.get(f"/envelopes/{made['id']}")).json()["status"] == "signed"
    await _told(
        world,
        acme,
        made,
        E.RECIPIENT_DELEGATED,
        recipient_email="charles@example.com",
        new_recipient_email="mary@example.com",
        new_recipient_name="Mary Somerville",
    )
    await _told(
        world,
        acme,
        made,
        E.RECIPIENT_DELIVERED,
        recipient_status=R.DELIVERED,
        recipient_email="mary@example.com",
    )
    await _told(world, acme, made, E.ENVELOPE_COMPLETED, status=S.COMPLETED)
    assert (await acme.get(f"/envelopes/{made['id']}")).json()["status"] == "completed"
    return await world.ledger_types(acme, made["id"])


async def _decline(world: World, acme: Tenant) -> list[str]:
    made = await acme.made(envelope(send=True))
    await _told(
        world,
        acme,
        made,
        E.ENVELOPE_DECLINED,
        status=S.DECLINED,
        recipient_status=R.DECLINED,
        recipient_email="ada@example.com",
        reason="Wrong price",
    )
    return await world.ledger_types(acme, made["id"])


async def test_provider_reports_complete_decline_void_and_expire_an_envelope(world: World, acme: Tenant):
    for status in (S.COMPLETED, S.DECLINED, S.VOIDED, S.EXPIRED):
        made = await acme.made(envelope(send=True))
        await _told(world, acme, made, None, status=status, reason="Because")
        after = (await acme.get(f"/envelopes/{made['id']}")).json()
        assert after["status"] == status


async def test_required_field_without_recipient_and_signer_without_field_are_refused_at_send(acme: Tenant):
    made = await acme.made(envelope(recipients=[signer(fields=[])]))
    refused = await acme.post(f"/envelopes/{made['id']}/send", {})
    assert (refused.status_code, refused.json()["code"]) == (422, "not_ready")
    orphan = await acme.made(_placed(), f"/envelopes/{made['id']}/fields")
    refused = await acme.post(f"/envelopes/{made['id']}/send", {})
    assert refused.status_code == 422
    assert orphan["id"] in str(refused.json()["findings"]) or "recipient" in str(refused.json()["findings"])


async def test_unknown_authentication_level_is_refused_with_its_place(acme: Tenant):
    refused = await acme.post("/envelopes", envelope(authentication_level="magic"))
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")
    assert "authentication_level" in str(refused.json()["findings"])


async def test_actor_of_the_dms_stands_in_the_audit_trail_with_address_and_agent(acme: Tenant):
    made = await acme.made(envelope(), headers=ACTOR)
    trail = (await acme.get(f"/envelopes/{made['id']}/audit-trail")).json()
    actor = trail["entries"][0]["actor"]
    assert {name: actor[name] for name in ("id", "name", "email", "ip_address", "user_agent")} == {
        "id": "u-17",
        "name": "Grace",
        "email": "grace@example.com",
        "ip_address": "192.0.2.7",
        "user_agent": "DMS/1",
    }


async def test_audit_trail_as_json_has_the_designed_verdict(acme: Tenant):
    made = await acme.made(envelope())
    trail = (await acme.get(f"/envelopes/{made['id']}/audit-trail")).json()
    assert {"valid", "events_verified", "violations"} <= set(trail["integrity"])
    assert (trail["integrity"]["valid"], trail["integrity"]["violations"]) == (True, [])
    assert trail["integrity"]["events_verified"] == len(trail["entries"]) > 0


async def test_trail_that_never_was_is_valid_with_no_events(world: World, acme: Tenant):
    verdict = await check_chain(world.services.database, acme.id, f"env:{world.services.ids.new()}")
    assert (verdict.valid, verdict.events_verified, verdict.violations) == (True, 0, ())


async def test_routes_of_the_documents_are_those_of_the_openapi(world: World):
    described = (await world.client().get("/docs/openapi.json")).json()["paths"]
    offered = {(method.upper(), path) for path, methods in described.items() for method in methods}
    listed = {
        (row[0], row[1].strip("`"))
        for table in read_tables(DOCS / "api.md")
        if "scope" in table.head
        for row in table.rows
    }
    assert listed == {(method, path) for method, path in offered if path.startswith("/api/")}


async def test_metrics_that_the_alarms_watch_are_told(world: World):
    answer = await world.client().get("/metrics")
    assert answer.status_code == 200
    operations = (DOCS / "operations.md").read_text(encoding="utf-8")
    watched = re.findall(r"`(countersign_[a-z_]+)(?:\{(\w+)=\"(\w+)\"\})?", operations)
    assert len(watched) >= 6
    for name, label, value in watched:
        shown = f'{name}{{{label}="{value}"}}' if label else name
        assert shown in answer.text


async def test_opened_circuit_is_counted_for_its_provider(world: World):
    circuit = "alpha/acme"
    before = metrics.CIRCUITS.labels("alpha", "open")._value.get()
    breakers = world.services.executor.breakers
    failures = 0
    while breakers.state(circuit).value != "open":
        failures += 1
        assert failures < 1000
        with breakers.admit(circuit) as permit:
            permit.failed()
    assert metrics.CIRCUITS.labels("alpha", "open")._value.get() == before + 1
    assert b'countersign_circuit_changes_total{provider="alpha",state="open"}' in metrics.render()


def _placed(recipient: dict[str, Any] | None = None) -> dict[str, Any]:
    return field() | ({"recipient_id": recipient["id"]} if recipient else {})


def _designed_events() -> set[str]:
    rows = [row for table in read_tables(DOCS / "design-coverage.md") for row in table.rows]
    return {row[2] for row in rows if row[1] == "event" and row[3] == "1" and row[0] in {"A 5", "B 5.1"}}


async def _told(
    world: World, acme: Tenant, made: dict[str, Any], kind: EventType | None, **given: Any
) -> None:
    event = ProviderEvent(
        type=kind,
        provider_event=str(kind or ""),
        dedupe_key=str(kind),
        provider_ref=made["provider_ref"],
        occurred_at=None,
        **given,
    )

    async def claim(_: Any) -> bool:
        return True

    connection = await world.services.hub.fetchval("SELECT id FROM connections WHERE tenant_id = $1", acme.id)
    source = Source(kind=SourceKind.WEBHOOK, provider="alpha")
    await apply_provider_event(world.services, acme.id, connection, event, source, Trust(), claim)
