"""Signed files, and what somebody may do to them afterwards."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pikepdf
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import MDPPerm
from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner

from config.settings_sealing import SealLevel
from engine.development.authority_keys import Authority
from engine.sealing.overlay import Overlay
from engine.sealing.seal import SealOrder, seal_file
from engine.sealing.signer import KeySigner, LocalKey
from engine.sealing.signing import SealTools, SignOrder, run_apart, sign_open
from engine.sealing.stamps import TextStamp
from engine.sealing.timestamps import Stamper
from engine.sealing.typefaces import typefaces
from tests.sealing.authority import local_tools, seal_key
from tests.sealing.papers import make_pdf
from tests.sealing.test_overlay import at


def seal_paper(
    authority: Authority, folder: Path, *, tools: SealTools | None = None, key: LocalKey | None = None
) -> bytes:
    """Stamped and certified (P=1), as a completed envelope's document is."""
    (folder / "in.pdf").write_bytes(make_pdf(2))
    order = SealOrder(
        source=folder / "in.pdf",
        target=folder / "out.pdf",
        stamps=(at(TextStamp("Agreed")),),
        pictures={},
        key=key or seal_key(authority),
        reason="All parties have signed",
        location="Berlin",
    )
    asyncio.run(run_apart(lambda: seal_file(tools or local_tools(authority), order)))
    return (folder / "out.pdf").read_bytes()


def sign_paper(
    authority: Authority,
    pdf: bytes | None = None,
    *,
    key: LocalKey | None = None,
    field: str = "Signature",
    timestamp: bool = True,
) -> bytes:
    """A plain approval signature, which certifies nothing."""
    tools = local_tools(authority)
    target = io.BytesIO()
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf or make_pdf(1)))
    own = key or seal_key(authority)
    if not timestamp:
        meta = PdfSignatureMetadata(field_name=field)
        return asyncio.run(PdfSigner(meta, KeySigner(own)).async_sign_pdf(writer)).getvalue()
    order = SignOrder(key=own, field_name=field, level=SealLevel.B_T, reason="I agree", location="Oslo")
    asyncio.run(sign_open(tools, order, writer, Stamper(tools.timestamps), target))
    return target.getvalue()


def flip(pdf: bytes) -> bytes:
    place = pdf.index(b"/Font")
    return pdf[:place] + b"/Fond" + pdf[place + 5 :]


def overlay(pdf: bytes) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    Overlay(writer, typefaces(), {}).draw_pages([at(TextStamp("and ten thousand more"))])
    return _written(writer)


def annotate(pdf: bytes) -> bytes:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    name = generic.pdf_name
    note = generic.DictionaryObject(
        {
            name("/Type"): name("/Annot"),
            name("/Subtype"): name("/FreeText"),
            name("/Contents"): generic.TextStringObject("not so"),
            name("/Rect"): generic.ArrayObject([generic.NumberObject(one) for one in (9, 9, 40, 40)]),
        }
    )
    page, _ = writer.find_page_for_modification(0)
    writer.register_annotation(page, writer.add_object(note))
    return _written(writer)


def fill_in(pdf: bytes) -> bytes:
    """A form field added after the signature, with a value."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    name = generic.pdf_name
    extra = generic.DictionaryObject(
        {
            name("/FT"): name("/Tx"),
            name("/T"): generic.TextStringObject("Sum"),
            name("/V"): generic.TextStringObject("ten thousand"),
        }
    )
    writer.root["/AcroForm"]["/Fields"].append(writer.add_object(extra))
    writer.update_container(writer.root["/AcroForm"]["/Fields"])
    return _written(writer)


def rewrite(pdf: bytes) -> bytes:
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf)) as opened:
        opened.save(target)
    return target.getvalue()


def append_junk(pdf: bytes) -> bytes:
    return pdf + b"\n% nobody signed this\n" * 40


def append_junk_with_end(pdf: bytes) -> bytes:
    """With an end of its own, that names the real revision's place."""
    place = pdf.rindex(b"startxref")
    return pdf + b"% nobody signed this\n" + pdf[place:]


def sign_again(pdf: bytes, authority: Authority) -> bytes:
    """By somebody who does not care what the certification permits."""
    other = authority.issue("Countersign DEVELOPMENT another")
    key = LocalKey(other.certificate, (authority.issuing.certificate,), other.key)

    class Careless(PdfSigner):  # type: ignore[misc]  # the library's types are not followed
        def _enforce_certification_constraints(self, reader: Any) -> None:
            return None

    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    meta = PdfSignatureMetadata(field_name="More", docmdp_permissions=MDPPerm.FILL_FORMS)
    signer = Careless(meta, KeySigner(key), timestamper=Stamper(local_tools(authority).timestamps))
    return asyncio.run(signer.async_sign_pdf(writer)).getvalue()


def _written(writer: Any) -> bytes:
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()
