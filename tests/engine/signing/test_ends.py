"""How a ceremony ends: refused, handed over, done, with copies to keep; and the proofs and files on the way."""

import hashlib
import re

import pytest

from tests.engine.envelopes import people
from tests.engine.signing.house import House
from tests.gateway.bodies import envelope, field, inline, signer
from tests.gateway.papers import pdf

ADA, BOB, CY = "ada@example.com", "bob@example.com", "cy@example.com"


async def test_refusal_needs_a_reason_and_ends_it_for_all(house: House) -> None:
    await house.send(envelope(recipients=[signer(), signer("Bob Second", fields=[field(y=300)])]))
    ada, bob = await house.browser(ADA), await house.reader(BOB)
    page = await ada.get("decline")
    assert 'name="reason"' in page.text
    short = await ada.post("decline", {"reason": "no"})
    assert short.status_code == 422
    assert "5 to 500 characters" in short.text
    done = await ada.post("decline", {"reason": "The price is wrong"})
    assert (done.status_code, "You have refused" in done.text) == (200, True)
    after = await house.envelope()
    assert (after.status, after.reason) == ("declined", "The price is wrong")
    end = await bob.get("")
    assert "The price is wrong" not in end.text  # the sender is told; the others are not
    answer = await bob.post("finish", {"intent": "yes", "idempotency_key": "a-key-of-eight"})
    assert answer.status_code in {401, 409}


async def test_successor_gets_a_link_and_the_former_nothing(house: House) -> None:
    await house.send(envelope(recipients=[signer(fields=[field(), field(type="text", y=100)])]))
    ada = await house.reader(ADA)
    await ada.fill(ada.field("text")["id"], "of Ada's")
    wrong = await ada.post("delegate", {"name": "", "email": CY, "reason": "On leave"})
    assert wrong.status_code == 422
    wrong = await ada.post("delegate", {"name": "Cy Third", "email": "no address", "reason": "On leave"})
    assert wrong.status_code == 422
    assert 'value="Cy Third"' in wrong.text
    answer = await ada.post("delegate", {"name": "Cy Third", "email": CY, "reason": "On leave"})
    assert (answer.status_code, "Handed over" in answer.text) == (200, True)
    cy = await house.reader(CY)
    assert cy.field("text")["value"] == ""
    await cy.fill(cy.field("text")["id"], "of Cy's", cy.field("text")["version"])
    signature = cy.field("signature")
    await cy.sign(signature["id"], await cy.adopt(text="Cy Third"), signature["version"])
    assert (await cy.finish()).status_code == 303
    gone = await ada.look("document")
    assert gone.status_code in {303, 401}
    assert (await ada.look("documents/1.pdf")).status_code in {401, 404}
    assert (await house.recipient(CY)).status == "completed"


async def test_handing_over_can_be_switched_off(house: House) -> None:
    from dataclasses import replace

    import msgspec

    from config.settings_signing import SigningSettings
    from tests.gateway.world import World

    await house.send(envelope())
    services = house.world.services
    settings = msgspec.structs.replace(services.settings, signing=SigningSettings(allow_delegation=False))
    services = replace(services, settings=settings, engine=replace(services.engine, settings=settings))
    async with World(services) as strict:
        house.world = strict
        browser = await house.reader(ADA)
        assert "/delegate" not in browser.page
        answer = await browser.post("delegate", {"name": "Cy", "email": CY, "reason": "On leave"})
        assert answer.status_code == 403
    assert len((await house.envelope()).recipients) == 1


async def test_copies_are_the_plain_ones_first_and_the_sealed_ones_in_the_end(house: House) -> None:
    people_asked = [signer(), signer("Bob Second", role="carbon_copy", fields=[])]
    await house.send(
        envelope(documents=[inline(), inline(pdf(pages=2), "annex.pdf")], recipients=people_asked)
    )
    ada = await house.reader(ADA)
    first = await ada.look("download/document-1")
    assert first.headers["content-disposition"].startswith("attachment;")
    assert first.content == pdf()
    assert (await ada.look("download/certificate")).status_code == 404
    await ada.sign(ada.field("signature")["id"], await ada.adopt())
    await ada.finish()
    assert "Done. Thank you!" in (await ada.get("done")).text
    await people.seal(house.engine, house.tenant.id, house.engine_id)
    page = (await (await house.browser(ADA)).get("done")).text
    assert "Everybody has finished" in page
    assert "/verify/" in page
    copies = re.findall(r'href="(/sign/s/[^"]+/download/[^"]+)"', page)
    assert [one.rpartition("/")[2] for one in copies] == [
        "document-1",
        "document-2",
        "certificate",
        "combined",
    ]
    again = await house.browser(ADA)
    bob = await house.browser(BOB)
    for reader in (again, bob):
        for part in ("document-1", "document-2", "certificate", "combined"):
            answer = await reader.look(f"download/{part}")
            assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-"), part
    sealed = await again.look("download/document-1")
    assert hashlib.sha256(sealed.content).hexdigest() == (await house.envelope()).documents[0].sealed_sha256
    entries = await house.ledger("document_downloaded")
    assert {one["actor"]["type"] for one in entries} == {"recipient"}
    assert [one["details"]["sealed"] for one in entries] == [False] + [True] * 9
    refused = await again.post("save", {"then": "stay"})
    assert refused.status_code == 409


