"""Seals: what independent readers say of them, what they notice, and that there is none without a timestamp."""

import asyncio
import io
import uuid
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pikepdf
import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

from config.settings_sealing import SealLevel
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.keys import check_validity
from engine.sealing.overlay import Overlay
from engine.sealing.seal import SealedFile, SealOrder, seal_file
from engine.sealing.signer import KeySigner, LocalKey
from engine.sealing.signing import SealTools, run_apart
from engine.sealing.stamps import PictureStamp, TextStamp
from engine.sealing.typefaces import typefaces
from tests.sealing.authority import seal_key
from tests.sealing.papers import make_pdf, render, scribble, text_of
from tests.sealing.test_overlay import PICTURE, at
from tests.sealing.verdicts import has_pdfsig, judge, pdfsig

STAMPS = (at(TextStamp("Agreed: Müller")), at(PictureStamp(PICTURE, ("Ada: approval", "2026")), y=0.5))


def seal(tools: SealTools, key: LocalKey, folder: Path, pdf: bytes, **changes) -> tuple[bytes, SealedFile]:
    (folder / "in.pdf").write_bytes(pdf)
    order = SealOrder(
        source=folder / "in.pdf",
        target=folder / "out.pdf",
        stamps=STAMPS,
        pictures={PICTURE: scribble()},
        key=key,
        reason="All parties have signed",
    )
    order = msgspec.structs.replace(order, **changes)
    sealed = asyncio.run(run_apart(lambda: seal_file(tools, order)))
    return (folder / "out.pdf").read_bytes(), sealed


@pytest.fixture
def sealed(tools, authority, tmp_path) -> bytes:
    return seal(tools, seal_key(authority), tmp_path, make_pdf(2))[0]


def test_a_seal_keeps_the_original_as_prefix_and_shows_the_values(tools, authority, tmp_path):
    original = make_pdf(2)
    content, facts = seal(tools, seal_key(authority), tmp_path, original)
    assert content.startswith(original)
    assert "Agreed: Müller" in text_of(content, 0)
    assert facts.level is SealLevel.B_T
    assert facts.size_bytes == len(content)
    assert facts.token.serial.isdecimal()


def test_a_seal_is_valid_for_both_readers_covers_the_whole_file_and_certifies_it(sealed, authority, tmp_path):
    (verdict,) = judge(sealed, authority)
    assert verdict.is_good
    assert verdict.coverage == "ENTIRE_FILE"
    assert b"/ETSI.CAdES.detached" in sealed
    assert b"/DocMDP" in sealed
    if not has_pdfsig():
        pytest.fail("pdfsig (poppler-utils) is not installed: the second reader's verdict is missing")
    (tmp_path / "sealed.pdf").write_bytes(sealed)
    said = pdfsig(tmp_path / "sealed.pdf")
    assert "Signature is Valid" in said
    assert "Total document signed" in said


def test_a_flipped_byte_is_noticed_by_both_readers(sealed, authority, tmp_path):
    place = sealed.index(b"/Font")
    changed = sealed[:place] + b"/Fond" + sealed[place + 5 :]
    (verdict,) = judge(changed, authority, strict=False)
    assert not verdict.intact
    (tmp_path / "changed.pdf").write_bytes(changed)
    assert "Digest Mismatch" in pdfsig(tmp_path / "changed.pdf")


def test_an_overlay_after_the_seal_is_noticed_though_pdfsig_calls_the_signature_valid(
    sealed, authority, tmp_path
):
    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    Overlay(writer, typefaces(), {}).draw_pages([at(TextStamp("and ten thousand more"))])
    target = io.BytesIO()
    writer.write(target)
    (verdict,) = judge(target.getvalue(), authority)
    assert (verdict.docmdp_ok, verdict.changes) == (False, "OTHER")
    (tmp_path / "overlaid.pdf").write_bytes(target.getvalue())
    said = pdfsig(tmp_path / "overlaid.pdf")
    assert "Signature is Valid" in said
    assert "Not total document signed" in said


def test_an_annotation_after_the_seal_is_noticed(sealed, authority):
    from pyhanko.pdf_utils import generic

    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    note = {"/Type": "/Annot", "/Subtype": "/Text"}
    annotation = generic.DictionaryObject(
        {generic.pdf_name(key): generic.pdf_name(value) for key, value in note.items()}
    )
    annotation[generic.pdf_name("/Rect")] = generic.ArrayObject(
        [generic.NumberObject(one) for one in (9, 9, 40, 40)]
    )
    annotation[generic.pdf_name("/Contents")] = generic.TextStringObject("not so")
    page, _ = writer.find_page_for_modification(0)
    writer.register_annotation(page, writer.add_object(annotation))
    target = io.BytesIO()
    writer.write(target)
    (verdict,) = judge(target.getvalue(), authority)
    assert not verdict.docmdp_ok


