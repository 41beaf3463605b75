"""What may be typed into which field."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ceremony.refusals import FieldRefused
from engine.ceremony.values import read_value
from engine.model import EngineField
from normalizer.field import FieldType
from tests.engine.signing.house import House, printed_fields
from tests.gateway.bodies import envelope, field, signer

ADA = "ada@example.com"
TYPED = [
    one
    for one in FieldType
    if one not in {FieldType.SIGNATURE, FieldType.INITIALS, FieldType.ATTACHMENT, FieldType.DATE_SIGNED}
]


def of(kind: FieldType, **given_too: Any) -> EngineField:
    own = UUID(int=1)
    return EngineField(
        id=own,
        document_id=own,
        recipient_id=own,
        type=kind,
        page=1,
        x=0,
        y=0,
        width=0.1,
        height=0.1,
        **given_too,
    )


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        (FieldType.TEXT, " one\r\ntwo ", "one\ntwo"),
        (FieldType.TEXT, "e\u0301", "é"),
        (FieldType.NUMBER, "12,5", "12.5"),
        (FieldType.NUMBER, "-0.10", "-0.10"),
        (FieldType.NUMBER, "", ""),
        (FieldType.DATE, "2024-02-29", "2024-02-29"),
        (FieldType.CHECKBOX, "on", "true"),
        (FieldType.CHECKBOX, "", ""),
        (FieldType.RADIO, "TRUE", "true"),
        (FieldType.DROPDOWN, "red", "red"),
        (FieldType.EMAIL, "ada@example.com", "ada@example.com"),
        (FieldType.COMPANY, "Acme   Ltd", "Acme Ltd"),
        (FieldType.FULL_NAME, "محمد عبد الله", "محمد عبد الله"),
    ],
)
def test_value_is_stored_in_one_form(kind: FieldType, typed: str, stored: str) -> None:
    assert read_value(of(kind, options=("red", "blue")), typed) == stored


@pytest.mark.parametrize(
    ("kind", "typed", "code"),
    [
        (FieldType.TEXT, "x" * 4001, "field_too_long"),
        (FieldType.TEXT, "a\x07b", "field_characters"),
        (FieldType.FULL_NAME, "Ada\u202eecalevoL", "field_characters"),
        (FieldType.TITLE, "x" * 201, "field_too_long"),
        (FieldType.NUMBER, "1e9", "field_number"),
        (FieldType.NUMBER, "NaN", "field_number"),
        (FieldType.NUMBER, "1,000.5", "field_number"),
        (FieldType.NUMBER, "٣", "field_number"),
        (FieldType.NUMBER, "1_000", "field_number"),
        (FieldType.NUMBER, "1" * 31, "field_too_long"),
        (FieldType.DATE, "2023-02-29", "field_date"),
        (FieldType.DATE, "29.02.2024", "field_date"),
        (FieldType.DATE, "20240229", "field_date"),
        (FieldType.CHECKBOX, "maybe", "field_not_checked"),
        (FieldType.DROPDOWN, "green", "field_option"),
        (FieldType.EMAIL, "no address", "field_email"),
        (FieldType.SIGNATURE, "Ada", "field_not_typed"),
        (FieldType.DATE_SIGNED, "2024-01-01", "field_not_typed"),
        (FieldType.ATTACHMENT, "file.pdf", "field_not_typed"),
    ],
)
def test_value_that_does_not_fit_is_refused_by_its_code(kind: FieldType, typed: str, code: str) -> None:
    with pytest.raises(FieldRefused) as refused:
        read_value(of(kind, options=("red", "blue")), typed)
    assert refused.value.code == code


@given(st.sampled_from(TYPED), st.text(max_size=300))
def test_what_was_stored_is_stored_the_same_again(kind: FieldType, typed: str) -> None:
    own = of(kind, options=("red",))
    try:
        stored = read_value(own, typed)
    except FieldRefused:
        return
    assert read_value(own, stored) == stored
    assert "\x00" not in stored


async def test_choosing_one_radio_button_empties_the_others_of_its_group(house: House) -> None:
    fields = [
        field(),
        *(field(type="radio", y=100 + 20 * number, group="size") for number in range(3)),
        field(type="radio", y=300, group="colour"),
    ]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    browser = await house.reader(ADA)
    buttons = [one for one in browser.fields() if one["type"] == "radio"]
    for button in (buttons[3], buttons[0], buttons[2]):
        assert (await browser.fill(button["id"], "true", button["version"])).status_code == 200
    await browser.get("document")
    assert [one["value"] for one in browser.fields() if one["type"] == "radio"] == ["", "", "true", "true"]
    # The first again: nobody typed in it meanwhile, so its version stands where its own change left it.
    assert (await browser.fill(buttons[0]["id"], "true", 2)).status_code == 200


async def test_field_that_the_sender_fixed_cannot_be_changed(house: House) -> None:
    fixed = field(type="text", y=100, value="fixed", read_only=True)
    await house.send(envelope(recipients=[signer(fields=[field(), fixed])]))
    browser = await house.reader(ADA)
    own = browser.field("text")
    assert (own["value"], own["read_only"]) == ("fixed", True)
    answer = await browser.fill(own["id"], "mine")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


async def test_finish_waits_for_every_required_field_and_names_those_that_lack(house: House) -> None:
    fields = [
        field(),
        field(type="text", y=100),
        field(type="text", y=120, required=False),
        field(type="radio", y=200, group="size"),
        field(type="radio", y=220, group="size"),
    ]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    browser = await house.reader(ADA)
    answer = await browser.call("POST", "finish", {"intent": True, "idempotency_key": "a-key-of-eight"})
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_missing")
    assert len(answer.json()["findings"]) == 3
    page = await browser.finish()
    assert page.status_code == 422
    assert "Required fields are still empty" in page.text
    assert (await house.recipient(ADA)).status != "completed"


async def test_finish_needs_the_intent_and_a_key(house: House) -> None:
    await house.send(envelope())
    browser = await house.reader(ADA)
    forms: tuple[tuple[dict[str, Any], str], ...] = (
        ({"idempotency_key": "a-key-of-eight"}, "intent_missing"),
        ({"intent": True}, "idempotency_key_missing"),
        ({"intent": True, "idempotency_key": "short"}, "idempotency_key_missing"),
    )
    for form, code in forms:
        answer = await browser.call("POST", "finish", form)
        assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_place_and_zone_are_kept_only_when_they_are_such(house: House) -> None:
    await house.send(envelope())
    browser = await house.reader(ADA)
    await browser.sign(browser.field("signature")["id"], await browser.adopt())
    assert (await browser.finish(geolocation="somewhere", time_zone="../../etc/passwd")).status_code == 303
    recipient = await house.recipient(ADA)
    assert (recipient.geolocation, recipient.time_zone) == ("", "")


async def test_earlier_value_stays_in_the_ledger(house: House) -> None:
    await house.send(envelope(recipients=[signer(fields=[field(), field(type="text", y=100)])]))
    browser = await house.reader(ADA)
    own = browser.field("text")["id"]
    for version, value in enumerate(("first", "second"), start=1):
        assert (await browser.fill(own, value, version)).status_code == 200
    assert (await browser.fill(own, "second", 3)).json()["version"] == 3  # the same value is no change
    entries = await house.ledger("field_completed")
    assert [one["details"]["version"] for one in entries] == [2, 3]
    assert [one["details"]["value"] for one in entries] == ["first", "second"]
    bodies = await house.world.services.hub.fetch("SELECT body FROM ledger_entries")
    assert not any(b"first" in bytes(one["body"]) for one in bodies)  # sealed: it can be erased


async def test_what_was_signed_for_can_be_checked_against_the_ledger(house: House) -> None:
    import hashlib
    import json

    await house.send(envelope(recipients=[signer(fields=[field(), field(type="text", y=100)])]))
    browser = await house.reader(ADA)
    await browser.look("documents/1.pdf")
    await browser.fill(browser.field("text")["id"], "Countess")
    await browser.sign(browser.field("signature")["id"], await browser.adopt())
    await browser.finish(geolocation="52.5,13.4")
    (entry,) = await house.ledger("intent_confirmed")
    row = await house.world.services.hub.fetchrow("SELECT content, content_sha256 FROM intents")
    assert row is not None
    assert hashlib.sha256(row["content"].encode()).hexdigest() == row["content_sha256"]
    assert entry["details"]["content_sha256"] == row["content_sha256"]
    content, stored = json.loads(row["content"]), await house.envelope()
    assert [one["sha256"] for one in content["documents"]] == [one.sha256 for one in stored.documents]
    assert content["documents"][0]["opened_at"]
    assert {one["field_id"]: one["value"] for one in content["fields"]}[
        printed_fields(stored, "text")[0]
    ] == "Countess"
    assert stored.signatures[0].sha256 in {one["signature_sha256"] for one in content["fields"]}
    assert entry["details"]["geolocation"] == "52.5,13.4"
    bodies = await house.world.services.hub.fetch("SELECT body FROM ledger_entries")
    assert not any(b"52.5" in bytes(one["body"]) or b"Countess" in bytes(one["body"]) for one in bodies)
