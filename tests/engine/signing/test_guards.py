"""What the signing pages refuse, and what a look leaves alone."""

import asyncio
from typing import Any

import httpx
import pytest

from engine.ceremony.demonstration import word_of
from tests.engine.signing.house import House, open_house, printed_fields
from tests.gateway.bodies import envelope, field, inline, signer

ADA, BOB = "ada@example.com", "bob@example.com"
PAGES = ("", "authenticate", "consent", "document", "review", "decline", "delegate", "done")


@pytest.fixture
async def sent(house: House) -> House:
    fields = [field(), field(type="text", y=100)]
    await house.send(
        envelope(
            recipients=[
                signer(fields=fields),
                signer("Bob Second", fields=[field(y=300), field(type="text")]),
            ]
        )
    )
    return house


async def test_looking_at_every_page_changes_nothing(sent: House) -> None:
    link = await sent.link(ADA)
    before = await sent.dump()
    client = sent.world.client(**{"user-agent": "mail scanner"})
    for method in ("GET", "HEAD", "GET"):
        assert (await client.request(method, link)).status_code == 200
    assert await sent.dump() == before
    browser = await sent.reader(ADA)
    before = await sent.dump()
    for part in (*PAGES, "documents/1.pdf", "documents/1/text", "consent/sample.pdf"):
        answer = await browser.look(part)
        assert answer.status_code in {200, 303}, (part, answer.text)
        assert (await browser.client.head(f"{browser.base}/{part}")).status_code in {200, 303}
    assert await sent.dump() == before


async def test_a_head_request_is_answered_without_a_body_and_leaves_no_evidence(sent: House) -> None:
    browser = await sent.reader(ADA)
    answer = await browser.client.head(f"{browser.base}/documents/1.pdf")
    assert (answer.status_code, answer.content) == (200, b"")
    answer = await browser.client.head(f"{browser.base}/download/document-1")
    assert answer.status_code == 200
    seen = await sent.world.services.hub.fetch("SELECT * FROM ceremony_views WHERE kind = 'document'")
    assert seen == []
    assert await sent.ledger("document_downloaded") == []


async def test_every_answer_is_private_and_runs_nothing_but_its_own_files(sent: House) -> None:
    link = await sent.link(ADA)
    client = sent.world.client(**{"user-agent": "F"})
    browser = await sent.reader(ADA)
    answers = [await client.get(link), await client.get("/sign/nonsense"), await client.get("/sign/s/none")]
    answers += [await browser.look(part) for part in PAGES]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"].startswith("noindex")
        assert answer.headers["x-content-type-options"] == "nosniff"
        if "text/html" in answer.headers["content-type"]:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-frame-options"] == "DENY"


async def test_bad_links_look_the_same_whatever_is_wrong_with_them(sent: House) -> None:
    old = await sent.link(ADA)
    await sent.link(ADA)  # the old one is revoked by it
    client = sent.world.client(**{"user-agent": "F"})
    answers = [await client.get(path) for path in (old, "/sign/never-was", "/sign/" + "x" * 300)]
    answers += [await client.post(old)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1


async def test_cookie_cannot_be_read_by_scripts_and_the_address_holds_no_token(sent: House) -> None:
    link = await sent.link(ADA)
    answer = await sent.world.client(**{"user-agent": "F"}).post(link)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert link.rpartition("/")[2] not in answer.headers["location"] + cookie


async def test_session_of_another_browser_opens_nothing(sent: House) -> None:
    browser = await sent.reader(ADA)
    cookies = dict(browser.client.cookies)
    other = sent.world.client(**{"user-agent": "Another/1"})
    other.cookies.update(cookies)
    assert (await other.get(f"{browser.base}/document")).status_code == 401
    assert (await sent.world.client(**{"user-agent": "F"}).get(f"{browser.base}/document")).status_code == 401


async def test_change_that_another_site_sends_is_refused(sent: House) -> None:
    browser = await sent.reader(ADA)
    own = browser.field("text")
    before = await sent.dump()
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
    ):
        for part in ("save", "finish", "decline", "consent/withdraw", "leave"):
            answer = await browser.post(part, {"reason": "Not for me", "intent": "yes"}, headers=headers)
            assert answer.status_code == 403, part
        put = await browser.call("PUT", f"fields/{own['id']}", {"value": "x"}, **headers)
        assert put.status_code == 403
    assert await sent.dump() == before


