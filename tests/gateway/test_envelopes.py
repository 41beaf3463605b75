"""Creating, reading and listing envelopes."""

from datetime import UTC, datetime, timedelta

import pytest

from adapters.kit.exchange import Exchange
from adapters.kit.port import Created
from config.settings import Settings, SignatureSettings
from gateway.envelopes.defaults import choose_expiration, choose_reminders
from gateway.envelopes.draft import RemindersInput
from gateway.http.background import drain
from normalizer.envelope import Envelope
from tests.gateway.bodies import envelope, field, signer
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.papers import pdf
from tests.gateway.world import API, Tenant, World, open_world


async def test_an_envelope_is_created_as_a_draft_and_read_back_whole(acme: Tenant) -> None:
    made = await acme.made(
        envelope(
            message="Please", reference="PO-1", metadata={"case": "7"}, document_type="nda", language="de"
        )
    )
    read = (await acme.get(f"/envelopes/{made['id']}")).json()
    assert read == made
    assert (read["status"], read["provider"], read["reference"]) == ("draft", None, "PO-1")
    assert read["metadata"] == {"case": "7"}
    assert [(one["name"], one["page_count"], one["media_type"]) for one in read["documents"]] == [
        ("contract.pdf", 1, "application/pdf")
    ]
    assert [one["email"] for one in read["recipients"]] == ["ada@example.com"]
    assert read["fields"][0]["recipient_id"] == read["recipients"][0]["id"]
    assert (read["fields"][0]["width"], read["fields"][0]["height"]) == (160.0, 40.0)


async def test_an_envelope_with_send_reaches_the_provider_and_the_ledger(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope(send=True))
    assert (made["status"], made["provider"], made["provider_ref"]) == ("sent", "alpha", "alpha-1")
    assert made["routing"]["because"] == "default"
    assert world.fake("alpha").outgoing[0].reference == f"{made['id']}_1"
    assert await world.ledger_types(acme, made["id"]) == [
        "envelope_created",
        "document_uploaded",
        "recipient_added",
        "field_added",
        "envelope_routed",
        "envelope_sent",
    ]


async def test_defaults_of_expiration_and_reminders_come_from_the_settings(
    world: World, acme: Tenant
) -> None:
    made = await acme.made(envelope())
    expires = datetime.fromisoformat(made["expires_at"])
    assert timedelta(days=29, hours=23) < expires - datetime.now(UTC) <= timedelta(days=30)
    assert made["reminders"] == {"first_after_hours": 72, "every_hours": 72}
    given = await acme.made(
        envelope(expires_at="2030-01-01T00:00:00Z", reminders={"first_after_hours": 24, "every_hours": 48})
    )
    assert given["expires_at"].startswith("2030-01-01")
    assert given["reminders"] == {"first_after_hours": 24, "every_hours": 48}


def test_zero_in_the_settings_means_none() -> None:
    never = SignatureSettings(default_expiration_days=0, default_reminder_frequency_days=0)
    assert choose_expiration(never, None, datetime.now(UTC)) is None
    assert choose_reminders(never, None) == (None, None)
    assert choose_reminders(never, RemindersInput(first_after_hours=1, every_hours=2)) == (1, 2)


