"""The text of a PDF's pages, and where on the displayed page a text stands; inside an examiner process.

Places are found as a reader sees them: any run of white space is one space, a word that a hyphen divides over
two lines is one word, and a text that runs over two lines stands where its first line's part does.
Must only run in an examiner: it reads hostile bytes.
"""

import ctypes
import unicodedata
from collections.abc import Sequence
from contextlib import closing
from typing import NamedTuple

import pypdfium2
from pypdfium2 import raw

from engine.documents.messages import AnchorPlace, Refused

_MOST_CHARACTERS = 2_000_000  # of a whole document
_MOST_PLACES = 10_000
_SCALE = 100  # device units per point, so that whole numbers are precise enough
_BROKEN_WORD = "\x02"  # what PDFium puts where a hyphen divides a word at a line's end


class _Character(NamedTuple):
    letter: str
    at: int


def read_texts(path: str) -> tuple[str, ...]:
    """One text per page, lines as they stand. Raises Refused."""
    texts: list[str] = []
    left = _MOST_CHARACTERS
    with closing(_open(path)) as document:
        for number in range(len(document)):
            text = ""
            with closing(_load(document, number)) as page, closing(page.get_textpage()) as shown:
                if left > 0:
                    text = (
                        shown.get_text_range(0, min(left, shown.count_chars())) if shown.count_chars() else ""
                    )
            left -= len(text)
            texts.append(_clean(text))
    return tuple(texts)


def find_places(path: str, texts: Sequence[str]) -> dict[str, tuple[AnchorPlace, ...]]:
    """Every occurrence of each text, in reading order; () for one that is not there. Raises Refused."""
    wanted = {text: _squeeze(text) for text in texts}
    found: dict[str, list[AnchorPlace]] = {text: [] for text in texts}
    with closing(_open(path)) as document:
        for number in range(len(document)):
            with closing(_load(document, number)) as page, closing(page.get_textpage()) as shown:
                _find_on_page(page, shown, number + 1, wanted, found)
    return {text: tuple(places) for text, places in found.items()}


def _find_on_page(
    page: pypdfium2.PdfPage,
    shown: pypdfium2.PdfTextPage,
    number: int,
    wanted: dict[str, str],
    found: dict[str, list[AnchorPlace]],
) -> None:
    characters = _characters(shown)
    line = "".join(one.letter for one in characters)
    for text, squeezed in wanted.items():
        start = line.find(squeezed) if squeezed else -1
        while start >= 0:
            if sum(len(places) for places in found.values()) >= _MOST_PLACES:
                raise Refused("too_complex", detail=f"over {_MOST_PLACES} places of the anchors")
            indexes = [one.at for one in characters[start : start + len(squeezed)]]
            place = _place(page, shown, number, indexes)
            if place is not None:
                found[text].append(place)
            start = line.find(squeezed, start + len(squeezed))


def _characters(shown: pypdfium2.PdfTextPage) -> list[_Character]:
    """The page's letters in reading order, squeezed as _squeeze does, each with its index on the page."""
    characters: list[_Character] = []
    joining = False
    for index in range(min(shown.count_chars(), _MOST_CHARACTERS)):
        code = raw.FPDFText_GetUnicode(shown, index)
        letter = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
        if letter in {_BROKEN_WORD, "\xad", "\ufffe"}:
            joining = True
            continue
        if letter.isspace():
            if not joining and characters and characters[-1].letter != " ":
                characters.append(_Character(" ", index))
            continue
        joining = False
        characters.extend(_Character(one, index) for one in unicodedata.normalize("NFKC", letter))
    return characters


def _squeeze(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split())


def _place(
    page: pypdfium2.PdfPage, shown: pypdfium2.PdfTextPage, number: int, indexes: Sequence[int]
) -> AnchorPlace | None:
    """The box around the letters of the first line that the text stands on."""
    box: tuple[float, float, float, float] | None = None
    for index in indexes:
        letter = _box_of(page, shown, index)
        if letter is None:
            continue
        if box is None:
            box = letter
        elif letter[1] > box[3] or letter[3] < box[1]:
            break  # the next line
        else:
            box = (
                min(box[0], letter[0]),
                min(box[1], letter[1]),
                max(box[2], letter[2]),
                max(box[3], letter[3]),
            )
    if box is None:
        return None
    left, top, right, bottom = box
    return AnchorPlace(
        page=number,
        x=round(left, 2),
        y=round(top, 2),
        width=round(right - left, 2),
        height=round(bottom - top, 2),
    )


def _box_of(
    page: pypdfium2.PdfPage, shown: pypdfium2.PdfTextPage, index: int
) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) of one letter in points of the displayed page; None for one without extent."""
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    if not raw.FPDFText_GetCharBox(shown, index, left, right, bottom, top):
        return None
    if left.value == right.value and top.value == bottom.value:
        return None
    first = _displayed(page, left.value, top.value)
    second = _displayed(page, right.value, bottom.value)
    return (
        min(first[0], second[0]),
        min(first[1], second[1]),
        max(first[0], second[0]),
        max(first[1], second[1]),
    )


def _displayed(page: pypdfium2.PdfPage, x: float, y: float) -> tuple[float, float]:
    """A point of the page's own coordinates as displayed: PDFium knows CropBox and Rotate."""
    width, height = page.get_size()
    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, round(width * _SCALE), round(height * _SCALE), 0, x, y, across, down)
    return across.value / _SCALE, down.value / _SCALE


def _open(path: str) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise Refused("damaged") from error


def _load(document: pypdfium2.PdfDocument, index: int) -> pypdfium2.PdfPage:
    try:
        return document[index]
    except pypdfium2.PdfiumError as error:
        raise Refused("damaged", page=index + 1) from error


def _clean(text: str) -> str:
    joined = text.replace("\r\n", "\n").replace(_BROKEN_WORD + "\n", "").replace("\ufffe\n", "")
    return "".join(one for one in joined if one in {"\n", "\t"} or one.isprintable())
