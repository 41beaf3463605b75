"""What was done to a file after it was sealed or signed, and what is said of it."""

import asyncio
import hashlib
import io
from collections.abc import Callable

import pytest

from engine.development.authority_keys import Authority
from engine.verification.facts import Changes
from engine.verification.verdict import Revocation, Verdict
from tests.sealing.papers import make_pdf
from tests.sealing.verdicts import has_pdfsig, pdfsig
from tests.verification import papers
from tests.verification.bench import Bench

pytestmark = pytest.mark.asyncio(loop_scope="session")

TAMPERED: dict[str, tuple[Callable[[bytes], bytes], Verdict]] = {
    "nothing": (lambda pdf: pdf, Verdict.DEVELOPMENT),
    "a byte flipped": (papers.flip, Verdict.DAMAGED),
    "an overlay on a page": (papers.overlay, Verdict.ALTERED),
    "an annotation": (papers.annotate, Verdict.ALTERED),
    "a form field": (papers.fill_in, Verdict.ALTERED),
    "written anew": (papers.rewrite, Verdict.DAMAGED),
    "junk behind the end": (papers.append_junk, Verdict.ALTERED),
    "junk with an end of its own": (papers.append_junk_with_end, Verdict.ALTERED),
    "cut off": (lambda pdf: pdf[: len(pdf) // 2], Verdict.DAMAGED),
}


@pytest.mark.parametrize("what", TAMPERED)
@pytest.mark.parametrize("kind", ["sealed", "signed"])
async def test_a_file_tampered_with_gets_the_verdict_of_the_matrix(
    kind: str, what: str, sealed: bytes, signed: bytes, bench: Bench
) -> None:
    tamper, expected = TAMPERED[what]
    report = await bench.verify(tamper(sealed if kind == "sealed" else signed))
    assert report.verdict is expected, report
    for one in report.signatures:
        assert one.signature_valid is (expected is Verdict.DEVELOPMENT)


async def test_an_untouched_seal_is_told_with_the_keys_of_the_design(
    sealed: bytes, authority: Authority, bench: Bench
) -> None:
    report = await bench.verify(sealed)
    (one,) = report.signatures
    assert report.sha256 == hashlib.sha256(sealed).hexdigest()
    assert one.signer.endswith("seal")
    assert (one.signature_valid, one.certificate_valid, one.timestamp_valid) == (True, True, True)
    assert one.revocation_status is Revocation.UNKNOWN  # this authority has no address to ask
    assert (one.reason, one.location) == ("All parties have signed", "Berlin")
    assert one.signing_time is not None
    assert one.signing_time_is_proven
    assert one.is_certification
    assert one.is_development
    assert one.coverage.entire_file
    assert one.coverage.later_changes is Changes.NONE
    assert "no legal effect" in report.summary


async def test_an_overlay_is_reported_though_pdfsig_calls_the_signature_valid(
    sealed: bytes, bench: Bench
) -> None:
    changed = papers.overlay(sealed)
    report = await bench.verify(changed)
    assert report.verdict is Verdict.ALTERED
    assert report.signatures[0].coverage.later_changes is Changes.OTHER
    if has_pdfsig():
        path = bench.folder / "overlaid.pdf"
        path.write_bytes(changed)
        assert "Signature is Valid" in await asyncio.to_thread(pdfsig, path)


async def test_pdfsig_agrees_that_untouched_files_are_valid(
    sealed: bytes, signed: bytes, bench: Bench
) -> None:
    if not has_pdfsig():
        pytest.fail("pdfsig (poppler-utils) is not installed: the second reader's verdict is missing")
    for number, pdf in enumerate((sealed, signed)):
        path = bench.folder / f"whole-{number}.pdf"
        path.write_bytes(pdf)
        said = await asyncio.to_thread(pdfsig, path)
        assert "Signature is Valid" in said
        assert "Total document signed" in said


async def test_a_second_signature_on_a_plain_one_leaves_both_valid(
    signed: bytes, authority: Authority, bench: Bench
) -> None:
    both = await asyncio.to_thread(papers.sign_paper, authority, signed, field="Second")
    report = await bench.verify(both)
    assert report.verdict is Verdict.DEVELOPMENT, report
    first, second = report.signatures
    assert first.coverage.later_changes is Changes.FORM
    assert not first.coverage.entire_file
    assert second.coverage.entire_file


async def test_a_signature_that_the_certification_forbids_is_an_alteration(
    sealed: bytes, authority: Authority, bench: Bench
) -> None:
    more = await asyncio.to_thread(papers.sign_again, sealed, authority)
    report = await bench.verify(more)
    assert report.verdict is Verdict.ALTERED, report
    assert not report.signatures[0].coverage.later_changes_permitted


async def test_an_issuer_that_is_not_among_the_roots_is_untrusted(sealed: bytes, bench: Bench) -> None:
    report = await bench.verify(sealed, roots=())
    assert report.verdict is Verdict.UNTRUSTED
    assert (report.signatures[0].signature_valid, report.signatures[0].certificate_valid) == (True, False)


async def test_a_file_without_a_signature_is_called_unsigned(bench: Bench) -> None:
    report = await bench.verify(make_pdf(1))
    assert (report.verdict, report.signatures) == (Verdict.UNSIGNED, ())


@pytest.mark.parametrize(
    ("content", "verdict"),
    [(b"", Verdict.DAMAGED), (b"no pdf", Verdict.DAMAGED), (b"%PDF-1.7\n%%EOF", Verdict.DAMAGED)],
)
async def test_what_is_no_pdf_is_damaged_and_never_valid(
    content: bytes, verdict: Verdict, bench: Bench
) -> None:
    report = await bench.verify(content)
    assert (report.verdict, report.signatures) == (verdict, ())


async def test_a_closed_file_cannot_be_judged(bench: Bench) -> None:
    import pikepdf

    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(make_pdf(1))) as pdf:
        pdf.save(target, encryption=pikepdf.Encryption(owner="o", user="secret", R=6))
    report = await bench.verify(target.getvalue())
    assert (report.verdict, report.refusal) == (Verdict.CANNOT_BE_JUDGED, "needs_password")
