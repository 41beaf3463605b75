"""Draws stamps on a PDF's pages, in the open incremental revision: nothing of the original is rewritten.

One form per page in displayed coordinates, put behind the page's own content, which is wrapped so that its
graphics state cannot reach ours. Text keeps a legible size: what does not fit the field ends with a mark, and
its full text stands in the certificate of completion; `cut_fields` says which those are.
"""

import contextlib
import io
import zlib
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec
from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.images import pil_image

from engine.sealing.balance import missing_saves
from engine.sealing.geometry import PageFrame, entry, inherited, read_frame
from engine.sealing.setting import ASCENT, DESCENT, FontPlaces, Ink, wrap
from engine.sealing.stamps import CheckStamp, PictureStamp, Stamp, TextStamp
from engine.sealing.typefaces import Typefaces

LARGEST, SMALLEST, CAPTION = 11.0, 7.0, 5.5
CUT = " \u2026 (full text: certificate)"
_LEADING = 1.2
_LEAST_CAPTION_WIDTH = 150.0
_MOST_OF_A_CUT_STREAM = 64 * 1024 * 1024
_INK = b"0.05 0.07 0.25 rg 0.05 0.07 0.25 RG"
_CAPTION_INK = b"0.25 0.25 0.3 rg"
_name = generic.pdf_name
Box = tuple[float, float, float, float]


class Drawn(msgspec.Struct, frozen=True):
    """`escaped` letters had no font and stand as code points."""

    cut_fields: tuple[UUID, ...] = ()
    escaped: int = 0