async def test_a_list_is_walked_page_by_page_while_new_envelopes_arrive(acme: Tenant) -> None:
    made = [(await acme.made(envelope(name=f"E{n}")))["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await acme.get("/envelopes", params={"limit": 3, "cursor": cursor})).json()
        seen += [one["id"] for one in page["envelopes"]]
        await acme.made(envelope(name="newer"))
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == made[::-1]


async def test_each_filter_finds_its_own(world: World, acme: Tenant) -> None:
    await acme.route(await acme.connect("beta"))
    sent = await acme.made(envelope(send=True, reference="R-1"), headers={"x-actor-id": "u1"})
    draft = await acme.made(envelope(reference="R-2"), headers={"x-actor-id": "u2"})
    for params, expected in (
        ({"status": "sent"}, [sent]),
        ({"status": "draft"}, [draft]),
        ({"provider": "beta"}, [sent]),
        ({"reference": "R-2"}, [draft]),
        ({"sender_id": "u1"}, [sent]),
        ({"created_from": draft["created_at"]}, [draft]),
        ({"created_before": draft["created_at"]}, [sent]),
        ({"status": "sent", "reference": "R-2"}, []),
    ):
        page = (await acme.get("/envelopes", params=params)).json()
        assert [one["id"] for one in page["envelopes"]] == [one["id"] for one in expected], params


async def test_a_draft_is_edited_in_all_its_parts(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope())
    at = f"/envelopes/{made['id']}"
    change = {
        "name": "New",
        "message": "Hello",
        "reference": "R",
        "expires_at": None,
        "reminders": None,
        "metadata": {"a": "b"},
    }
    changed = (await acme.client.patch(f"{API}{at}", json=change)).json()
    assert (changed["name"], changed["message"], changed["expires_at"], changed["reminders"]) == (
        "New",
        "Hello",
        None,
        None,
    )
    upload = (await acme.client.post(f"{API}/documents", content=pdf(pages=2))).json()
    attached = await acme.made({"document_id": upload["id"]}, f"{at}/documents")
    assert [one["page_count"] for one in attached["documents"]] == [1, 2]
    bob = await acme.made(signer("Bob", fields=[field(document=2)]), f"{at}/recipients")
    placed = await acme.made(
        field(type="text", recipient_id=bob["id"], document=2, page=2, label="PO"), f"{at}/fields"
    )
    moved = await acme.client.put(
        f"{API}{at}/fields/{placed['id']}",
        json=field(type="text", recipient_id=bob["id"], document=2, page=1, y=50),
    )
    assert (moved.json()["id"], moved.json()["page"], moved.json()["y"]) == (placed["id"], 1, 50)
    renamed = await acme.client.put(f"{API}{at}/recipients/{bob['id']}", json=signer("Robert", fields=[]))
    assert [one["name"] for one in renamed.json()["recipients"]] == ["Ada Lovelace", "Robert"]
    gone = [
        await acme.client.delete(f"{API}{at}/fields/{placed['id']}"),
        await acme.client.delete(f"{API}{at}/documents/{upload['id']}"),
        await acme.client.delete(f"{API}{at}/recipients/{bob['id']}"),
    ]
    assert [one.status_code for one in gone] == [204, 204, 204]
    left = (await acme.get(at)).json()
    assert (len(left["documents"]), len(left["recipients"]), len(left["fields"])) == (1, 1, 1)
    types = await world.ledger_types(acme, made["id"])
    assert types[4:] == [
        "envelope_modified",
        "document_added",
        "recipient_added",
        "field_added",
        "field_added",
        "field_changed",
        "recipient_changed",
        "field_removed",
        "document_removed",
        "recipient_removed",
    ]
    again = await acme.post("/envelopes", envelope(documents=[{"document_id": upload["id"]}]))
    assert again.status_code == 201


async def test_an_envelope_that_was_sent_is_not_edited(acme: Tenant) -> None:
    made = await acme.made(envelope(send=True))
    at = f"{API}/envelopes/{made['id']}"
    person, place = made["recipients"][0]["id"], made["fields"][0]["id"]
    for method, path, body in (
        ("PATCH", at, {"name": "x"}),
        ("POST", f"{at}/recipients", signer()),
        ("PUT", f"{at}/recipients/{person}", signer(fields=[])),
        ("DELETE", f"{at}/recipients/{person}", None),
        ("POST", f"{at}/fields", field()),
        ("PUT", f"{at}/fields/{place}", field()),
        ("DELETE", f"{at}/fields/{place}", None),
        ("DELETE", f"{at}/documents/{made['documents'][0]['id']}", None),
        ("POST", f"{at}/send", None),
    ):
        answer = await acme.client.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition"), f"{method} {path}"
    assert (await acme.get(f"/envelopes/{made['id']}")).json() == made


async def test_recipients_in_flight_are_asked_again_and_corrected(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope(send=True))
    person = made["recipients"][0]["id"]
    at = f"/envelopes/{made['id']}"
    assert (await acme.post(f"{at}/resend", {"recipient_ids": [person], "note": "please"})).status_code == 200
    corrected = await acme.post(f"{at}/recipients/{person}/correct", {"email": "ada@new.example"})
    assert corrected.json()["recipients"][0]["email"] == "ada@new.example"
    assert world.fake("alpha").calls[-2:] == ["resend 1", "correct  ada@new.example"]
    assert (await world.ledger_types(acme, made["id"]))[-3:] == [
        "envelope_resent",
        "recipient_replaced",
        "envelope_corrected",
    ]
    nothing = await acme.post(f"{at}/recipients/{person}/correct", {})
    assert (nothing.status_code, nothing.json()["code"]) == (422, "empty_change")


async def test_a_signing_link_is_handed_out_and_recorded_without_itself(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope(send=True, recipients=[signer(embedded=True)]))
    path = f"/envelopes/{made['id']}/recipients/{made['recipients'][0]['id']}/signing-url"
    answer = await acme.post(path, {"return_url": "https://dms.example/back"})
    assert (answer.status_code, "secret-link" in answer.json()["url"]) == (201, True)
    assert answer.headers["cache-control"] == "no-store"
    trail = (await acme.get(f"/envelopes/{made['id']}/audit-trail")).text
    assert "access_token_generated" in trail
    assert "secret-link" not in trail
    for bad in ("ftp://x", "javascript:alert(1)", "https://", "/relative"):
        assert (await acme.post(path, {"return_url": bad})).status_code == 422


async def test_a_draft_is_voided_without_its_provider_and_needs_a_reason(world: World, acme: Tenant) -> None:
    made = await acme.made(envelope())
    for reason in ("", "   ", "x" * 201):
        assert (await acme.post(f"/envelopes/{made['id']}/void", {"reason": reason})).status_code == 422
    voided = await acme.post(f"/envelopes/{made['id']}/void", {"reason": "mistake"})
    assert (voided.status_code, voided.json()["status"], world.fake("alpha").calls) == (200, "voided", [])
    assert voided.json()["recipients"][0]["status"] == "cancelled"


@pytest.mark.parametrize("how", ["?wait=0", "prefer"])
async def test_a_caller_who_would_rather_not_wait_gets_202_and_the_work_goes_on(
    world: World, acme: Tenant, how: str
) -> None:
    import asyncio

    go = asyncio.Event()

    async def slow(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        await go.wait()
        return await provider.make(exchange, sent)

    world.fake("alpha").answers = [slow]
    headers = {"prefer": "respond-async"} if how == "prefer" else {}
    path = "/envelopes" if how == "prefer" else f"/envelopes{how}"
    answer = await acme.post(path, envelope(send=True), headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "processing")
    go.set()
    await drain(5)
    assert (await acme.get(f"/envelopes/{answer.json()['id']}")).json()["status"] == "sent"


async def test_the_end_of_the_application_waits_for_a_dispatch_in_flight(gateway_settings: Settings) -> None:
    import asyncio

    async def slow(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        await asyncio.sleep(0.3)
        return await provider.make(exchange, sent)

    async with open_world(gateway_settings, FakeProvider("alpha")) as world:
        async with World(world.services) as ending:
            tenant = await ending.tenant()
            await tenant.route(await tenant.connect("alpha"))
            ending.fake("alpha").answers = [slow]
            made = (await tenant.post("/envelopes?wait=0", envelope(send=True))).json()
        status = await world.services.hub.fetchval("SELECT status FROM envelopes")
        assert (made["status"], status) == ("processing", "sent")
