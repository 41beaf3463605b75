"""What a recipient can make the house keep, and what nobody can make it lose."""

from typing import Any

import asyncpg
import obstore
import pytest

from tests.engine.signing.house import House, printed_fields
from tests.gateway.bodies import envelope, field, signer

ADA = "ada@example.com"
_PDF = b"%PDF-1.7 a small file"


@pytest.fixture
async def sent(house: House) -> House:
    fields = [field(), field(type="attachment", y=300, required=False)]
    await house.send(envelope(recipients=[signer(fields=fields)]))
    return house


async def test_signature_that_is_one_too_many_leaves_nothing_behind(sent: House) -> None:
    ada = await sent.reader(ADA)
    await ada.adopt()
    await sent.world.services.hub.execute(
        "INSERT INTO signatures SELECT tenant_id, gen_random_uuid(), engine_id, recipient_id, purpose, type, blob_key,"
        " sha256, width, height, text, font, created_at FROM signatures, generate_series(1, 49)"
    )
    before = stored(sent)
    for one in (
        await ada.call("POST", "signatures", {"type": "typed", "text": "Once more"}),
        await ada.call("POST", "save", {"signature_text": "And again", "initials_text": "AL"}),
    ):
        assert (one.status_code, one.json()["code"]) == (422, "too_many_signatures")
    assert stored(sent) == before


async def test_files_for_one_field_come_only_so_often(sent: House) -> None:
    ada = await sent.reader(ADA)
    (file,) = printed_fields(await sent.envelope(), "attachment")
    for version in range(1, 11):
        assert (await attach(ada, file, version)).status_code == 200
    before = stored(sent)
    refused = await attach(ada, file, 11)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
    assert stored(sent) == before


async def test_button_that_the_sender_has_fixed_stays_chosen(house: House) -> None:
    group = {"type": "radio", "group": "price", "required": False, "width": 12, "height": 12}
    fixed = field(**group, y=100, value="true", read_only=True)
    await house.send(envelope(recipients=[signer(fields=[field(), fixed, field(**group, y=200)])]))
    ada = await house.reader(ADA)
    before = (await house.envelope()).fields
    (other,) = [one["id"] for one in ada.fields() if one["type"] == "radio" and not one["read_only"]]
    refused = await ada.fill(other, "true")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    assert (await house.envelope()).fields == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM engine_envelopes",
        "DELETE FROM engine_recipients",
        "DELETE FROM engine_documents",
        "DELETE FROM engine_fields",
        "DELETE FROM signatures",
        "DELETE FROM consents",
        "UPDATE consents SET outcome = 'accepted'",
        "UPDATE consents SET decided_at = now()",
        "UPDATE intents SET content = ''",
        "DELETE FROM ceremony_views",
        "DELETE FROM ceremony_links",
        "DELETE FROM ceremony_sessions",
    ],
)
async def test_evidence_of_a_ceremony_is_beyond_the_applications_own_rights(
    sent: House, statement: str
) -> None:
    await sent.reader(ADA)
    async with sent.engine.database.transaction(sent.tenant.id) as tx:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await tx.driver.execute(f"{statement} WHERE tenant_id = $1", sent.tenant.id)


async def attach(browser: Any, file: str, version: int) -> Any:
    return await browser.call(
        "POST", f"fields/{file}/attachment?name=a.pdf", _PDF, **{"if-match": str(version)}
    )


def stored(house: House) -> set[str]:
    """The keys of everything in the blob store."""
    objects = house.engine.blobs._objects._store
    return {one["path"] for page in obstore.list(objects) for one in page}
