"""The demo's own checks can fail: forged webhooks, altered files, and a story that ends otherwise."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from gateway.cli.demo import recheck
from gateway.cli.demo.receiver import Receiver, verify_by_standard
from gateway.cli.demo.report import EnvelopeReport, Report, SealReport, judge
from webhooks.outbound.sign import KeyRing, SignatureProfile, SigningKeys, make_secret, sign, standard_form

BODY = b'{"id":"evt_1","type":"envelope.completed","sequence":4,"data":{"envelope":{"id":"env_1"}}}'


def signed(secret, body: bytes = BODY, type_: str = "envelope.completed") -> dict[str, str]:
    ring = KeyRing(SigningKeys(secret))
    return sign(ring, SignatureProfile.BOTH, message="evt_1", type_=type_, body=body, now=datetime.now(UTC))


async def test_the_receiver_takes_what_is_signed_and_refuses_every_forgery():
    secret, other = make_secret(), make_secret()
    good = signed(secret)
    forgeries = [
        (signed(other), BODY),
        (good, BODY + b" "),
        ({name: value for name, value in good.items() if not name.startswith("X-")}, BODY),
        ({name: value for name, value in good.items() if not name.startswith("webhook")}, BODY),
        (good | {"X-Signature-Event": "envelope.voided"}, BODY),
        (good | {"X-Signature-Timestamp": "1"}, BODY),
        (good | {"webhook-timestamp": "1"}, BODY),
    ]
    async with Receiver() as receiver, httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(receiver.url, content=BODY, headers=good)).status_code == 503
        receiver.trust(secret.reveal(), standard_form(secret).reveal())
        assert (await client.post(receiver.url, content=BODY, headers=good)).status_code == 204
        for headers, body in forgeries:
            assert (await client.post(receiver.url, content=body, headers=headers)).status_code == 401
    taken, *refused = receiver.received
    assert (taken.by_standard, taken.by_design, taken.problems, taken.envelope_id) == (
        True,
        True,
        (),
        "env_1",
    )
    assert all(one.problems for one in refused)
    assert [one.sequence for one in receiver.of("env_1")] == sorted(
        one.sequence for one in receiver.of("env_1")
    )


def test_the_written_out_standard_rule_agrees_with_the_package():
    secret = make_secret()
    headers = signed(secret)
    verify_by_standard(BODY, headers, secret.reveal())
    with pytest.raises(ValueError, match="does not fit"):
        verify_by_standard(BODY + b" ", headers, secret.reveal())


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def seal(**changes) -> SealReport:
    signature = {
        "signer": "the seal",
        "signature_valid": True,
        "certificate_valid": True,
        "timestamp_valid": True,
        "summary": "",
    }
    good = SealReport(
        file="signed.pdf",
        sha256="",
        verdict="development",
        summary="",
        signatures=[signature],
        matches_stored=True,
        verdict_apart="development",
    )
    return msgspec.structs.replace(good, **changes)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A report and its files, as the demo saves them."""
    (tmp_path / "input.pdf").write_bytes(b"%PDF-1.7 input")
    (tmp_path / "signed.pdf").write_bytes(b"%PDF-1.7 signed")
    (tmp_path / "chain.jsonl").write_text('{"kind":"entry"}\n{"kind":"head","seq":3,"hash":"ab"}\n')
    report = Report(
        envelopes=[
            EnvelopeReport(
                id="env_1",
                provider="docusign",
                status="completed",
                input_sha256=hashlib.sha256(b"%PDF-1.7 input").hexdigest(),
                signed_pdf=str(tmp_path / "signed.pdf"),
                signed_sha256=hashlib.sha256(b"%PDF-1.7 signed").hexdigest(),
                ledger_head="ab",
                ledger_sequence=3,
                ledger_file=str(tmp_path / "chain.jsonl"),
                sealed=[seal(file=str(tmp_path / "signed.pdf"), sha256=sha256(b"%PDF-1.7 signed"))],
            )
        ]
    )
    (tmp_path / "report.json").write_bytes(msgspec.json.encode(report))
    return tmp_path


