"""A4 pages that text flows onto, in any script: headings, pairs, paragraphs, pictures; a footer with page x of y.

Must never lose a line: what does not fit the page goes on to the next one.
"""

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.images import pil_image
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from engine.sealing.setting import FontPlaces, Ink, Line, set_line, wrap
from engine.sealing.typefaces import Typefaces

WIDTH, HEIGHT, MARGIN = 595.28, 841.89, 48.0
FOOT = 42.0
_LEADING = 1.35
_name = generic.pdf_name


class Sheets:
    def __init__(self, faces: Typefaces) -> None:
        self.writer = PdfFileWriter()
        self.escaped = 0
        self._faces = faces
        self._places = FontPlaces()
        self._pages: list[tuple[list[bytes], Ink, Any]] = []
        self._y = 0.0
        self._turn()

    @property
    def room(self) -> float:
        """Points left on this page."""
        return self._y - MARGIN - FOOT / 2

    def heading(self, text: str, size: float = 12.0) -> None:
        self._need(size * 4)
        self._y -= size * 0.8
        self._line(self._set(text, bold=True), MARGIN, size, colour="0.1 0.16 0.35")
        self._operators(f"0.8 G 0.5 w {MARGIN} {self._y:.1f} m {WIDTH - MARGIN:.1f} {self._y:.1f} l S")
        self._y -= size * 0.35

    def pair(self, label: str, value: str, *, size: float = 8.5, indent: float = 0.0) -> None:
        """A label and its value beside it; nothing for an empty value."""
        if not value:
            return
        left, column = MARGIN + indent, 118.0
        ems = (WIDTH - MARGIN - left - column) / size
        lines = [one for part in value.splitlines() for one in wrap(self._faces, self._writable(part), ems)]
        labels = wrap(self._faces, self._writable(label), (column - 6) / size)
        for place in range(max(len(lines), len(labels))):
            self._need(size * _LEADING)
            top = self._y
            if place < len(labels):
                self._line(labels[place], left, size, colour="0.4 0.4 0.45")
            self._y = top
            if place < len(lines):
                self._line(lines[place], left + column, size)
            self._y = top - size * _LEADING

    def paragraph(self, text: str, *, size: float = 8.5, bold: bool = False, indent: float = 0.0) -> None:
        ems = (WIDTH - 2 * MARGIN - indent) / size
        for part in text.splitlines():
            for line in wrap(self._faces, self._writable(part), ems, bold=bold):
                self._need(size * _LEADING)
                self._line(line, MARGIN + indent, size)
        self._y -= size * 0.3

    def picture(self, png: bytes, *, height: float = 34.0, indent: float = 118.0) -> None:
        with Image.open(io.BytesIO(png)) as picture:
            picture.load()
            wide = min(height * picture.width / picture.height, WIDTH - 2 * MARGIN - indent)
            high = wide * picture.height / picture.width
            reference = pil_image(picture, self.writer)
        self._need(high + 4)
        _, _, images = self._pages[-1]
        name = f"I{reference.idnum}"
        images[_name(f"/{name}")] = reference
        self._y -= high
        self._operators(f"q {wide:.2f} 0 0 {high:.2f} {MARGIN + indent:.2f} {self._y:.2f} cm /{name} Do Q")
        self._y -= 4

    def squares(self, matrix: Sequence[Sequence[int]], *, side: float) -> None:
        """A QR code in the corner at the top right of this page, with the quiet zone that it brings."""
        cell = side / len(matrix)
        left, top = WIDTH - MARGIN - side, HEIGHT - MARGIN + 8
        boxes = [
            f"{left + column * cell:.3f} {top - (row + 1) * cell:.3f} {cell:.3f} {cell:.3f} re"
            for row, cells in enumerate(matrix)
            for column, is_dark in enumerate(cells)
            if is_dark
        ]
        self._operators("q 0 g " + " ".join(boxes) + " f Q")

    def gap(self, points: float = 6.0) -> None:
        self._y -= points

    def close(self, footer: str) -> PdfFileWriter:
        """The writer, with every page in it; `footer` stands at the left, page x of y at the right."""
        size = 7.0
        for number, (parts, ink, images) in enumerate(self._pages, 1):
            for text, is_right in ((footer, False), (f"page {number} of {len(self._pages)}", True)):
                line = self._set(text)
                x = WIDTH - MARGIN - line.width * size if is_right else MARGIN
                parts.append(b"0.4 g\n" + ink.draw(line, x, FOOT * 0.7, size))
            content = generic.StreamObject(stream_data=b"\n".join(parts))
            content.compress()
            resources = generic.DictionaryObject(
                {_name("/Font"): ink.resources(self.writer, self._places), _name("/XObject"): images}
            )
            box = generic.ArrayObject([generic.FloatObject(one) for one in (0, 0, WIDTH, HEIGHT)])
            self.writer.insert_page(PageObject(self.writer.add_object(content), box, resources))
        self._places.write(self.writer, [ink for _, ink, _ in self._pages])
        return self.writer

    def _line(self, line: Line, x: float, size: float, *, colour: str = "0.1 0.1 0.12") -> None:
        _, ink, _ = self._pages[-1]
        self._operators(f"{colour} rg")
        self._pages[-1][0].append(ink.draw(line, x, self._y - size, size))
        self._y -= size * _LEADING

    def _set(self, text: str, *, bold: bool = False) -> Line:
        return set_line(self._faces, self._writable(text), bold=bold)

    def _writable(self, text: str) -> str:
        text, missing = self._faces.writable(text)
        self.escaped += missing
        return text

    def _operators(self, operators: str) -> None:
        self._pages[-1][0].append(operators.encode())

    def _need(self, points: float) -> None:
        if self.room < points:
            self._turn()

    def _turn(self) -> None:
        self._pages.append(([], Ink(), generic.DictionaryObject()))
        self._y = HEIGHT - MARGIN
