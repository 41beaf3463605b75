"""A request that began in time and ends too late: what is true when it is written counts, not when it was sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest

from engine.ceremony.consent import give_consent, refuse_consent, withdraw_consent
from engine.ceremony.decline import decline
from engine.ceremony.demonstration import word_of
from engine.ceremony.disclosure import compose_disclosure
from engine.ceremony.fields import save_value
from engine.ceremony.finish import Finish, finish_recipient
from engine.ceremony.refusals import AuthenticationNeeded
from engine.ceremony.sessions import Session, find_session
from engine.envelopes.visitor import Visitor
from normalizer.status import RecipientStatus
from tests.engine.signing.house import AGENT, Browser, House, printed_fields
from tests.gateway.bodies import envelope, field, signer

ADA = "ada@example.com"
FORM = "application/x-www-form-urlencoded"
Meanwhile = Callable[[], Awaitable[object]]


@pytest.fixture
async def sent(house: House) -> House:
    fields = [field(), field(type="text", y=100), field(type="attachment", y=300, required=False)]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    return house


async def test_change_whose_session_ends_while_it_is_sent_is_not_made(sent: House) -> None:
    ada = await sent.reader(ADA)
    picture = await ada.adopt()
    before = await sent.envelope()
    for number in range(len(await changes(sent, ada, picture))):
        browser = await sent.browser(ADA)
        method, part, body = (await changes(sent, browser, picture))[number]
        answer = await held(browser, method, part, body, lambda: correct_name(sent))
        assert (answer.status_code, answer.json()["code"]) == (401, "session_over"), part
    after = await sent.envelope()
    assert (after.fields, after.signatures, after.status) == (
        before.fields,
        before.signatures,
        before.status,
    )
    assert after.recipients[0].status is RecipientStatus.DELIVERED
    assert len(after.recipients) == 1
    (consent,) = await sent.world.services.hub.fetch("SELECT outcome, withdrawn_at FROM consents")
    assert (consent["outcome"], consent["withdrawn_at"]) == ("accepted", None)


async def test_form_of_a_session_that_was_left_meanwhile_leads_to_the_page_that_says_so(sent: House) -> None:
    ada = await sent.reader(ADA)
    form = urlencode({"csrf": ada.csrf, "reason": "Not for me"}).encode()

    async def leave() -> None:
        assert (await ada.post("leave")).status_code == 200

    cookies = dict(ada.client.cookies)
    answer = await held(ada, "POST", "decline", form, leave, accept="text/html", cookie=_cookie(cookies))
    assert answer.status_code == 401
    assert "Your session has ended" in answer.text
    assert (await sent.envelope()).status == "sent"


async def test_nobody_acts_after_the_deadline_however_late_the_sweep_is(sent: House) -> None:
    ada = await sent.reader(ADA)
    picture = await ada.adopt()
    await ada.sign(ada.field("signature")["id"], picture)
    await ada.fill(ada.field("text")["id"], "x")
    await sent.world.services.hub.execute(
        "UPDATE engine_envelopes SET expires_at = $1", sent.engine.clock.now() - timedelta(seconds=1)
    )
    for method, part, body in await changes(sent, ada, picture):
        if part == "consent/withdraw":
            continue
        version = "2" if part.startswith("fields/") and "attachment" not in part else "1"
        answer = await held(ada, method, part, body, _nothing, **{"if-match": version})
        assert (answer.status_code, answer.json()["code"]) == (409, "invalid_transition"), part
    assert (await sent.envelope()).recipients[0].status is RecipientStatus.DELIVERED
    assert (await ada.post("consent/withdraw")).status_code == 303


async def test_what_is_still_to_be_proved_is_asked_where_it_is_written(house: House) -> None:
    await house.send(
        envelope(
            recipients=[signer(access_code="let me in please", fields=[field(), field(type="text", y=100)])]
        )
    )
    browser = await house.browser(ADA)
    session = await session_of(browser)
    engine, visitor = house.engine, Visitor(ip_address="", user_agent=AGENT)
    words = compose_disclosure("en", "House", "")
    text = next(one.id for one in (await house.envelope()).fields if one.type.value == "text")
    wanted = Finish(intent=True, idempotency_key="a-key-of-eight")
    before = await house.dump()
    for trying in (
        give_consent(engine, session, visitor, words, agreed=True, typed=word_of(engine, browser.handle)),
        refuse_consent(engine, session, visitor, words),
        withdraw_consent(engine, session, visitor),
        save_value(engine, session, visitor, text, "x", version=1),
        finish_recipient(engine, session, visitor, wanted),
        decline(engine, session, visitor, "Not for me"),
    ):
        with pytest.raises(AuthenticationNeeded):
            await trying
    assert await house.dump() == before


async def changes(house: House, browser: Browser, picture: str) -> list[tuple[str, str, bytes]]:
    """Every change that a reader can send: method, address, body."""
    kept = await house.envelope()
    text, place, file = (printed_fields(kept, kind)[0] for kind in ("text", "signature", "attachment"))
    person = {"name": "Cy", "email": "cy@example.com", "reason": "On leave"}
    word = word_of(house.engine, browser.handle)
    return [
        ("PUT", f"fields/{text}", _json({"value": "late"})),
        ("PUT", f"fields/{place}/signature", _json({"signature_id": picture})),
        ("POST", f"fields/{file}/attachment?name=a.pdf", b"%PDF-1.7 late"),
        ("POST", "signatures", _json({"type": "typed", "text": "Late"})),
        ("POST", "save", _json({f"field_{text}": "late", "signature_text": "Late"})),
        ("POST", "finish", _json({"intent": True, "idempotency_key": "a-key-of-eight"})),
        ("POST", "consent", _json({"agree": "yes", "demonstration": word})),
        ("POST", "consent/refuse", b"{}"),
        ("POST", "consent/withdraw", b"{}"),
        ("POST", "delegate", _json(person)),
        ("POST", "decline", _json({"reason": "Not for me"})),
    ]


async def held(
    browser: Browser, method: str, part: str, body: bytes, meanwhile: Meanwhile, **headers: str
) -> httpx.Response:
    """The body's last byte comes after `meanwhile`."""

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:-1]
        await meanwhile()
        yield body[-1:]

    page_or_script = {"content-type": FORM} if "accept" in headers else {"x-csrf-token": browser.csrf}
    given = {"accept": "application/json", "content-type": "application/json", "if-match": "1"}
    return await browser.client.request(
        method, f"{browser.base}/{part}", content=slowly(), headers=given | page_or_script | headers
    )


async def session_of(browser: Browser) -> Session:
    (secret,) = [value for name, value in browser.client.cookies.items() if browser.handle in name]
    visitor = Visitor(ip_address="127.0.0.1", user_agent=AGENT)
    session = await find_session(browser.house.engine, browser.handle, secret, visitor)
    assert session is not None
    return session


async def correct_name(house: House) -> None:
    person = house.made["recipients"][0]["id"]
    path = f"/envelopes/{house.made['id']}/recipients/{person}/correct"
    answer = await house.tenant.post(path, {"name": "Ada King"})
    assert answer.status_code == 200, answer.text


async def _nothing() -> None:
    """Nothing happens meanwhile."""


def _json(body: Any) -> bytes:
    return msgspec.json.encode(body)


def _cookie(cookies: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())
