"""What the design documents ask of a ceremony, told once over HTTP from the sending to the sealed envelope, with
every designed event of the engine in the ledger.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.secret import Secret
from config.settings_signing import SigningSettings
from engine.notify.notice import Channel, Notice, NoticeKind
from engine.notify.outbox import content_place
from engine.sealing.job import seal_due
from normalizer.ids import Kind, print_id
from tests.docs.lists import DOCS
from tests.docs.tables import read_tables
from tests.engine.signing.house import AGENT, House, open_house
from tests.fixtures.store import Store
from tests.gateway.bodies import envelope, field, signer
from tests.gateway.world import API, make_settings, open_world

ADA = "ada@example.com"


@pytest.fixture
async def house(store: Store, redis_url: Secret, gateway_folder: Path) -> AsyncIterator[House]:
    """With the installation's own demand for a second method."""
    signing = SigningSettings(visits_per_minute=100_000, visits_burst=100_000)
    settings = make_settings(store, redis_url, gateway_folder, signing=signing)
    async with open_world(settings) as world, open_house(world) as made:
        yield made


async def test_every_designed_event_of_the_engine_is_recorded_by_a_use_case(house: House):
    await _signed(house)
    assert await seal_due(house.engine) == 1
    (document,) = (await house.envelope()).documents
    sealed = await house.engine.blobs.read(house.tenant.id, document.sealed_blob_key)
    report = await house.tenant.client.post(f"{API}/verify", content=sealed)
    assert report.json()["verdict"] == "development", report.text
    tenant_chain = (await house.tenant.get("/audit/events", params={"limit": 500})).json()
    recorded = {one["event_type"] for one in [*await house.ledger(), *tenant_chain["entries"]]}
    assert _designed_events() - recorded == set()


async def test_captured_signature_is_recorded_with_its_ids_type_address_agent_and_place(house: House):
    await _signed(house)
    (entry,) = await house.ledger("signature_captured")
    recipient, stored = await house.recipient(ADA), await house.envelope()
    (signature,) = stored.signatures
    actor = entry["actor"]
    assert (actor["type"], actor["id"]) == ("recipient", print_id(Kind.RECIPIENT, recipient.id))
    assert (actor["email"], actor["ip_address"], actor["user_agent"]) == (ADA, "127.0.0.1", AGENT)
    assert entry["resource_id"] == print_id(Kind.SIGNATURE, signature.id)
    assert (entry["details"]["type"], entry["details"]["sha256"]) == ("typed", signature.sha256)
    (filled,) = await house.ledger("field_completed")
    (place,) = [one for one in stored.fields if one.signature_id == signature.id]
    assert filled["resource_id"] == print_id(Kind.FIELD, place.id)
    (intent,) = await house.ledger("intent_confirmed")
    assert intent["details"]["geolocation"] == "52.5,13.4"


async def test_code_by_text_message_is_asked_of_a_signer_whose_phone_is_known(house: House):
    browser = await _asked(house)
    assert "••• ••67" in browser.page
    assert (await browser.post("authenticate/send")).status_code == 303
    notice = await _code(house)
    assert (notice.channel, notice.address, notice.values["minutes"]) == (Channel.SMS, "+491701234567", "5")
    wrong = await browser.post("authenticate", {"answer": f"{(int(notice.values['code']) + 1) % 10**6:06d}"})
    assert wrong.status_code == 422
    assert (await browser.post("authenticate", {"answer": notice.values["code"]})).status_code == 303
    sent, completed = (
        await house.ledger("sms_verification_sent"),
        await house.ledger("sms_verification_completed"),
    )
    assert (len(sent), len(completed)) == (1, 1)
    assert notice.values["code"] not in str([*sent, *completed])


async def _signed(house: House) -> None:
    browser = await _asked(house)
    await browser.post("authenticate/send")
    passed = await browser.post("authenticate", {"answer": (await _code(house)).values["code"]})
    assert passed.status_code == 303, passed.text
    await browser.consent()
    signed = await browser.sign(browser.field("signature")["id"], await browser.adopt())
    assert signed.status_code == 200, signed.text
    ended = await browser.finish(geolocation="52.5,13.4")
    assert ended.status_code == 303, ended.text


async def _asked(house: House) -> Any:
    person = signer(fields=[field()], phone={"country_code": "49", "number": "1701234567"})
    await house.send(envelope(recipients=[person]))
    return await house.browser(ADA)


async def _code(house: House) -> Notice:
    row = await house.world.services.hub.fetchrow(
        "SELECT id, content FROM engine_notices WHERE kind = $1", NoticeKind.CODE.value
    )
    assert row is not None
    place = content_place(row["id"])
    plain = await house.engine.vault.decrypt(house.engine.database, house.tenant.id, place, row["content"])
    return msgspec.json.decode(plain, type=Notice)


def _designed_events() -> set[str]:
    rows = [row for table in read_tables(DOCS / "design-coverage.md") for row in table.rows]
    found = {row[2] for row in rows if row[1] == "event" and row[3] == "2" and row[0] in {"A 5", "B 5.1"}}
    assert found
    return found
