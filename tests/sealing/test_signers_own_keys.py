"""Envelopes whose signers sign with keys of their own: from the API to the papers, and what stands against it."""

import asyncio
import dataclasses
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pikepdf
import pytest
import pytest_asyncio
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from config.secret import Secret
from engine.certificates.material import Material
from engine.certificates.model import Purpose, thumbprint
from engine.certificates.store import NewCertificate, Who, revoke_certificate, store_certificate
from engine.development.authority_keys import open_authority
from engine.model import EngineStatus
from engine.sealing.job import seal_due
from engine.sealing.keys import development_folder
from engine.sealing.sign_recipients import sign_due
from normalizer.events import SYSTEM, Source, SourceKind
from tests.engine.signing.house import House, open_easy_house
from tests.gateway.bodies import envelope, field, inline, signer
from tests.sealing.papers import text_of
from tests.sealing.unanswered import Unanswered
from tests.sealing.verdicts import judge, pdfsig

ADA, BOB = "ada@example.com", "bob@example.com"
WHO = Who(SYSTEM, Source(kind=SourceKind.CLI))


@pytest_asyncio.fixture
async def house(store, redis_url: Secret, tmp_path: Path) -> AsyncIterator[House]:
    async with open_easy_house(store, redis_url, tmp_path) as made:
        yield made


def authority_of(house: House):
    return open_authority(development_folder(house.engine.settings))


async def give_certificate(house: House, address: str, name: str):
    authority = authority_of(house)
    issued = authority.issue(name)
    issuers = (authority.issuing.certificate, authority.root.certificate)
    material = Material(certificate=issued.certificate, issuers=issuers, private_key=issued.key)
    given = NewCertificate(material=material, purpose=Purpose.SIGN, user_id=address)
    return await store_certificate(house.engine, house.tenant.id, given, WHO)


def both(**changes):
    ada = [field(), field(type="text", y=100, label="Job")]
    bob = [field(x=350), field(type="text", x=350, y=100, label="Town")]
    people = [signer(fields=ada), signer(name="Bob Byte", fields=bob)]
    return envelope(recipients=people, signature_level="aes") | changes


async def sent_to_both(house: House):
    certificates = [
        await give_certificate(house, ADA, "Ada herself"),
        await give_certificate(house, BOB, "Bob himself"),
    ]
    await house.send(both())
    return certificates


async def finish_as(house: House, address: str, text: str) -> None:
    browser = await house.reader(address)
    assert (await browser.fill(browser.field("text")["id"], text)).status_code == 200
    signature = await browser.adopt(text=text)
    assert (await browser.sign(browser.field("signature")["id"], signature)).status_code == 200
    ended = await browser.finish()
    assert ended.status_code == 303, ended.text


async def make_due(house: House) -> None:
    hub = house.world.services.hub
    await hub.execute("UPDATE own_signatures SET due_at = now() WHERE state = 'waiting'")
    await hub.execute("UPDATE engine_envelopes SET seal_due_at = now() WHERE status = 'sealing'")


async def paper_of(house: House) -> bytes:
    (document,) = (await house.envelope()).documents
    return await house.engine.blobs.read(house.tenant.id, document.sealed_blob_key)


async def judged(house: House, content: bytes):
    return await asyncio.to_thread(judge, content, authority_of(house))


async def test_two_signers_with_two_certificates_leave_three_valid_signatures(house, tmp_path):
    ada, bob = await sent_to_both(house)
    assert house.made["signature_level"] == "aes"
    assert [one["feature"] for one in house.made["degraded"]] == ["signature_level aes"]
    await finish_as(house, BOB, "Bob's town")
    assert await sign_due(house.engine) == 1
    assert (await house.envelope()).status is EngineStatus.SENT
    await finish_as(house, ADA, "Ada's job")
    assert await seal_due(house.engine) == 0, "not before Ada's own key has signed"
    assert await sign_due(house.engine) == 1
    assert await seal_due(house.engine) == 1
    done = await house.envelope()
    assert done.status is EngineStatus.COMPLETED

    content = await paper_of(house)
    verdicts = await judged(house, content)
    assert len(verdicts) == 3
    assert all(one.is_good for one in verdicts), verdicts
    (tmp_path / "signed.pdf").write_bytes(content)
    seen = await asyncio.to_thread(pdfsig, tmp_path / "signed.pdf")
    assert seen.count("Signature is Valid") == 3
    assert "Bob himself" in seen
    assert "Ada herself" in seen

    entries = [one["details"] for one in await house.ledger("certificate_used")]
    own = [one for one in entries if one["purpose"] == "sign"]
    intents = [one["details"]["content_sha256"] for one in await house.ledger("intent_confirmed")]
    assert [one["content_sha256"] for one in own] == intents
    assert {one["key_location"] for one in own} == {"vault"}
    in_turn = [thumbprint(one.certificate) for one in (bob, ada)]
    assert [one["sha256"] for one in own] == in_turn, "in the order of finishing"

    certificate = await house.engine.blobs.read(house.tenant.id, done.certificate_blob_key)
    words = " ".join(text_of(certificate).split())
    for expected in ("SES, signed per signer", "the operator", "Ada herself", "Bob himself"):
        assert expected in words, expected


async def test_a_value_of_a_signer_changed_afterwards_breaks_the_signature(house):
    await sent_to_both(house)
    for address in (ADA, BOB):
        await finish_as(house, address, "As agreed")
        assert await sign_due(house.engine) == 1
    assert await seal_due(house.engine) == 1
    content = await paper_of(house)
    engine_envelope = await house.envelope()
    text = next(one for one in engine_envelope.fields if one.label == "Job")
    changed = await judged(house, with_value(content, f"Value-{text.id.hex}", "Other than agreed"))
    assert not all(one.docmdp_ok for one in changed)
    assert all(one.intact for one in changed), "only the analysis of differences sees it"


