"""A whole envelope, from the last signature to the sealed files: what they show, prove, and leave in the ledger."""

import hashlib
import io
import json
import subprocess
from pathlib import Path

import pikepdf
import pytest_asyncio

from config.secret import Secret
from engine.sealing.job import seal_due
from engine.sealing.keys import development_folder
from tests.gateway.bodies import envelope, field, signer
from tests.ledger.test_verification import tamper
from tests.sealing.papers import make_pdf, text_of
from tests.sealing.verdicts import judge

ADA = "ada@example.com"
ARABIC = "محمد العربي"


@pytest_asyncio.fixture
async def house(store, redis_url: Secret, tmp_path: Path):
    from tests.engine.signing.house import open_easy_house

    async with open_easy_house(store, redis_url, tmp_path) as made:
        yield made


async def sign_as_ada(house, **body) -> None:
    fields = [field(), field(type="text", y=100, label="Job"), field(type="date_signed", y=600)]
    await house.send(envelope(recipients=[signer(name=ARABIC, email=ADA, fields=fields)], **body))
    browser = await house.reader(ADA)
    job = await browser.fill(browser.field("text")["id"], "Countess 山")
    assert job.status_code == 200, job.text
    signed = await browser.sign(browser.field("signature")["id"], await browser.adopt(text="Ada Lovelace"))
    assert signed.status_code == 200, signed.text
    ended = await browser.finish(time_zone="Europe/Berlin")
    assert ended.status_code == 303, ended.text


async def test_an_envelope_that_everybody_signed_is_sealed_certified_and_completed(house, tmp_path):
    from engine.development.authority_keys import open_authority

    await sign_as_ada(house)
    assert await seal_due(house.engine) == 1
    assert await seal_due(house.engine) == 0

    done = await house.envelope()
    assert done.status == "completed"
    authority = open_authority(development_folder(house.engine.settings))
    (document,) = done.documents
    sealed = await house.engine.blobs.read(house.tenant.id, document.sealed_blob_key)
    (verdict,) = judge_apart(sealed, authority)
    assert verdict.is_good
    text = " ".join(text_of(sealed).split())
    assert "Countess [U+5C71]" in text
    assert "sig_" in text
    assert done.combined_sha256 == document.sealed_sha256

    certificate = await house.engine.blobs.read(house.tenant.id, done.certificate_blob_key)
    (verdict,) = judge_apart(certificate, authority)
    assert verdict.is_good
    words = " ".join(text_of(certificate).split())
    for expected in (
        "Certificate of completion",
        document.sealed_sha256,
        document.sha256,
        ARABIC,
        ADA,
        "Countess",
        "127.0.0.1",
        "Europe/Berlin",
        "consent_given",
        "page 1 of",
        done.verification_code,
        "SES, sealed",
    ):
        assert expected in words, expected
    with pikepdf.open(io.BytesIO(certificate)) as pdf:
        attached = {name: pdf.attachments[name].get_file().read_bytes() for name in pdf.attachments}
    assert set(attached) == {"completion.json", "completion.json.p7s", "chain-head.tst"}
    facts = json.loads(attached["completion.json"])
    assert facts["documents"][0]["sealed_sha256"] == document.sealed_sha256
    assert [one["value"] for one in facts["values"] if one["type"] == "text"] == ["Countess 山"]
    assert facts["recipients"][0]["consents"][0]["outcome"] == "accepted"
    assert facts["disclosures"][0]["paragraphs"]
    assert facts["chain"]["head_hash"] == facts["events"][-1]["hash"]
    assert facts["chain"]["entries_verified"] == len(facts["events"])
    previous = [one["previous_hash"] for one in facts["events"][1:]]
    assert previous == [one["hash"] for one in facts["events"][:-1]]
    _check_signature_and_token(attached, facts, authority, tmp_path)

    kinds = [one["event_type"] for one in await house.ledger()]
    assert kinds.count("document_sealed") == 1
    assert {"certificate_used", "completion_certified"} <= set(kinds)
    (entry,) = await house.ledger("document_sealed")
    assert entry["details"]["sealed_sha256"] == document.sealed_sha256
    assert entry["details"]["letters_without_font"] == 1


