"""A corrected address is another person: nothing of what the one before did counts as theirs."""

from typing import Any

import pytest

from engine.model import EngineField
from normalizer.field import FieldType
from tests.engine.signing.house import House, printed_fields
from tests.gateway.bodies import envelope, field, signer

ADA, EVE = "ada@example.com", "eve@example.com"


@pytest.fixture
async def sent(house: House) -> House:
    await house.send(envelope(recipients=[signer(fields=[field(), field(type="text", y=100)])]))
    return house


async def test_consent_of_the_person_before_is_not_the_new_persons(sent: House) -> None:
    await sent.reader(ADA)
    await correct(sent)
    eve = await sent.browser(EVE)
    assert (await eve.look("document")).headers["location"].endswith("/consent")
    assert (await eve.look("documents/1.pdf")).status_code == 404
    refused = await eve.fill(printed_fields(await sent.envelope(), "text")[0], "x", 1)
    assert refused.json()["code"] == "consent_needed"
    finish = await eve.call("POST", "finish", {"intent": True, "idempotency_key": "a-key-of-eight"})
    assert finish.json()["code"] == "consent_needed"
    await eve.consent()
    assert (await eve.look("document")).status_code == 200


async def test_signature_of_the_person_before_is_neither_shown_nor_used(sent: House) -> None:
    ada = await sent.reader(ADA)
    picture = await ada.adopt()
    await correct(sent)
    eve = await sent.reader(EVE)
    assert eve.island()["signature"] is None
    assert (await eve.look(f"signatures/{picture}.png")).status_code == 404
    refused = await eve.sign(eve.field("signature")["id"], picture, 1)
    assert refused.json()["code"] == "signature_unknown"
    await eve.post("save", {f"field_{eve.field('text')['id']}": "mine"})
    assert own(await sent.envelope(), FieldType.SIGNATURE).signature_id is None


async def test_receipt_is_not_confirmed_by_what_the_person_before_opened(house: House) -> None:
    await house.send(envelope(recipients=[signer(role="certified_delivery", fields=[])]))
    ada = await house.reader(ADA)
    assert (await ada.look("documents/1.pdf")).status_code == 200
    await correct(house)
    eve = await house.reader(EVE)
    unread = await eve.call("POST", "finish", {"intent": True, "idempotency_key": "a-key-of-eight"})
    assert unread.json()["code"] == "not_permitted"
    assert (await eve.look("documents/1.pdf")).status_code == 200
    assert (await eve.finish()).status_code == 303


async def test_certificate_names_no_consent_but_the_signers_own(sent: House) -> None:
    from engine.sealing.completion_records import consents_of, read_records

    await sent.reader(ADA)
    await correct(sent)
    await sent.reader(EVE)
    held = await sent.envelope()
    async with sent.engine.database.transaction(sent.tenant.id) as tx:
        records = await read_records(sent.engine, tx, held)
    assert len(records.consents[held.recipients[0].id]) == 2
    (consent,) = consents_of(held.recipients[0], records)
    asked_at = held.recipients[0].sent_at
    assert asked_at is not None
    assert consent.decided_at > asked_at


async def correct(house: House, **change: str) -> None:
    person = house.made["recipients"][0]["id"]
    answer = await house.tenant.post(
        f"/envelopes/{house.made['id']}/recipients/{person}/correct", change or {"email": EVE}
    )
    assert answer.status_code == 200, answer.text


def own(held: Any, kind: FieldType) -> EngineField:
    return next(one for one in held.fields if one.type is kind)