def with_value(content: bytes, name: str, value: str) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(content))
    fields = writer.root["/AcroForm"]["/Fields"]
    found = next(fields[place] for place in range(len(fields)) if str(fields[place]["/T"]) == name)
    found[generic.pdf_name("/V")] = generic.TextStringObject(value)
    writer.update_container(found)
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


async def refusal(house: House, body) -> dict:
    answer = await house.tenant.post("/envelopes", body | {"send": True})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith("The signature level that is asked for cannot be given.")
    return answer.json()


async def test_a_signer_without_a_certificate_is_named_in_the_refusal(house):
    await give_certificate(house, ADA, "Ada herself")
    refused = await refusal(house, both())
    assert "Bob Byte cannot sign with a key of their own" in refused["detail"]
    assert "Ada" not in refused["detail"]


async def test_what_nobody_signs_for_is_no_part_of_an_advanced_envelope(house):
    await give_certificate(house, ADA, "Ada herself")
    people = [signer(), signer(name="Bob Byte", role="approver", fields=[field(type="text", x=300)])]
    refused = await refusal(house, both(recipients=people))
    assert "Bob Byte has fields in contract.pdf, but no required signature field there." in refused["detail"]


@pytest.mark.parametrize(("level", "status"), [("qes", 422), ("magic", 422)])
async def test_a_level_that_nobody_can_give_is_refused_with_its_place(house, level, status):
    refused = await house.tenant.post("/envelopes", both(signature_level=level))
    assert refused.status_code in {400, status}, refused.text
    assert "/signature_level" in str(refused.json()["findings"])


async def test_a_document_that_others_signed_is_refused_for_own_keys(house):
    await sent_to_both(house)
    for address in (ADA, BOB):
        await finish_as(house, address, "As agreed")
        await sign_due(house.engine)
    await seal_due(house.engine)
    signed = inline(await paper_of(house), name="signed.pdf")
    refused = await refusal(house, both(documents=[signed]))
    assert "Others have signed signed.pdf already" in refused["detail"]


async def test_a_certificate_revoked_before_the_finish_keeps_the_envelope_and_tells_the_sender(house):
    ada, _ = await sent_to_both(house)
    await revoke_certificate(house.engine, house.tenant.id, ada.id, "lost", WHO)
    await house.world.services.hub.execute("UPDATE engine_envelopes SET sender_email = 'dms@acme.example'")
    for address in (ADA, BOB):
        await finish_as(house, address, "As agreed")
    assert await sign_due(house.engine) == 0
    assert await sign_due(house.engine) == 0, "it is not due, and Bob's does not overtake it"
    assert await seal_due(house.engine) == 0
    stays = await house.envelope()
    assert (stays.status, stays.seal_error) == (EngineStatus.SEALING, "certificate_unsuitable")
    told = "SELECT count(*) FROM engine_notices WHERE kind = 'sealing_delayed'"
    assert await house.world.services.hub.fetchval(told) == 1
    await give_certificate(house, ADA, "Ada anew")
    await make_due(house)
    assert [await sign_due(house.engine), await sign_due(house.engine)] == [1, 1]
    assert await seal_due(house.engine) == 1


async def test_finishes_at_once_are_signed_one_after_another_by_any_number_of_workers(house):
    await sent_to_both(house)
    await asyncio.gather(finish_as(house, ADA, "One"), finish_as(house, BOB, "Two"))
    made = 0
    while made < 2:
        made += sum(await asyncio.gather(*(sign_due(house.engine) for _ in range(3))))
    assert made == 2
    assert await seal_due(house.engine) == 1
    content = await paper_of(house)
    assert all(one.is_good for one in await judged(house, content))
    with pikepdf.open(io.BytesIO(content)) as pdf:
        values = {str(one.get("/V", "")) for one in pdf.Root.AcroForm.Fields if one.FT == "/Tx"}
    assert {"One", "Two"} <= values


async def test_a_voided_envelope_uses_nobodys_key(house):
    await sent_to_both(house)
    await finish_as(house, ADA, "One")
    voided = await house.tenant.post(f"/envelopes/{house.made['id']}/void", {"reason": "Changed"})
    assert voided.status_code < 300, voided.text
    assert await sign_due(house.engine) == 0
    states = await house.world.services.hub.fetch("SELECT state FROM own_signatures")
    assert [row["state"] for row in states] == ["dropped"]
    assert await house.ledger("certificate_used") == []


async def test_an_advanced_envelope_without_its_signers_signatures_is_never_sealed(house):
    await sent_to_both(house)
    for address in (ADA, BOB):
        await finish_as(house, address, "As agreed")
    await house.world.services.hub.execute("UPDATE own_signatures SET state = 'dropped'")
    assert await seal_due(house.engine) == 0
    stays = await house.envelope()
    assert (stays.status, stays.seal_error) == (EngineStatus.SEALING, "key_unavailable")


async def test_papers_whose_signature_was_noted_without_an_answer_are_kept(house):
    await sent_to_both(house)
    await finish_as(house, BOB, "Bob's town")
    lost = dataclasses.replace(house.engine, database=Unanswered(house.engine.database))
    assert await sign_due(lost) == 0
    await finish_as(house, ADA, "Ada's job")
    assert await sign_due(house.engine) == 1, "Ada's own key signs the paper that Bob's has signed"
    assert await seal_due(house.engine) == 1
    assert len(await judged(house, await paper_of(house))) == 3