async def test_leaving_closes_the_session_and_takes_the_cookie(house: House) -> None:
    await house.send(envelope())
    browser = await house.reader(ADA)
    kept = dict(browser.client.cookies)
    answer = await browser.post("leave")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    browser.client.cookies.update(kept)
    assert (await browser.look("document")).status_code == 401


async def test_session_is_extended_by_a_script(house: House) -> None:
    await house.send(envelope())
    browser = await house.reader(ADA)
    answer = await browser.call("POST", "extend")
    assert answer.status_code == 200
    assert answer.json()["ends_at"] < answer.json()["last_at"]


async def test_attachment_is_taken_by_what_it_is(house: House) -> None:
    fields = [field(), field(type="attachment", y=100)]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    browser = await house.reader(ADA)
    own = browser.field("attachment")["id"]
    part = f"fields/{own}/attachment?name=..%2F..%2Fetc%2Fpass%E2%80%AEfdp.pdf"
    refused = await browser.call("POST", part, b"MZ" + bytes(2000), **{"if-match": "1"})
    assert (refused.status_code, refused.json()["code"]) == (422, "attachment_type")
    large = await browser.call("POST", part, pdf() + bytes(10_500_000), **{"if-match": "1"})
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    empty = await browser.call("POST", part, b"", **{"if-match": "1"})
    assert empty.status_code == 400
    taken = await browser.call("POST", part, pdf(), **{"if-match": "1"})
    assert taken.status_code == 200, taken.text
    assert (taken.json()["attachment_name"], taken.json()["is_done"]) == ("passfdp.pdf", True)
    stale = await browser.call("POST", part, pdf(), **{"if-match": "1"})
    assert stale.status_code == 412
    (entry,) = await house.ledger("field_completed")
    assert entry["details"]["attachment_sha256"] == hashlib.sha256(pdf()).hexdigest()
    text_field = browser.field("signature")["id"]
    wrong = await browser.call("POST", f"fields/{text_field}/attachment", pdf(), **{"if-match": "1"})
    assert wrong.status_code == 422


async def test_recipient_proves_who_they_are_before_anything_is_seen(house: House) -> None:
    person = signer(authentication="access_code", access_code="Blue-Heron-7")
    await house.send(envelope(recipients=[person]))
    browser = await house.browser(ADA)
    assert 'name="answer"' in browser.page
    for part in ("document", "consent", "review", "done"):
        assert (await browser.look(part)).headers["location"].endswith("/authenticate"), part
    assert (await browser.look("documents/1.pdf")).status_code in {303, 403}
    wrong = await browser.post("authenticate", {"answer": "Grey-Heron-7"})
    assert wrong.status_code == 422
    assert "That is not right" in wrong.text
    assert "2 tries left" in wrong.text
    right = await browser.post("authenticate", {"answer": "Blue-Heron-7"})
    assert right.status_code == 303, right.text
    await browser.consent()
    assert browser.field("signature")
    kinds = [one["event_type"] for one in await house.ledger()]
    assert "mfa_completed" in kinds


async def test_third_wrong_answer_shows_the_lock(house: House) -> None:
    person = signer(authentication="access_code", access_code="Blue-Heron-7")
    await house.send(envelope(recipients=[person]))
    browser = await house.browser(ADA)
    for _ in range(3):
        answer = await browser.post("authenticate", {"answer": "nonsense"})
    assert "This step is locked" in answer.text
    assert "This step is locked" in (await browser.get("authenticate")).text


async def test_mailed_code_is_sent_by_a_form_and_shown_to_nobody(house: House) -> None:
    await house.send(envelope(recipients=[signer(authentication="email_otp")]))
    browser = await house.browser(ADA)
    assert "a•••@example.com" in browser.page
    before = await house.dump()
    await browser.get("authenticate")
    assert await house.dump() == before
    sent = await browser.post("authenticate/send")
    assert sent.status_code == 303
    page = (await browser.get("authenticate")).text
    assert 'autocomplete="one-time-code"' in page
    for _ in range(4):
        answer = await browser.post("authenticate/send")
    assert answer.status_code == 429
    assert "A code was sent several times already" in answer.text


@pytest.mark.parametrize("part", ["document", "done"])
async def test_page_is_made_of_few_statements(house: House, part: str) -> None:
    await house.send(envelope())
    browser = await house.reader(ADA)
    await browser.get("document")
    if part == "done":
        await browser.sign(browser.field("signature")["id"], await browser.adopt())
        await browser.finish()
    await browser.look(part)
    databases = (house.engine.database, house.engine.hub)
    for database in databases:
        database.reset_counters()
    assert (await browser.look(part)).status_code == 200
    statements = sum(database.statements for database in databases)
    transactions = 2 * 2  # BEGIN and COMMIT of the session's clock and of the tenant's name
    assert statements - transactions <= 5


def test_every_refusal_that_a_form_can_meet_has_words_of_its_own() -> None:
    from engine.ceremony.pages.catalogue import has
    from engine.ceremony.pages_shell import error_key

    met = """consent_missing demonstration_wrong consent_needed reason_length name_missing field_email not_permitted
    delegation_refused invalid_transition method_not_asked code_wrong code_used_up answer_wrong too_many_sends
    identity_failed field_too_long field_characters field_number field_date field_option field_not_checked
    field_not_typed fields_missing intent_missing idempotency_key_missing meaning_missing font_unknown
    signature_characters signature_too_long picture_empty"""
    assert [code for code in met.split() if not has(error_key(code))] == []
    assert error_key("") == ""
