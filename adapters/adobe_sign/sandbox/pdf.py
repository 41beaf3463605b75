"""Makes and marks PDFs: placeholders, visible stamps, concatenation, text positions. Bytes in, bytes out.

Coordinates are points of the page as displayed (crop box, after rotation), origin bottom-left.
"""

import io
import re
from typing import NamedTuple

import pikepdf
import pypdfium2

from adapters.adobe_sign.sandbox.world import Stamp

_A4 = (595.0, 842.0)
_LINES_PER_PAGE = 60
_TAG = re.compile(r"\{\{\s*\*?\s*(\w*?)_es_\s*:\s*signer(\d*)\s*:\s*(\w+)[^}]*\}\}")


class ConversionError(ValueError):
    """A file that cannot be turned into pages."""


class Spot(NamedTuple):
    """Where a text stands: 0-based page and the box around it."""

    page: int
    left: float
    bottom: float
    right: float
    top: float


class Tag(NamedTuple):
    """A text tag such as {{Sig_es_:signer1:signature}}."""

    name: str
    signer: int
    kind: str
    spot: Spot


def convert_to_pdf(content: bytes, name: str, mime_type: str) -> bytes:
    """The PDF form of an uploaded file; anything but a PDF becomes one page that names it."""
    if mime_type != "application/pdf" and not content.startswith(b"%PDF"):
        return text_pdf(["SANDBOX", "", f"This page stands for the file {name}", f"of type {mime_type}."])
    page_sizes(content)
    return content


def page_sizes(content: bytes) -> list[tuple[float, float]]:
    """Width and height of every page as displayed."""
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            sizes = [_displayed_size(page) for page in pdf.pages]
    except (pikepdf.PdfError, ValueError, RuntimeError) as error:
        raise ConversionError(f"not a readable PDF: {error}") from error
    if not sizes:
        raise ConversionError("a PDF without pages")
    return sizes


def stamp_pdf(content: bytes, stamps: list[Stamp], first_page: int) -> bytes:
    """The document with its stamps; page numbers of stamps count from `first_page`."""
    if not stamps:
        return content
    with pikepdf.open(io.BytesIO(content)) as pdf:
        for number, page in enumerate(pdf.pages, start=first_page):
            marks = [stamp for stamp in stamps if stamp.page == number]
            if not marks:
                continue
            layer = pikepdf.Pdf.new()
            size = _displayed_size(page)
            _add_page(layer, size, b"\n".join(_draw(stamp) for stamp in marks))
            _lay_over(page, layer.pages[0])
        return _save(pdf)


def concatenate(parts: list[bytes]) -> bytes:
    """One PDF of all pages."""
    merged = pikepdf.Pdf.new()
    for part in parts:
        with pikepdf.open(io.BytesIO(part)) as pdf:
            merged.pages.extend(pdf.pages)
    return _save(merged)


def text_pdf(lines: list[str]) -> bytes:
    """A plain report, as many A4 pages as the lines need."""
    pdf = pikepdf.Pdf.new()
    for start in range(0, max(1, len(lines)), _LINES_PER_PAGE):
        rows = lines[start : start + _LINES_PER_PAGE]
        body = b"".join(_encode(row[:110]) + b" Tj T*\n" for row in rows)
        _add_page(pdf, _A4, b"BT /F1 9 Tf 12 TL 40 800 Td\n" + body + b"ET")
    return _save(pdf)


def find_text(content: bytes, text: str) -> list[Spot]:
    """Every place where `text` stands."""
    spots: list[Spot] = []
    pdf = pypdfium2.PdfDocument(content)
    try:
        for number in range(len(pdf)):
            page = pdf[number].get_textpage()
            search = page.search(text, match_case=True)
            while (hit := search.get_next()) is not None:
                boxes = [page.get_charbox(hit[0] + n) for n in range(hit[1])]
                spots.append(_around(number, boxes))
    finally:
        pdf.close()
    return spots


def find_tags(content: bytes) -> list[Tag]:
    """Every text tag of the document."""
    tags: list[Tag] = []
    pdf = pypdfium2.PdfDocument(content)
    try:
        for number in range(len(pdf)):
            page = pdf[number].get_textpage()
            for match in _TAG.finditer(page.get_text_bounded()):
                for spot in find_text(content, match.group(0))[:1]:
                    signer = int(match.group(2) or 1)
                    tags.append(Tag(match.group(1), signer, match.group(3).lower(), spot))
    finally:
        pdf.close()
    return tags


def _around(page: int, boxes: list[tuple[float, float, float, float]]) -> Spot:
    return Spot(
        page,
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _lay_over(page: pikepdf.Page, layer: pikepdf.Page) -> None:
    """Put the layer upright over the displayed page.

    The library's own overlay names its resource at random; the same agreement must give the same bytes.
    """
    left, bottom, right, top = (float(edge) for edge in page.cropbox)
    form = layer.as_form_xobject()
    name = page.add_resource(form, pikepdf.Name.XObject, pikepdf.Name.CountersignSandboxLayer)
    form = page.resources.XObject[name]
    placed = page.calc_form_xobject_placement(form, name, pikepdf.Rectangle(left, bottom, right, top))
    page.contents_add(b"q\n", prepend=True)
    page.contents_add(b"Q\n" + placed)


def _displayed_size(page: pikepdf.Page) -> tuple[float, float]:
    left, bottom, right, top = (float(edge) for edge in page.cropbox)
    width, height = abs(right - left), abs(top - bottom)
    turned = int(page.obj.get("/Rotate", 0)) % 180 == 90
    return (height, width) if turned else (width, height)


def _add_page(pdf: pikepdf.Pdf, size: tuple[float, float], content: bytes) -> None:
    pdf.add_blank_page(page_size=size)
    page = pdf.pages[-1]
    font = pikepdf.Dictionary(
        Type=pikepdf.Name.Font,
        Subtype=pikepdf.Name.Type1,
        BaseFont=pikepdf.Name.Helvetica,
        Encoding=pikepdf.Name.WinAnsiEncoding,
    )
    page.obj.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
    page.obj.Contents = pdf.make_stream(content)


def _draw(stamp: Stamp) -> bytes:
    longest = max((len(line) for line in stamp.lines), default=1)
    size = max(3.0, min(10.0, stamp.height / (1.25 * len(stamp.lines)), stamp.width / (0.55 * longest)))
    top = stamp.bottom + stamp.height - size
    text = b"".join(_encode(line) + b" Tj T*\n" for line in stamp.lines)
    frame = f"{stamp.left:.2f} {stamp.bottom:.2f} {stamp.width:.2f} {stamp.height:.2f} re S"
    start = f"BT /F1 {size:.2f} Tf {size * 1.15:.2f} TL {stamp.left + 2:.2f} {top:.2f} Td"
    return f"q 0 0.2 0.6 RG 0 0.2 0.6 rg 0.5 w {frame}\n{start}\n".encode() + text + b"ET Q"


def _encode(text: str) -> bytes:
    raw = text.encode("cp1252", "replace")
    return b"(" + raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"


def _save(pdf: pikepdf.Pdf) -> bytes:
    out = io.BytesIO()
    pdf.save(out, deterministic_id=True)
    return out.getvalue()