class Overlay:
    """The stamps of one document, drawn once: `draw_pages` puts them on its pages."""

    def __init__(self, writer: Any, faces: Typefaces, pictures: Mapping[UUID, bytes]) -> None:
        self._writer = writer
        self._faces = faces
        self._pictures = pictures
        self._places = FontPlaces()
        self._inks: list[Ink] = []
        self._images: dict[UUID, tuple[Any, float]] = {}
        self._cut: list[UUID] = []
        self._escaped = 0

    def draw_pages(self, stamps: Sequence[Stamp]) -> Drawn:
        """`stamps` in page order, as stamps_of gives them."""
        opening: dict[int, Any] = {}
        for number, of_page in groupby(stamps, key=lambda one: one.page):
            reference, _ = self._writer.find_page_for_modification(number - 1)
            page = reference.get_object()
            form, frame, _ = self.draw_form(page, list(of_page))
            _put_on_page(self._writer, page, form, frame, opening)
            self._writer.mark_update(reference)
        self._places.write(self._writer, self._inks)
        return Drawn(tuple(self._cut), self._escaped)

    def draw_form(self, page: Any, stamps: Sequence[Stamp]) -> tuple[Any, PageFrame, Box]:
        """The page's stamps as one form in displayed coordinates, and the box that holds all of them.

        `finish` embeds the fonts afterwards, unless draw_pages does.
        """
        frame = read_frame(page)
        ink, images = Ink(), generic.DictionaryObject()
        self._inks.append(ink)
        parts, boxes = [b"q", _INK], []
        for stamp in stamps:
            box = frame.place(stamp.x, stamp.y, stamp.width, stamp.height)
            operators, used = self._draw(stamp, box, frame, ink, images)
            parts.append(operators)
            boxes.append(used)
        parts.append(b"Q")
        form = generic.StreamObject(stream_data=b"\n".join(parts))
        form.compress()
        form[_name("/Type")] = _name("/XObject")
        form[_name("/Subtype")] = _name("/Form")
        form[_name("/BBox")] = _numbers(0, 0, frame.width, frame.height)
        form[_name("/Resources")] = generic.DictionaryObject(
            {_name("/Font"): ink.resources(self._writer, self._places), _name("/XObject"): images}
        )
        around = (
            max(0.0, min(box[0] for box in boxes)),
            max(0.0, min(box[1] for box in boxes)),
            min(frame.width, max(box[2] for box in boxes)),
            min(frame.height, max(box[3] for box in boxes)),
        )
        return self._writer.add_object(form), frame, around

    def finish(self) -> Drawn:
        self._places.write(self._writer, self._inks)
        return Drawn(tuple(self._cut), self._escaped)

    def _draw(self, stamp: Stamp, box: Box, frame: PageFrame, ink: Ink, images: Any) -> tuple[bytes, Box]:
        match stamp.content:
            case TextStamp(text=text):
                operators, was_cut = self._draw_text(text, box, frame.unit, ink)
                if was_cut:
                    self._cut.append(stamp.field_id)
                return operators, box
            case CheckStamp(is_round=is_round):
                return (_dot(box) if is_round else _tick(box)), box
            case PictureStamp(signature_id=signature_id, caption=caption):
                return self._draw_picture(signature_id, caption, box, frame, ink, images)

    def _draw_text(self, text: str, box: Box, unit: float, ink: Ink) -> tuple[bytes, bool]:
        left, bottom, right, top = box
        width, height = right - left - 2 / unit, top - bottom
        paragraphs = [self._writable(line) for line in text.splitlines() or [""]]
        size = min(LARGEST / unit, max(SMALLEST / unit, height / (ASCENT + DESCENT)))
        while True:
            lines = [one for part in paragraphs for one in wrap(self._faces, part, width / size)]
            room = max(1, int((height / size - ASCENT - DESCENT) / _LEADING + 1e-6) + 1)
            if len(lines) <= room or size * unit <= SMALLEST:
                break
            size = max(SMALLEST / unit, size * 0.92)
        was_cut = len(lines) > room
        if was_cut:
            lines = self._cut_lines(paragraphs, width / size, room)
        used = size * (ASCENT + DESCENT + _LEADING * (len(lines) - 1))
        baseline = top - max(0.0, (height - used) / 2) - size * ASCENT
        drawn = [
            ink.draw(line, left + 1 / unit, baseline - place * size * _LEADING, size)
            for place, line in enumerate(lines)
        ]
        return b"\n".join(drawn), was_cut

    def _cut_lines(self, paragraphs: Sequence[str], ems: float, room: int) -> list[Any]:
        """As many letters as fit with the mark behind them."""
        text = " ".join(paragraphs)
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if len(wrap(self._faces, text[:middle] + CUT, ems)) <= room:
                low = middle
            else:
                high = middle - 1
        return wrap(self._faces, text[:low] + CUT, ems)

    def _draw_picture(
        self, signature_id: UUID, caption: Sequence[str], box: Box, frame: PageFrame, ink: Ink, images: Any
    ) -> tuple[bytes, Box]:
        operators, reach = b"", box
        if caption:
            operators, box, reach = self._draw_caption(caption, box, frame, ink)
        reference, ratio = self._image(signature_id)
        images[_name(f"/{_image_name(signature_id)}")] = reference
        left, bottom, right, top = box
        width = min(right - left, (top - bottom) * ratio)
        height = width / ratio
        x, y = left, bottom + (top - bottom - height) / 2
        matrix = f"{width:.3f} 0 0 {height:.3f} {x:.3f} {y:.3f}"
        picture = f"q {matrix} cm /{_image_name(signature_id)} Do Q\n".encode()
        return picture + operators, reach

    def _draw_caption(
        self, caption: Sequence[str], box: Box, frame: PageFrame, ink: Ink
    ) -> tuple[bytes, Box, Box]:
        """The caption's operators, what it leaves to the picture, and the box around both.

        Inside the field at its foot where that leaves most of it to the picture, else below the field, and
        above it where the page ends.
        """
        left, bottom, right, top = box
        size = CAPTION / frame.unit
        wide = max(right - left, min(_LEAST_CAPTION_WIDTH / frame.unit, frame.width - left))
        lines = [
            one for text in caption for one in wrap(self._faces, self._writable(text), (right - left) / size)
        ]
        high = size * _LEADING * len(lines)
        if high <= 0.45 * (top - bottom):
            foot, box, reach = bottom, (left, bottom + high, right, top), box
        else:
            lines = [one for text in caption for one in wrap(self._faces, self._writable(text), wide / size)]
            high = size * _LEADING * len(lines)
            foot = bottom - high if bottom >= high else min(top, frame.height - high)
            reach = (left, min(foot, bottom), max(right, left + wide), max(top, foot + high))
        first = foot + high - size * ASCENT
        drawn = [
            ink.draw(line, left, first - place * size * _LEADING, size) for place, line in enumerate(lines)
        ]
        return b"\n".join([b"q", _CAPTION_INK, *drawn, b"Q"]), box, reach

    def _image(self, signature_id: UUID) -> tuple[Any, float]:
        """The picture's object, made once per document, and its width over its height."""
        if signature_id not in self._images:
            with Image.open(io.BytesIO(self._pictures[signature_id])) as picture:
                picture.load()
                ratio = picture.width / picture.height
                self._images[signature_id] = pil_image(picture, self._writer), ratio
        return self._images[signature_id]

    def _writable(self, text: str) -> str:
        text, missing = self._faces.writable(text)
        self._escaped += missing
        return text