def test_another_signature_after_the_seal_is_refused(sealed, authority):
    from pyhanko.sign.general import SigningError

    writer = IncrementalPdfFileWriter(io.BytesIO(sealed))
    signer = PdfSigner(PdfSignatureMetadata(field_name="More"), KeySigner(seal_key(authority)))
    with pytest.raises(SigningError):
        asyncio.run(signer.async_sign_pdf(writer))


def test_a_file_written_anew_is_noticed(sealed, authority):
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(sealed)) as pdf:
        pdf.save(target)
    try:
        verdicts = judge(target.getvalue(), authority, strict=False)
    except (PdfError, ValueError):  # a reader may refuse the file altogether
        verdicts = []
    assert not any(one.intact for one in verdicts)


def test_junk_behind_the_end_is_intact_but_no_longer_covered(sealed, authority):
    (verdict,) = judge(sealed + b"\n% junk\n" * 40, authority, strict=False)
    assert verdict.intact
    assert verdict.coverage == "ENTIRE_REVISION"


def test_a_sealed_file_has_no_syntax_error(sealed):
    with pikepdf.open(io.BytesIO(sealed)) as pdf:
        assert pdf.check_pdf_syntax() == []


def test_a_document_that_others_signed_keeps_their_signature_valid_and_gets_a_visible_one(
    tools, authority, tmp_path
):
    other = authority.issue("Countersign DEVELOPMENT other house")
    other_key = LocalKey(other.certificate, (authority.issuing.certificate,), other.key)
    foreign = _signed_by(other_key, make_pdf(2, rotate=90), tools)

    content, facts = seal(
        tools,
        seal_key(authority),
        tmp_path,
        foreign,
        stamps=(STAMPS[0], at(TextStamp("second page"), page=2)),
        is_signed=True,
    )

    assert content.startswith(foreign)
    verdicts = judge(content, authority)
    assert len(verdicts) == 3
    assert all(one.intact and one.trusted and one.docmdp_ok for one in verdicts)
    assert "OTHER" not in {one.changes for one in verdicts}
    # Shown by the appearance of the signature, upright on the turned page.
    before, after = render(foreign), render(content)
    field = tuple(
        int(share * side) for share, side in zip((0.1, 0.2, 0.5, 0.25), after.size * 2, strict=True)
    )
    assert before.crop(field).getcolors() != after.crop(field).getcolors()
    assert facts.token.authority.endswith("timestamps")
    (tmp_path / "foreign.pdf").write_bytes(content)
    assert pdfsig(tmp_path / "foreign.pdf").count("Signature is Valid") == 3


def test_a_document_that_others_locked_is_refused_and_says_what_to_do(tools, authority, tmp_path):
    locked = _signed_by(seal_key(authority), make_pdf(), tools, certify=True)
    with pytest.raises(SealingFailed) as caught:
        seal(tools, seal_key(authority), tmp_path, locked, is_signed=True)
    assert caught.value.trouble is SealTrouble.DOCUMENT_LOCKED
    assert "cover page" in caught.value.detail


def test_an_expired_certificate_never_seals(authority):
    expired = authority.issue("Countersign DEVELOPMENT expired", days=-30)
    key = LocalKey(expired.certificate, (), expired.key)
    with pytest.raises(SealingFailed) as caught:
        check_validity(key, datetime.now(UTC))
    assert caught.value.trouble is SealTrouble.CERTIFICATE_EXPIRED


def test_a_key_that_is_not_the_certificates_is_refused(authority):
    with pytest.raises(SealingFailed) as caught:
        LocalKey(authority.seal.certificate, (), authority.timestamps.key)
    assert caught.value.trouble is SealTrouble.CERTIFICATE_UNSUITABLE


def test_a_measurement_of_the_signature_does_not_use_the_key(authority):
    class Counting(LocalKey):
        uses = 0

        async def sign(self, content: bytes, digest_algorithm: str) -> bytes:
            Counting.uses += 1
            return await super().sign(content, digest_algorithm)

    key = Counting(authority.seal.certificate, (), authority.seal.key)
    dry = asyncio.run(KeySigner(key).async_sign_raw(b"x", "sha256", dry_run=True))
    assert Counting.uses == 0
    assert set(dry) == {0}
    assert len(dry) >= len(asyncio.run(KeySigner(key).async_sign_raw(b"x", "sha256")))


def test_bytes_that_are_no_pdf_are_called_damaged(tools, authority, tmp_path):
    with pytest.raises(SealingFailed) as caught:
        seal(tools, seal_key(authority), tmp_path, b"%PDF-1.7 nothing more")
    assert caught.value.trouble is SealTrouble.DOCUMENT_DAMAGED


def _signed_by(key: LocalKey, pdf: bytes, tools: SealTools, *, certify: bool = False) -> bytes:
    from engine.sealing.timestamps import Stamper

    meta = PdfSignatureMetadata(
        field_name=f"Foreign{uuid.uuid4().hex[:4]}", certify=certify, docmdp_permissions=MDPPerm.NO_CHANGES
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    signer = PdfSigner(meta, KeySigner(key), timestamper=Stamper(tools.timestamps))
    return asyncio.run(signer.async_sign_pdf(writer)).getvalue()