async def test_an_audit_chain_that_was_changed_stops_the_certificate(house, store):
    await sign_as_ada(house)
    await tamper(store, "UPDATE ledger_entries SET body = body || ' ' WHERE event_type = 'consent_given'")
    assert await seal_due(house.engine) == 0
    stays = await house.envelope()
    assert (stays.status, stays.seal_error, stays.certificate_blob_key) == ("sealing", "ledger_broken", "")


async def test_two_documents_give_two_seals_and_a_joined_copy_that_says_so(house):
    from engine.development.authority_keys import open_authority
    from tests.gateway.bodies import inline

    await sign_as_ada(house, documents=[inline(), inline(name="annex.pdf")])
    assert await seal_due(house.engine) == 1
    done = await house.envelope()
    assert len({one.sealed_sha256 for one in done.documents}) == 2
    combined = await house.engine.blobs.read(house.tenant.id, done.combined_blob_key)
    words = " ".join(text_of(combined).split())
    assert "It is a copy for reading" in words
    assert all(one.sealed_sha256 in words for one in done.documents)
    assert "Countess" in words
    (verdict,) = judge_apart(combined, open_authority(development_folder(house.engine.settings)))
    assert verdict.is_good
    assert verdict.coverage == "ENTIRE_FILE"


async def attached_and_sealed(house, name: str, content: bytes):
    """The certificate's attached files and its JSON, after a signer has added a file."""
    fields = [field(), field(type="attachment", y=100, label="Proof")]
    await house.send(envelope(recipients=[signer(name="Ada Lovelace", email=ADA, fields=fields)]))
    browser = await house.reader(ADA)
    part = f"fields/{browser.field('attachment')['id']}/attachment?name={name}"
    taken = await browser.call("POST", part, content, **{"if-match": "1"})
    assert taken.status_code in {200, 201}, taken.text
    await browser.sign(browser.field("signature")["id"], await browser.adopt(text="Ada Lovelace"))
    assert (await browser.finish()).status_code == 303
    assert await seal_due(house.engine) == 1
    done = await house.envelope()
    certificate = await house.engine.blobs.read(house.tenant.id, done.certificate_blob_key)
    with pikepdf.open(io.BytesIO(certificate)) as pdf:
        inside = {one: pdf.attachments[one].get_file().read_bytes() for one in pdf.attachments}
    return inside, json.loads(inside["completion.json"]), " ".join(text_of(certificate).split())


async def test_a_file_that_a_signer_added_is_in_the_certificate_by_hash_and_whole(house):
    content = make_pdf()
    inside, facts, words = await attached_and_sealed(house, "proof.pdf", content)
    (told,) = facts["attachments"]
    digest = hashlib.sha256(content).hexdigest()
    assert (told["name"], told["sha256"], told["size_bytes"], told["label"]) == (
        "proof.pdf",
        digest,
        len(content),
        "Proof",
    )
    assert inside[told["carried_as"]] == content
    assert digest in words


async def test_files_that_are_large_together_are_named_by_their_hash_only(house):
    large = make_pdf() + bytes(5_300_000)
    inside, facts, words = await attached_and_sealed(house, "proof.pdf", large)
    (told,) = facts["attachments"]
    assert told["carried_as"] == ""
    assert not any("proof.pdf" in name for name in inside)
    assert told["sha256"] in words


def judge_apart(pdf, authority):
    """The judge runs a loop of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(judge, pdf, authority).result()


def _check_signature_and_token(attached, facts, authority, folder: Path) -> None:
    """openssl agrees: the JSON is signed by the seal's certificate, and the token is over the chain's head."""
    for name, content in attached.items():
        (folder / name).write_bytes(content)
    roots = folder / "roots.pem"
    roots.write_bytes(
        (authority.folder / "root.pem").read_bytes() + (authority.folder / "issuing.pem").read_bytes()
    )
    signed = subprocess.run(
        ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", folder / "completion.json.p7s",
         "-content", folder / "completion.json", "-CAfile", roots, "-purpose", "any", "-out", folder / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    assert (folder / "out").read_bytes() == attached["completion.json"]
    digest = hashlib.sha256(bytes.fromhex(facts["chain"]["head_hash"])).hexdigest()
    for given, is_good in ((digest, True), ("00" * 32, False)):
        done = subprocess.run(
            ["openssl", "ts", "-verify", "-digest", given, "-token_in", "-in", folder / "chain-head.tst",
             "-CAfile", roots],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) is is_good, done.stdout + done.stderr