def _image_name(signature_id: UUID) -> str:
    return f"CsI{signature_id.hex}"


def _put_on_page(writer: Any, page: Any, form: Any, frame: PageFrame, opening: dict[int, Any]) -> None:
    """Wraps the page's content in q and Q, the missing ones added, and draws the form behind it."""
    before, behind = missing_saves(_content_of(page))
    if before not in opening:
        opening[before] = writer.add_object(generic.StreamObject(stream_data=b"q " * (before + 1)))
    name = f"CsO{form.idnum}"
    matrix = " ".join(f"{one:.4f}" for one in frame.matrix)
    closing = b"\n" + b"Q " * (behind + 1) + f"q {matrix} cm /{name} Do Q".encode()
    ours = writer.add_object(generic.StreamObject(stream_data=closing))
    page[_name("/Contents")] = generic.ArrayObject([opening[before], *_content_references(page), ours])
    resources = _copy(inherited(page, "/Resources"))
    objects = _copy(entry(resources, "/XObject"))
    objects[_name(f"/{name}")] = form
    resources[_name("/XObject")] = objects
    page[_name("/Resources")] = resources


def _content_references(page: Any) -> list[Any]:
    try:
        raw = page.raw_get("/Contents")
    except KeyError:
        return []
    value = raw.get_object() if isinstance(raw, generic.IndirectObject) else raw
    if isinstance(value, generic.ArrayObject):
        return [value.raw_get(place) for place in range(len(value))]
    return [raw] if isinstance(value, generic.StreamObject) else []


def _content_of(page: Any) -> bytes:
    streams = [one.get_object() for one in _content_references(page)]
    return b"\n".join(_decoded(one) for one in streams if isinstance(one, generic.StreamObject))


def _decoded(stream: Any) -> bytes:
    """What a reader makes of the stream: as much of it as there is. pyHanko refuses one that is cut off, also the
    stream of no bytes at all that qpdf writes for a blank page with a filter (pyHanko 0.38, 2026-11).
    """
    try:
        return bytes(stream.data)
    except zlib.error:
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj().decompress(stream.encoded_data, _MOST_OF_A_CUT_STREAM)
        return b""


def _copy(dictionary: Any) -> Any:
    """A dictionary of the page's own: the original may be shared with other pages."""
    if dictionary is None:
        return generic.DictionaryObject()
    return generic.DictionaryObject({key: dictionary.raw_get(key) for key in dictionary})


def _tick(box: Box) -> bytes:
    left, bottom, right, top = box
    side = min(right - left, top - bottom)
    x, y = (left + right - side) / 2, (bottom + top - side) / 2
    points = [(x + side * a, y + side * b) for a, b in ((0.15, 0.5), (0.4, 0.2), (0.85, 0.82))]
    path = " ".join(f"{a:.3f} {b:.3f} {operator}" for (a, b), operator in zip(points, "mll", strict=True))
    return f"q {side * 0.12:.3f} w 1 J 1 j {path} S Q".encode()


def _dot(box: Box) -> bytes:
    left, bottom, right, top = box
    x, y = (left + right) / 2, (bottom + top) / 2
    # A point drawn with a round pen is a circle.
    return f"q {min(right - left, top - bottom) * 0.55:.3f} w 1 J {x:.3f} {y:.3f} m {x:.3f} {y:.3f} l S Q".encode()


def _numbers(*values: float) -> Any:
    return generic.ArrayObject([generic.FloatObject(round(one, 4)) for one in values])
