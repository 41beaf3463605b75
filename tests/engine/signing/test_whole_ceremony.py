"""Whole ceremonies as signers go through them: with scripts, without, in every role."""

from typing import Any

from tests.engine.signing.house import House
from tests.gateway.bodies import envelope, field, signer

ADA, BOB = "ada@example.com", "bob@example.com"


async def test_signer_with_scripts_goes_from_the_link_to_the_end(house: House) -> None:
    fields = [
        field(),
        field(type="initials", x=300),
        field(type="date_signed", y=700),
        field(type="text", y=100, label="Job"),
        field(type="full_name", y=200),
    ]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    browser = await house.browser(ADA)
    assert browser.page.count("<h1>") == 1
    assert 'name="demonstration"' in browser.page
    await browser.consent()
    assert [one["type"] for one in browser.fields()] == [
        "text",
        "full_name",
        "signature",
        "initials",
        "date_signed",
    ]
    assert (await browser.look("documents/1.pdf")).content.startswith(b"%PDF")
    assert (await browser.fill(browser.field("text")["id"], "Countess")).json()["is_done"] is True
    signed = await browser.sign(browser.field("signature")["id"], await browser.adopt())
    assert signed.status_code == 200, signed.text
    initials = await browser.adopt(purpose="initials", text="AL")
    assert (await browser.sign(browser.field("initials")["id"], initials)).status_code == 200
    picture = await browser.client.get(signed.json()["picture_url"])
    assert picture.content.startswith(b"\x89PNG")
    review = await browser.get("review")
    assert "Countess" in review.text
    ended = await browser.finish(geolocation="52.5,13.4", time_zone="Europe/Berlin")
    assert (ended.status_code, ended.headers["location"]) == (303, f"{browser.base}/done")
    done = await browser.get("done")
    assert "Done. Thank you!" in done.text
    recipient = await house.recipient(ADA)
    assert (recipient.status, recipient.signed_name, recipient.meaning, recipient.geolocation) == (
        "completed",
        "Ada Lovelace",
        "signature",
        "52.5,13.4",
    )
    stored = {one.type.value: one.value for one in (await house.envelope()).fields}
    assert (stored["text"], stored["full_name"]) == ("Countess", "Ada Lovelace")
    assert stored["date_signed"] == house.engine.clock.now().date().isoformat() or stored["date_signed"]
    kinds = [one["event_type"] for one in await house.ledger()]
    assert kinds.count("signature_captured") == 2
    assert kinds.count("field_completed") == 3
    order = [kinds.index(one) for one in ("ceremony_started", "consent_given", "intent_confirmed")]
    assert order == sorted(order)


async def test_signer_without_scripts_signs_with_plain_forms(house: House) -> None:
    fields = [
        field(),
        field(type="checkbox", y=100),
        field(type="radio", y=200, group="size"),
        field(type="radio", y=220, group="size"),
        field(type="dropdown", y=300, options=["red", "blue"]),
    ]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    browser = await house.reader(ADA)
    second = [one for one in browser.fields() if one["type"] == "radio"][1]["id"]
    form = {
        f"field_{browser.field('checkbox')['id']}": "true",
        "group_size": second,
        f"field_{browser.field('dropdown')['id']}": "blue",
        "signature_text": "Ada Lovelace",
        "signature_font": "great-vibes",
        "then": "review",
    }
    saved = await browser.post("save", form)
    assert (saved.status_code, saved.headers["location"]) == (303, f"{browser.base}/review")
    page = await browser.get("review")
    assert "idempotency_key" in page.text
    ended = await browser.finish()
    assert ended.status_code == 303, ended.text
    stored = await house.envelope()
    assert [one.value for one in stored.fields if one.type.value == "radio"] == ["", "true"]
    assert {one.type.value for one in stored.fields if one.completed_at} == {
        "signature",
        "checkbox",
        "radio",
        "dropdown",
    }
    assert stored.signatures[0].font == "great-vibes"


async def test_whoever_does_not_sign_finishes_without_a_signature(house: House) -> None:
    roles = {"approver": "approval", "reviewer": "review", "certified_delivery": "receipt"}
    others = [signer(f"{role.title()} Person", role=role, fields=[]) for role in roles]
    await house.send(envelope(recipients=[signer(), *others]))
    for person, meaning in zip(others, roles.values(), strict=True):
        browser = await house.reader(person["email"])
        await browser.look("documents/1.pdf")
        ended = await browser.finish()
        assert ended.status_code == 303, ended.text
        recipient = await house.recipient(person["email"])
        assert (recipient.status, recipient.meaning) == ("completed", meaning)


async def test_receipt_is_not_confirmed_before_the_document_was_opened(house: House) -> None:
    await house.send(
        envelope(recipients=[signer(), signer("Bob Second", role="certified_delivery", fields=[])])
    )
    browser = await house.reader(BOB)
    assert (await browser.finish()).status_code == 403
    await browser.look("documents/1.pdf")
    assert (await browser.finish()).status_code == 303


async def test_a_copys_reader_sees_the_document_and_has_nothing_to_do(house: House) -> None:
    people = [signer(), signer("Bob Second", role="carbon_copy", fields=[])]
    await house.send(envelope(recipients=people))
    browser = await house.browser(BOB)
    page = await browser.get("document")
    assert page.status_code == 200
    assert browser.fields() == []
    assert (await browser.look("documents/1.pdf")).status_code == 200
    assert (await browser.look("review")).headers["location"].endswith("/done")
    assert (await browser.finish()).status_code == 409


async def test_somebody_in_person_signs_on_the_hosts_device(house: House) -> None:
    person = signer(role="in_person", host_name="Hal Host", host_email="hal@example.com")
    await house.send(envelope(recipients=[person]))
    landing = await house.world.client(**{"user-agent": "F"}).get(await house.link(ADA))
    assert "Hal Host" in landing.text
    browser = await house.reader(ADA)
    await browser.sign(browser.field("signature")["id"], await browser.adopt())
    assert (await browser.finish()).status_code == 303


async def test_pages_are_in_the_recipients_language(house: House) -> None:
    person: dict[str, Any] = signer(language="de")
    await house.send(envelope(recipients=[person]))
    browser = await house.browser(ADA)
    assert '<html lang="de"' in browser.page
    assert "Sie können Papier bekommen" in browser.page