async def test_change_without_the_sessions_token_is_refused(sent: House) -> None:
    browser = await sent.reader(ADA)
    own = browser.field("text")["id"]
    for token in ("", "nonsense", "é" * 43):
        browser.csrf = token
        answer = await browser.post("decline", {"reason": "Not for me"})
        assert answer.status_code == 403
        problem = await browser.client.put(
            f"{browser.base}/fields/{own}", json={"value": "x"}, headers={"if-match": "1"}
        )
        assert (problem.status_code, problem.json()["code"]) == (403, "csrf_refused")
    assert (await sent.envelope()).status == "sent"


async def test_token_of_another_session_is_refused(sent: House) -> None:
    first, second = await sent.reader(ADA), await sent.reader(BOB)
    first.csrf = second.csrf
    assert (await first.post("decline", {"reason": "Not for me"})).status_code == 403


async def test_form_from_a_page_under_no_referrer_passes_with_its_null_origin(sent: House) -> None:
    browser = await sent.browser(ADA)
    word = word_of(sent.engine, browser.handle)
    answer = await browser.post(
        "consent",
        {"agree": "yes", "demonstration": word},
        headers={"origin": "null", "sec-fetch-site": "same-origin"},
    )
    assert answer.status_code == 303


async def test_field_of_another_recipient_is_not_there(sent: House) -> None:
    browser = await sent.reader(ADA)
    bobs = next(
        one
        for one in printed_fields(await sent.envelope(), "text")
        if one not in {own["id"] for own in browser.fields()}
    )
    answer = await browser.fill(bobs, "mine now")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    form = await browser.post("save", {f"field_{bobs}": "mine now", "then": "stay"})
    assert form.status_code == 404
    assert [one.value for one in (await sent.envelope()).fields if one.type.value == "text"] == ["", ""]


async def test_field_and_signature_of_another_tenant_are_not_there(sent: House) -> None:
    async with open_house(sent.world, "Neighbour") as other:
        await other.send(envelope(recipients=[signer(fields=[field(), field(type="text", y=100)])]))
        theirs = await other.reader(ADA)
        browser = await sent.reader(ADA)
        foreign = theirs.field("text")["id"]
        assert (await browser.fill(foreign, "x")).status_code == 404
        picture = await theirs.adopt()
        own = browser.field("signature")["id"]
        answer = await browser.sign(own, picture)
        assert (answer.status_code, answer.json()["code"]) == (422, "signature_unknown")
        assert (await browser.look(f"signatures/{picture}.png")).status_code == 404
        browser.base = theirs.base
        assert (await browser.look("document")).status_code == 401


async def test_anothers_signature_cannot_be_used_or_seen(sent: House) -> None:
    bob = await sent.reader(BOB)
    picture = await bob.adopt(text="Bob Second")
    ada = await sent.reader(ADA)
    assert (await ada.sign(ada.field("signature")["id"], picture)).json()["code"] == "signature_unknown"
    assert (await ada.look(f"signatures/{picture}.png")).status_code == 404


