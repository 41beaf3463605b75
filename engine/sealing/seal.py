"""Seals one file: its stamps and one signature in one incremental revision, with a timestamp, or not at all.

The signature certifies the document and permits no later change but further proof (DocMDP P=1). A file that
others signed before is not certified: each stamped page gets a visible signature whose appearance is what
would have been stamped, and every signature stays valid. Files are streamed: memory stays flat.
Everything here takes processor time: MUST run in a thread with a loop of its own (`run_apart`).
"""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import msgspec
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.sign.fields import MDPPerm, SigFieldSpec, append_signature_field
from pyhanko.sign.general import SigningError
from pyhanko.sign.validation import read_certification_data

from config.settings_sealing import SealLevel
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.overlay import Drawn, Overlay
from engine.sealing.signer import SealingKey
from engine.sealing.signing import SealTools, SignOrder, choose_level, free_name, sign_open
from engine.sealing.stamps import Stamp
from engine.sealing.timestamps import Stamper
from engine.sealing.tokens import TokenFacts

_name = generic.pdf_name


class SealOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`pictures`: PNGs by signature. `is_signed`: others signed the file before."""

    source: Path
    target: Path
    stamps: Sequence[Stamp]
    pictures: Mapping[UUID, bytes]
    key: SealingKey
    reason: str
    location: str = ""
    is_signed: bool = False


class SealedFile(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is the signature's timestamp; of a B-LTA file `archive` is the last document timestamp. Its hash
    is known when it is stored: to read a large file once more would cost a third of the sealing.
    """

    size_bytes: int
    level: SealLevel
    token: TokenFacts
    archive: TokenFacts | None
    drawn: Drawn


async def seal_file(tools: SealTools, order: SealOrder) -> SealedFile:
    """Writes the sealed file to `order.target`. Raises SealingFailed, and then the target is worth nothing."""
    stamper = Stamper(tools.timestamps)
    level = await choose_level(tools, order.key)
    try:
        with order.source.open("rb") as source, order.target.open("w+b") as target:
            writer = IncrementalPdfFileWriter(source, strict=False)
            _refuse_locked(writer.prev)
            if order.is_signed or writer.prev.embedded_signatures:
                drawn = await _sign_visibly(tools, order, writer, target, stamper, level)
            else:
                drawn = Overlay(writer, tools.faces, order.pictures).draw_pages(order.stamps)
                name = free_name(writer, "Seal")
                await sign_open(tools, _sign_order(order, name, level, certify=True), writer, stamper, target)
            size = target.seek(0, os.SEEK_END)
    except SealingFailed:
        raise
    except (PdfError, SigningError, RecursionError, ValueError, KeyError, TypeError) as error:
        raise SealingFailed(
            SealTrouble.DOCUMENT_DAMAGED, f"the document cannot be signed ({type(error).__name__}: {error})"
        ) from error
    if not stamper.tokens:
        raise SealingFailed(SealTrouble.TIMESTAMP_UNAVAILABLE, "the signature has no timestamp")
    archive = stamper.tokens[-1] if level is SealLevel.B_LTA else None
    return SealedFile(size_bytes=size, level=level, token=stamper.tokens[0], archive=archive, drawn=drawn)


def _sign_order(order: SealOrder, name: str, level: SealLevel, *, certify: bool = False) -> SignOrder:
    return SignOrder(
        key=order.key,
        field_name=name,
        level=level,
        reason=order.reason,
        location=order.location,
        certify=certify,
    )


def _refuse_locked(reader: Any) -> None:
    """Others may have certified the document so that any further signature breaks theirs."""
    certified = read_certification_data(reader)
    if certified is not None and certified.permission is MDPPerm.NO_CHANGES:
        raise SealingFailed(
            SealTrouble.DOCUMENT_LOCKED,
            "the document was certified by others and permits no further signature; send a cover page that "
            "names its SHA-256 instead",
        )


async def _sign_visibly(
    tools: SealTools, order: SealOrder, writer: Any, target: IO[bytes], stamper: Stamper, level: SealLevel
) -> Drawn:
    """One signature for each stamped page, the last with the proofs; an invisible one where none is stamped."""
    pages: list[tuple[int, list[Stamp]]] = [
        (number, list(of_page)) for number, of_page in groupby(order.stamps, key=lambda one: one.page)
    ]
    cut: list[UUID] = []
    escaped = 0
    for place, (number, stamps) in enumerate(pages or [(1, [])]):
        if place:
            writer = IncrementalPdfFileWriter(target, strict=False)
        name = free_name(writer, "Seal")
        if stamps:
            drawn = _add_visible_field(tools, order, writer, name, number, stamps)
            cut += drawn.cut_fields
            escaped += drawn.escaped
        is_last = place >= len(pages) - 1
        step = _sign_order(order, name, level if is_last else SealLevel.B_T)
        await sign_open(tools, step, writer, stamper, None if place else target)
    return Drawn(tuple(cut), escaped)


def _add_visible_field(
    tools: SealTools, order: SealOrder, writer: Any, name: str, number: int, stamps: Sequence[Stamp]
) -> Drawn:
    """A signature field around the page's stamps that shows them: the page itself is not touched."""
    overlay = Overlay(writer, tools.faces, order.pictures)
    reference, _ = writer.find_page_for_modification(number - 1)
    form, frame, box = overlay.draw_form(reference.get_object(), stamps)
    drawn = overlay.finish()
    appearance = form.get_object()
    appearance[_name("/BBox")] = _numbers(*box)
    # What is drawn in displayed coordinates stands upright on a page that is turned.
    appearance[_name("/Matrix")] = _numbers(*frame.matrix)
    append_signature_field(writer, SigFieldSpec(name, on_page=number - 1, box=frame.to_page(box)))
    field = writer.root["/AcroForm"]["/Fields"].raw_get(-1).get_object()
    widget = field["/Kids"].raw_get(0).get_object() if "/Kids" in field else field
    widget[_name("/Rect")] = _numbers(*frame.to_page(box))
    widget[_name("/AP")] = generic.DictionaryObject({_name("/N"): form})
    return drawn


def _numbers(*values: float) -> Any:
    return generic.ArrayObject([generic.FloatObject(round(one, 4)) for one in values])
