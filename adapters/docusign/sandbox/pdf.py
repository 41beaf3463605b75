"""PDF work: pages of an upload, visible stamps, conversions, joining, text positions for anchors.

Must never change a page's size or rotation, so that tab positions keep their meaning. Coordinates come in
as the provider's: points from the top-left corner of the page as displayed.
"""

import io
import re
import uuid
from collections.abc import Sequence

import msgspec
import pikepdf
import pypdfium2

from .state import Page

A4 = (595.0, 842.0)


class Mark(msgspec.Struct, frozen=True):
    """Text lines to draw on a 1-based page, with the box of a signature when `has_box`."""

    page: int
    x: float
    y: float
    lines: tuple[str, ...]
    size: float = 9.0
    has_box: bool = False


class BadPdf(Exception):
    """The bytes are no PDF that can be opened without a password."""


def read_pages(content: bytes) -> list[Page]:
    """Size of every page as displayed."""
    try:
        with pikepdf.open(io.BytesIO(content)) as document:
            pages = [_page_of(page) for page in document.pages]
    except (pikepdf.PdfError, pikepdf.PasswordError, ValueError) as error:
        raise BadPdf(str(error)) from error
    if not pages:
        raise BadPdf("it has no pages")
    return pages


def stamp(content: bytes, marks: Sequence[Mark], header: str) -> bytes:
    """The document with its marks drawn, and `header` in small letters on top of every page."""
    with pikepdf.open(io.BytesIO(content)) as document:
        font = document.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica,
                Encoding=pikepdf.Name.WinAnsiEncoding,
            )
        )  # fmt: skip
        for number, page in enumerate(document.pages, start=1):
            drawn = [mark for mark in marks if mark.page == number]
            if header:
                drawn.append(Mark(page=number, x=12, y=6, lines=(header,), size=6))
            if drawn:
                _draw(document, page, drawn, font)
        return _saved(document)


def text_page(title: str, lines: Sequence[str]) -> bytes:
    """A one-page A4 PDF with a title and lines."""
    with pikepdf.new() as document:
        document.add_blank_page(page_size=A4)
        plain = _saved(document)
    marks = (
        Mark(page=1, x=60, y=60, lines=(title,), size=16),
        Mark(page=1, x=60, y=100, lines=tuple(lines), size=9),
    )
    return stamp(plain, marks, "")


def join(contents: Sequence[bytes]) -> bytes:
    """All pages of all documents, in order."""
    with pikepdf.new() as whole:
        for content in contents:
            with pikepdf.open(io.BytesIO(content)) as part:
                whole.pages.extend(part.pages)
        return _saved(whole)


class TextPlace(msgspec.Struct, frozen=True):
    """Where a text stands: page and box, from the top-left corner of the displayed page."""

    page: int
    left: float
    top: float
    bottom: float


def find_text(content: bytes, text: str, *, match_case: bool, whole_word: bool) -> list[TextPlace]:
    """Every occurrence of a text; text inside images is not found, as with the real service."""
    found: list[TextPlace] = []
    document = pypdfium2.PdfDocument(content)
    try:
        for index in range(len(document)):
            page = document[index]
            height = page.get_height()
            text_page_ = page.get_textpage()
            search = text_page_.search(text, match_case=match_case, match_whole_word=whole_word)
            while (hit := search.get_next()) is not None:
                left, bottom, _right, top = text_page_.get_charbox(hit[0])
                found.append(TextPlace(page=index + 1, left=left, top=height - top, bottom=height - bottom))
            text_page_.close()
            page.close()
    finally:
        document.close()
    return found


def _page_of(page: pikepdf.Page) -> Page:
    left, bottom, right, top = (float(edge) for edge in page.cropbox)
    width, height = abs(right - left), abs(top - bottom)
    if _rotation(page) in {90, 270}:
        width, height = height, width
    return Page(width=width, height=height, guid=str(uuid.uuid4()))


def _rotation(page: pikepdf.Page) -> int:
    node = page.obj
    while node is not None:
        if "/Rotate" in node:
            return int(node.Rotate) % 360
        node = node.get("/Parent")
    return 0


def _draw(document: pikepdf.Pdf, page: pikepdf.Page, marks: Sequence[Mark], font: pikepdf.Object) -> None:
    left, bottom, right, top = (float(edge) for edge in page.cropbox)
    width, height = right - left, top - bottom
    # Maps the displayed page (origin bottom-left, y up) to user space, per rotation.
    match _rotation(page):
        case 90:
            matrix, shown_height = f"0 1 -1 0 {left + width:.2f} {bottom:.2f}", width
        case 180:
            matrix, shown_height = f"-1 0 0 -1 {left + width:.2f} {bottom + height:.2f}", height
        case 270:
            matrix, shown_height = f"0 -1 1 0 {left:.2f} {bottom + height:.2f}", width
        case _:
            matrix, shown_height = f"1 0 0 1 {left:.2f} {bottom:.2f}", height
    parts = [f"q {matrix} cm"]
    for mark in marks:
        parts.extend(_operators(mark, shown_height))
    parts.append("Q")
    _own_resources(page)["/Font"]["/SandboxF"] = font
    page.contents_add(document.make_stream(b"q"), prepend=True)
    page.contents_add(document.make_stream(("\nQ\n" + "\n".join(parts)).encode("latin-1")))


def _operators(mark: Mark, shown_height: float) -> list[str]:
    """A mark's content stream operators; y is turned around here and nowhere else."""
    leading = mark.size * 1.2
    drawn: list[str] = []
    if mark.has_box:
        box_height = leading * len(mark.lines) + 4
        drawn.append(
            f"0.95 0.98 1 rg 0.1 0.3 0.7 RG 0.7 w {mark.x:.2f} {shown_height - mark.y - box_height:.2f} "
            f"170 {box_height:.2f} re B"
        )
    drawn.append(f"BT 0.1 0.2 0.5 rg /SandboxF {mark.size:g} Tf {leading:.2f} TL")
    drawn.append(f"{mark.x + 3:.2f} {shown_height - mark.y - mark.size - 1:.2f} Td")
    for line in mark.lines:
        encoded = line.encode("cp1252", errors="replace").hex()
        drawn.append(f"<{encoded}> Tj T*")
    drawn.append("ET")
    return drawn


def _own_resources(page: pikepdf.Page) -> pikepdf.Object:
    """The page's resources, copied down when inherited or shared, so that no other page is changed."""
    node = page.obj
    inherited = pikepdf.Dictionary()
    while node is not None:
        if "/Resources" in node:
            inherited = node.Resources
            break
        node = node.get("/Parent")
    own = pikepdf.Dictionary(dict(inherited.items()))
    own["/Font"] = pikepdf.Dictionary(dict(inherited["/Font"].items()) if "/Font" in inherited else {})
    page.obj["/Resources"] = own
    return own


def _saved(document: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    document.save(out, deterministic_id=True)
    return out.getvalue()


def looks_like_pdf(content: bytes) -> bool:
    return re.search(rb"%PDF-\d", content[:1024]) is not None
