"""The demo in a process of its own; every hash that it reports is computed again here."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pikepdf
import pypdfium2
import pytest
from pyhanko.keys import load_certs_from_pemder
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from gateway.cli.demo import browser
from gateway.cli.sample import last_page_place, write_sample
from tests.config.test_embedded import processes_naming
from tests.gateway.cli.command import clean_environ

PROVIDERS = ["docusign", "docusign", "adobe_sign", "internal"]
# Where no Chromium is, the demo itself goes by forms; this test then shows that alone.
CHROMIUM = next(filter(None, map(shutil.which, browser.PROGRAMS)), None)
VERIFIER = Path(__file__).parents[2] / "ledger" / "verify.py"


DESIGN_KEYS = (
    "signer",
    "signature_valid",
    "certificate_valid",
    "revocation_status",
    "timestamp_valid",
    "signing_time",
    "reason",
    "location",
)


def run_demo(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "demo", *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=200,
        cwd=folder,
        env=clean_environ() | {"TMPDIR": str(folder)} | environ,
    )


def broken_chromium(folder: Path) -> Path:
    programs = folder / "programs"
    programs.mkdir()
    program = programs / browser.PROGRAMS[0]
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    return programs


def sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def verify_apart(file: str, *arguments: str) -> Any:
    ended = subprocess.run(
        [sys.executable, "-I", str(VERIFIER), file, *arguments], capture_output=True, check=False, text=True
    )
    return json.loads(ended.stdout)


@pytest.mark.timeout(240)
def test_demo_completes_at_three_providers_and_its_proofs_hold(tmp_path: Path) -> None:
    # Settings of the machine's own installation, even wrong ones, are put aside.
    ended = run_demo(
        tmp_path, "--json", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x", COUNTERSIGN_MODE="production"
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
    assert ended.stdout.count("\n") == 1
    report = json.loads(ended.stdout)
    assert (report["ok"], report["problem"]) == (True, "")
    folder = Path(report["folder"])
    sent = sha256(folder / "input.pdf")
    assert [one["provider"] for one in report["envelopes"]] == PROVIDERS
    for one in report["envelopes"]:
        assert (one["status"], one["ledger_verified"], one["input_sha256"]) == ("completed", True, sent)
        assert sha256(one["signed_pdf"]) == one["signed_sha256"] != sent
        for name in ("signed_pdf", "certificate_pdf"):
            with pikepdf.open(one[name]) as pdf:
                assert len(pdf.pages) >= 1
        head = f"{one['ledger_sequence']}:{one['ledger_head']}"
        chain = json.loads(Path(one["ledger_file"]).read_text().splitlines()[0])["chain_id"]
        assert verify_apart(one["ledger_file"], "--chain", chain, "--head", head) == {
            "valid": True,
            "events_verified": len(one["events"]),
            "violations": [],
        }
        assert one["events"][0] == "envelope_created"
        assert "envelope_completed" in one["events"]
    counted = report["deliveries"]
    assert counted["sent"] == counted["verified_standard"] == counted["verified_seed"] > 10
    assert counted["standard_library"].startswith("standardwebhooks ")
    switch = report["switch"]
    assert (switch["from"], switch["to"]) == ("docusign", "adobe_sign")
    assert sum(switch["in_flight"].values()) == 1
    assert switch["open_envelope"] == report["envelopes"][1]["id"]
    assert [(one["from"], one["to"]) for one in report["switches"]] == [
        ("docusign", "adobe_sign"),
        ("adobe_sign", "internal"),
    ]
    assert report["switches"][1]["open_envelope"] == report["envelopes"][2]["id"]
    assert [one["signed_by"] for one in report["envelopes"]] == [
        *["sandbox"] * 3,
        "browser" if CHROMIUM else "http",
    ], report["no_browser"]
    assert (report["no_browser"] == "") is (CHROMIUM is not None)
    assert len(list(folder.glob("ceremony-*.png"))) == (2 if CHROMIUM else 0)
    check_seals(report["envelopes"][3], folder)
    assert report["tenant_ledger"]["ledger_verified"] is True
    assert verify_apart(report["tenant_ledger"]["ledger_file"])["valid"] is True
    assert report["seconds"] > 0
    assert json.loads((folder / "report.json").read_text())["ok"] is True
    # Nothing stays: no process, no temporary folder.
    assert processes_naming(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [".countersign"]


def check_seals(envelope: dict[str, Any], folder: Path) -> None:
    """The verdict in words and keys, and that pyHanko finds the same with the root that was left."""
    assert [one["file"] for one in envelope["sealed"]] == [
        envelope["signed_pdf"],
        envelope["certificate_pdf"],
    ]
    roots = list(load_certs_from_pemder([str(folder / "development-root.pem")]))
    for one in envelope["sealed"]:
        assert (one["verdict"], one["verdict_apart"], one["matches_stored"]) == (
            "development",
            "development",
            True,
        )
        assert one["summary"].startswith("Unchanged, but signed by a development authority")
        assert sha256(one["file"]) == one["sha256"]
        assert set(one["signatures"][0]) == {*DESIGN_KEYS, "summary"}
        with Path(one["file"]).open("rb") as file:
            *_, seal = PdfFileReader(file).embedded_regular_signatures
            context = ValidationContext(trust_roots=roots, allow_fetching=False)
            status = validate_pdf_signature(seal, context)
            assert (status.intact, status.trusted, status.bottom_line) == (True, True, True)
    with pikepdf.open(envelope["signed_pdf"]) as pdf:
        assert len(pdf.pages) == 2
    words = pages_text(envelope["signed_pdf"])
    assert "Charles Babbage" in words
    assert "Ada Lovelace" in words


def pages_text(path: str) -> str:
    with pypdfium2.PdfDocument(path) as pdf:
        return " ".join(page.get_textpage().get_text_range() for page in pdf)


@pytest.mark.timeout(240)
def test_demo_signs_a_pdf_of_the_users_own_and_tells_its_story_in_words(tmp_path: Path) -> None:
    own = tmp_path / "own file.pdf"
    with pikepdf.new() as pdf:
        for _ in range(3):
            pdf.add_blank_page(page_size=(842, 595))
        pdf.save(own)
    keep = tmp_path / "kept"
    # The Chromium that is found does not start: the ceremony goes by forms, without a script.
    path = f"{broken_chromium(tmp_path)}:{clean_environ()['PATH']}"
    ended = run_demo(tmp_path, "--pdf", str(own), "--keep", str(keep), PATH=path)
    assert ended.returncode == 0, ended
    assert "own file.pdf uploaded" in ended.stdout
    assert "3 pages" in ended.stdout
    assert f"Saved in {keep}" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("OK: 4 envelopes completed at three providers")
    assert "by plain forms" in ended.stdout
    assert "The ceremony was held without a browser: no Chromium starts" in ended.stdout
    assert "4-internal-signed.pdf: Unchanged, but signed by a development authority" in ended.stdout
    assert sha256(keep / "input.pdf") == sha256(own)
    assert len(list(keep.glob("*-signed.pdf"))) == len(list(keep.glob("*-certificate.pdf"))) == 4


def test_demo_without_a_readable_pdf_is_not_ok_and_says_why(tmp_path: Path) -> None:
    text = tmp_path / "text.pdf"
    text.write_text("no PDF at all")
    for file in (text, tmp_path / "nowhere.pdf"):
        ended = run_demo(tmp_path, "--json", "--pdf", str(file), "--keep", str(tmp_path / "kept"))
        assert ended.returncode == 1
        report = json.loads(ended.stdout)
        assert report["ok"] is False
        assert str(file) in report["problem"]
        assert "choose another with --pdf" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_the_sample_is_the_same_every_time_and_has_two_pages_of_text(tmp_path: Path) -> None:
    for name in ("one.pdf", "two.pdf"):
        write_sample(tmp_path / name)
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    with pypdfium2.PdfDocument(tmp_path / "one.pdf") as pdf:
        texts = [page.get_textpage().get_text_range() for page in pdf]
    assert len(texts) == 2
    assert "Agreement on Analytical Services" in texts[0]
    assert "For the Provider" in texts[1]


@pytest.mark.parametrize(("turned", "size"), [(0, (595, 842)), (90, (842, 595))])
def test_signatures_lie_low_on_the_displayed_last_page(
    tmp_path: Path, turned: int, size: tuple[int, int]
) -> None:
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(200, 200))
        pdf.add_blank_page(page_size=(595, 842)).Rotate = turned
        pdf.save(tmp_path / "any.pdf")
    first, second = last_page_place(tmp_path / "any.pdf")
    assert (first.page, second.page) == (2, 2)
    for place in (first, second):
        assert size[1] / 2 < place.y < size[1] - 100
        assert 0 < place.x < size[0] - 100