async def test_whoever_is_not_asked_yet_waits(house: House) -> None:
    people = [signer(), signer("Bob Second", routing_order=2)]
    await house.send(envelope(recipients=people))
    bob = await house.browser(BOB)
    assert "It is not your turn yet" in bob.page
    before = await house.dump()
    own = printed_fields(await house.envelope(), "signature")[1]
    answers = [
        await bob.fill(own, "x"),
        await bob.call("POST", "signatures", {"type": "typed", "text": "Bob"}),
        await bob.post("finish", {"intent": "yes", "idempotency_key": "a-key-of-eight"}),
        await bob.post("decline", {"reason": "Not for me"}),
        await bob.post("delegate", {"name": "Cy", "email": "cy@example.com", "reason": "On leave"}),
    ]
    assert {answer.status_code for answer in answers} == {409}
    assert (await bob.look("documents/1.pdf")).status_code == 200
    after = await house.dump()
    after.pop("ceremony_sessions"), before.pop("ceremony_sessions")
    assert after == before


async def test_nothing_is_shown_or_changed_before_consent(sent: House) -> None:
    browser = await sent.browser(ADA)
    own = printed_fields(await sent.envelope(), "text")[0]
    assert (await browser.look("document")).headers["location"].endswith("/consent")
    assert (await browser.look("documents/1.pdf")).status_code == 404
    assert (await browser.look("download/document-1")).status_code == 404
    answers = [
        await browser.fill(own, "x"),
        await browser.call("POST", "signatures", {"type": "typed", "text": "Ada"}),
    ]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(403, "consent_needed")}
    finish = await browser.call("POST", "finish", {"intent": True, "idempotency_key": "a-key-of-eight"})
    assert finish.json()["code"] == "consent_needed"


async def test_address_that_comes_too_often_waits(house: House) -> None:
    from dataclasses import replace

    from config.settings_signing import SigningSettings
    from tests.gateway.world import World, replace_settings

    await house.send(envelope())
    services = replace_settings(
        house.world.services, signing=SigningSettings(visits_per_minute=3, visits_burst=3)
    )
    services = replace(services, engine=replace(services.engine, settings=services.settings))
    async with World(services) as busy:
        client = busy.client(**{"user-agent": "F"})
        path = await house.link(ADA)
        answers = [await client.get(path) for _ in range(6)]
    refused = [one for one in answers if one.status_code == 429]
    assert refused
    assert int(refused[0].headers["retry-after"]) >= 1
    assert "A little too fast" in refused[0].text


async def test_body_that_is_no_form_is_refused_in_its_own_way(sent: House) -> None:
    browser = await sent.reader(ADA)
    form = "application/x-www-form-urlencoded"
    for content, media_type, status in (
        (b"a=%FF", form, 400),
        (b"a=%00", form, 400),
        (b"&".join(b"a%d=1" % number for number in range(6000)), form, 400),
        (b"<x/>", "text/xml", 415),
        (b"[1]", "application/json", 400),
        (b"x" * 2_000_000, form, 413),
    ):
        answer = await browser.client.post(
            f"{browser.base}/decline",
            content=content,
            headers={"content-type": media_type, "x-csrf-token": browser.csrf},
        )
        assert answer.status_code == status, answer.text


async def test_no_token_or_secret_stands_in_a_log(sent: House, caplog: Any) -> None:
    caplog.set_level("DEBUG")
    link = await sent.link(ADA)
    client = sent.world.client(**{"user-agent": "F"})
    await client.get(link)
    answer = await client.post(link)
    secret = answer.headers["set-cookie"].split("=", 1)[1].split(";")[0]
    written = "\n".join(str(record.__dict__) for record in caplog.records if "httpx" not in record.name)
    assert link.rpartition("/")[2] not in written
    assert secret not in written