@pytest.mark.parametrize("altered", [b"%PDF-1.7 other", b""])
def test_recheck_finds_an_altered_certificate(saved, altered):
    report = json.loads((saved / "report.json").read_text())
    certificate = saved / "certificate.pdf"
    certificate.write_bytes(b"%PDF-1.7 certificate")
    report["envelopes"][0]["sealed"] += [
        {"file": str(certificate), "sha256": sha256(b"%PDF-1.7 certificate")}
    ]
    (saved / "report.json").write_text(json.dumps(report))
    assert recheck_apart(saved).returncode == 0
    certificate.write_bytes(altered)
    ended = recheck_apart(saved)
    assert (ended.returncode, "a sealed file is not the one" in ended.stdout) == (1, True)


def recheck_apart(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-I", recheck.__file__, str(folder / "report.json")]
    return subprocess.run(command, capture_output=True, check=False, text=True)


def test_recheck_agrees_with_files_as_reported(saved):
    assert (recheck_apart(saved).returncode, recheck_apart(saved).stdout) == (
        0,
        "every hash and head is as reported\n",
    )


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("signed.pdf", b"%PDF-1.7 other", "the signed PDF is not the one that was reported"),
        ("signed.pdf", b"no PDF", "the signed document is no PDF"),
        ("input.pdf", b"%PDF-1.7 other", "the document that was sent is not input.pdf"),
        ("input.pdf", b"%PDF-1.7 signed", "the signed PDF is the unsigned one"),
        ("chain.jsonl", b'{"kind":"head","seq":4,"hash":"ab"}\n', "the ledger's head is not"),
        ("chain.jsonl", b'{"kind":"entry","seq":3,"hash":"ab"}\n', "the ledger's head is not"),
    ],
)
def test_recheck_finds_every_altered_file(saved, file, content, told):
    (saved / file).write_bytes(content)
    ended = recheck_apart(saved)
    assert ended.returncode == 1
    assert told in ended.stdout


def test_recheck_of_a_report_without_envelopes_is_no_agreement(saved):
    (saved / "report.json").write_text(json.dumps({"envelopes": []}))
    assert recheck_apart(saved).returncode == 1


def good_report() -> Report:
    envelopes = [
        EnvelopeReport(id=name, provider=provider, status="completed", input_sha256="", ledger_verified=True)
        for name, provider in (
            ("1", "docusign"),
            ("2", "docusign"),
            ("3", "adobe_sign"),
            ("4", "internal"),
        )
    ]
    envelopes[-1].sealed = [seal(), seal()]
    counted = {"sent": 9, "verified_standard": 9, "verified_seed": 9, "standard_library": "x"}
    return Report(envelopes=envelopes, deliveries=counted, tenant_ledger={"ledger_verified": True})


def test_a_report_is_ok_only_when_everything_is():
    assert judge(good_report()) == ""
    for spoil in (
        lambda report: report.envelopes.pop(),
        lambda report: setattr(report.envelopes[0], "status", "sent"),
        lambda report: setattr(report.envelopes[1], "ledger_verified", False),
        lambda report: setattr(report.envelopes[1], "provider", "adobe_sign"),
        lambda report: report.deliveries.update(verified_seed=8),
        lambda report: report.deliveries.update(sent=0, verified_standard=0, verified_seed=0),
        lambda report: report.tenant_ledger.update(ledger_verified=False),
        lambda report: report.envelopes[-1].sealed.pop(),
        lambda report: report.envelopes[-1].sealed[0].signatures.clear(),
        lambda report: report.envelopes[-1].sealed[1].signatures[0].update(signature_valid=False),
        lambda report: report.envelopes[-1].sealed[1].signatures[0].update(certificate_valid=False),
        lambda report: report.envelopes[-1].sealed[1].signatures[0].update(timestamp_valid=None),
    ):
        report = good_report()
        spoil(report)
        assert judge(report) != ""


@pytest.mark.parametrize(
    "changes",
    [
        {"matches_stored": False},
        {"verdict": "valid"},
        {"verdict": "untrusted"},
        {"verdict_apart": "altered"},
        {"verdict_apart": "valid"},
    ],
)
def test_a_report_with_a_doubtful_seal_is_not_ok(changes):
    report = good_report()
    report.envelopes[-1].sealed[0] = seal(**changes)
    assert judge(report) != ""