async def test_documents_come_in_ranges_and_under_harmless_names(house: House) -> None:
    await house.send(envelope(documents=[inline(name='Vertrag "ä"\u202etxt.pdf')]))
    browser = await house.reader(ADA)
    whole = await browser.look("documents/1.pdf")
    assert whole.headers["content-disposition"].startswith("inline;")
    assert "\u202e" not in whole.headers["content-disposition"]
    assert "sandbox" in whole.headers["content-security-policy"]
    part = await browser.look("documents/1.pdf", headers={"range": "bytes=5-20"})
    assert (part.status_code, part.content) == (206, whole.content[5:21])
    assert part.headers["content-range"] == f"bytes 5-20/{len(whole.content)}"
    tail = await browser.look("documents/1.pdf", headers={"range": "bytes=-7"})
    assert tail.content == whole.content[-7:]
    odd = await browser.look("documents/1.pdf", headers={"range": "bytes=99999999-"})
    assert (odd.status_code, len(odd.content)) == (200, len(whole.content))


async def _together(*requests: Any) -> list[httpx.Response]:
    return await asyncio.gather(*requests)


async def test_two_tabs_sign_one_field_once(sent: House) -> None:
    first = await sent.reader(ADA)
    second = await sent.browser(ADA)
    await second.get("document")
    own = first.field("signature")["id"]
    picture = await first.adopt()
    answers = await _together(first.sign(own, picture), second.sign(own, picture))
    assert sorted(one.status_code for one in answers) == [200, 409]
    refused = next(one for one in answers if one.status_code == 409).json()
    assert (refused["code"], refused["detail"]) == ("field_already_signed", "Field already signed.")
    events = await sent.ledger("field_completed")
    assert len(events) == 1


async def test_two_tabs_type_in_one_field_and_the_second_finds_out(sent: House) -> None:
    first, second = await sent.reader(ADA), await sent.browser(ADA)
    await second.get("document")
    own = first.field("text")["id"]
    answers = await _together(first.fill(own, "one"), second.fill(own, "two"))
    assert sorted(one.status_code for one in answers) == [200, 412]
    assert (await second.fill(own, "three", version=2)).status_code == 200
    missing = await second.call("PUT", f"fields/{own}", {"value": "four"})
    assert (missing.status_code, missing.json()["code"]) == (428, "if_match_missing")


async def test_two_recipients_finish_at_the_same_moment(sent: House) -> None:
    ada, bob = await sent.reader(ADA), await sent.reader(BOB)
    for browser, name in ((ada, "Ada Lovelace"), (bob, "Bob Second")):
        picture = await browser.adopt(text=name)
        assert (await browser.sign(browser.field("signature")["id"], picture)).status_code == 200
        assert (await browser.fill(browser.field("text")["id"], name)).status_code == 200
    answers = await _together(ada.finish("key-of-ada-1"), bob.finish("key-of-bob-1"))
    assert [one.status_code for one in answers] == [303, 303]
    after = await sent.envelope()
    assert after.status == "sealing"
    assert {one.status.value for one in after.recipients} == {"completed"}
    assert len(await sent.ledger("intent_confirmed")) == 2


async def test_finish_that_is_sent_twice_is_done_once(sent: House) -> None:
    browser = await sent.reader(ADA)
    await browser.sign(browser.field("signature")["id"], await browser.adopt())
    await browser.fill(browser.field("text")["id"], "x")
    answers = await _together(*(browser.finish("one-key-for-all") for _ in range(4)))
    assert {one.status_code for one in answers} == {303}
    assert (await browser.finish("one-key-for-all")).status_code == 303
    assert (await browser.finish("quite-another-key")).status_code == 409
    assert len(await sent.ledger("intent_confirmed")) == 1
    assert (await browser.fill(printed_fields(await sent.envelope(), "text")[0], "y", 2)).status_code == 409


async def test_withdrawn_envelope_ends_the_session(sent: House) -> None:
    browser = await sent.reader(ADA)
    own = browser.field("text")["id"]
    answer = await sent.tenant.post(f"/envelopes/{sent.made['id']}/void", {"reason": "Wrong price"})
    assert answer.status_code == 200, answer.text
    refused = await browser.fill(own, "too late")
    assert refused.status_code in {401, 409}
    assert (await sent.envelope()).fields[0].value == ""
