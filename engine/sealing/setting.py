"""Lines of text as PDF operators: shaped by HarfBuzz, in visual order, measured before they are drawn.

`Ink` collects the glyphs that a document uses and at its end embeds subsets of the fonts; nothing is drawn
without its font inside the file. Each glyph and, in complex scripts, each stretch carries its text, so that
searching, copying and reading aloud work.
Source: ISO 32000-2 sections 9.4.3, 9.7.4, 9.10.3, 14.9.4.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import uharfbuzz as hb
from pyhanko.pdf_utils import generic

from engine.fonts.runs import Run, Unprintable, split_runs
from engine.sealing.typefaces import Outlines, Typefaces, outlines

ASCENT, DESCENT = 0.93, 0.24  # of the em, enough for every built-in face's marks
_name = generic.pdf_name


@dataclass(frozen=True, slots=True)
class Glyph:
    """Lengths in thousandths of the em."""

    id: int
    advance: float
    x_offset: float
    y_offset: float
    text: str


@dataclass(frozen=True, slots=True)
class Stretch:
    face: Outlines
    text: str
    glyphs: tuple[Glyph, ...]
    is_rtl: bool


@dataclass(frozen=True, slots=True)
class Line:
    """`width` in ems."""

    stretches: tuple[Stretch, ...]
    width: float


def set_line(faces: Typefaces, text: str, *, bold: bool = False) -> Line:
    """`text` must be writable (see Typefaces.writable)."""
    if text.isascii():
        runs: tuple[Run, ...] = (Run(text, (faces.bold if bold else faces.regular)[0], is_rtl=False),)
    else:
        runs = _runs_of(faces, text, bold=bold)
    stretches = tuple(_shape(outlines(run.face), run.text, is_rtl=run.is_rtl) for run in runs if run.text)
    return Line(stretches, sum(glyph.advance for one in stretches for glyph in one.glyphs) / 1000)


def _runs_of(faces: Typefaces, text: str, *, bold: bool) -> tuple[Run, ...]:
    try:
        return split_runs(text, faces.bold if bold else faces.regular)
    except Unprintable:
        # A mark that no face has together with its letter: written out, as a letter without a face is.
        return split_runs("".join(_spelled(one) for one in text), faces.bold if bold else faces.regular)


def _spelled(letter: str) -> str:
    return f"[U+{ord(letter):04X}]" if unicodedata.category(letter).startswith("M") else letter


def wrap(faces: Typefaces, text: str, ems: float, *, bold: bool = False) -> list[Line]:
    """Lines no wider than `ems`: broken at spaces, and inside a word that is wider than the line."""
    space = set_line(faces, " ", bold=bold).width
    lines: list[str] = []
    current, width = "", 0.0
    for word in text.split(" "):
        wide = set_line(faces, word, bold=bold).width if word else 0.0
        if current and width + space + wide <= ems:
            current, width = f"{current} {word}", width + space + wide
            continue
        if current:
            lines.append(current)
        while wide > ems and len(word) > 1:
            cut = _fitting(faces, word, ems, bold=bold)
            lines.append(word[:cut])
            word = word[cut:]
            wide = set_line(faces, word, bold=bold).width if word else 0.0
        current, width = word, wide
    if current or not lines:
        lines.append(current)
    return [set_line(faces, line, bold=bold) for line in lines]


def _fitting(faces: Typefaces, word: str, ems: float, *, bold: bool) -> int:
    """How many letters of the word fit, at least one; never parts a letter from its marks."""
    low, high = 1, len(word)
    while low < high:
        middle = (low + high + 1) // 2
        if set_line(faces, word[:middle], bold=bold).width <= ems:
            low = middle
        else:
            high = middle - 1
    while low > 1 and low < len(word) and unicodedata.category(word[low]).startswith("M"):
        low -= 1
    return low


def _shape(face: Outlines, text: str, *, is_rtl: bool) -> Stretch:
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.guess_segment_properties()
    buffer.direction = "rtl" if is_rtl else "ltr"
    hb.shape(face.font, buffer)
    scale = 1000 / face.upem
    starts = sorted({info.cluster for info in buffer.glyph_infos})
    ends = dict(zip(starts, [*starts[1:], len(text)], strict=True))
    told: set[int] = set()
    glyphs: list[Glyph] = []
    for info, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
        letters = "" if info.cluster in told else text[info.cluster : ends[info.cluster]]
        told.add(info.cluster)
        advance, x, y = (one * scale for one in (position.x_advance, position.x_offset, position.y_offset))
        glyphs.append(Glyph(info.codepoint, advance, x, y, letters))
    return Stretch(face, text, tuple(glyphs), is_rtl)


class Ink:
    """The fonts of one document while it is written. `resources` names what was used."""

    def __init__(self) -> None:
        self._names: dict[Outlines, str] = {}
        self._used: dict[Outlines, dict[int, str]] = {}

    def draw(self, line: Line, x: float, y: float, size: float) -> bytes:
        """Operators that write the line with its baseline beginning at (x, y)."""
        parts = [b"BT"]
        for stretch in line.stretches:
            if stretch.glyphs:
                parts.append(self._draw_stretch(stretch, x, y, size))
                x += sum(glyph.advance for glyph in stretch.glyphs) * size / 1000
        parts.append(b"ET")
        return b"\n".join(parts)

    def resources(self, writer: Any, placeholders: "FontPlaces") -> Any:
        """A /Font dictionary for everything drawn so far."""
        return generic.DictionaryObject(
            {_name(f"/{name}"): placeholders.of(writer, face) for face, name in self._names.items()}
        )

    def used(self) -> Iterable[tuple[Outlines, dict[int, str]]]:
        return self._used.items()

    def _draw_stretch(self, stretch: Stretch, x: float, y: float, size: float) -> bytes:
        name = self._names.setdefault(stretch.face, f"CsF{len(self._names)}")
        used = self._used.setdefault(stretch.face, {})
        # Readers turn right-to-left text round themselves, glyph by glyph: told the words, they do it twice.
        is_told = not (stretch.is_rtl or stretch.text.isascii())
        actual = ("\ufeff" + stretch.text).encode("utf-16-be").hex()
        pieces = [f"/Span <</ActualText <{actual}>>> BDC".encode()] if is_told else []
        pieces.append(f"/{name} {_number(size)} Tf 1 0 0 1 {_number(x)} {_number(y)} Tm".encode())
        shown: list[str] = []
        for glyph in stretch.glyphs:
            used[glyph.id] = used.get(glyph.id) or glyph.text
            natural = stretch.face.advance(glyph.id)
            if glyph.x_offset or glyph.y_offset:
                rise = glyph.y_offset * size / 1000
                shown.append(
                    f"{_number(-glyph.x_offset)}] TJ {_number(rise)} Ts [<{glyph.id:04x}>] TJ 0 Ts ["
                )
                behind = natural - glyph.advance + glyph.x_offset
            else:
                shown.append(f"<{glyph.id:04x}>")
                behind = natural - glyph.advance
            if abs(behind) > 0.01:
                shown.append(_number(behind))
        pieces.append(f"[{' '.join(shown)}] TJ{' EMC' if is_told else ''}".replace("[] TJ", "").encode())
        return b"\n".join(pieces)


class FontPlaces:
    """Where the fonts will lie in the file: named before their glyphs are known, written once at the end."""

    def __init__(self) -> None:
        self._places: dict[Outlines, Any] = {}

    def of(self, writer: Any, face: Outlines) -> Any:
        if face not in self._places:
            self._places[face] = writer.allocate_placeholder()
        return self._places[face]

    def write(self, writer: Any, inks: Iterable[Ink]) -> None:
        """Embeds a subset of each font with the glyphs that all the inks used."""
        used: dict[Outlines, dict[int, str]] = {}
        for ink in inks:
            for face, glyphs in ink.used():
                known = used.setdefault(face, {})
                for glyph, text in glyphs.items():
                    known[glyph] = known.get(glyph) or text
        for face, glyphs in used.items():
            _embed(writer, self.of(writer, face), face, glyphs)


def _embed(writer: Any, place: Any, face: Outlines, glyphs: dict[int, str]) -> None:
    wanted = hb.SubsetInput()
    wanted.glyph_set.update(glyphs)
    wanted.flags = hb.SubsetFlags.RETAIN_GIDS | hb.SubsetFlags.NO_LAYOUT_CLOSURE | hb.SubsetFlags.NO_HINTING
    for tag in ("GSUB", "GPOS", "GDEF", "cmap"):
        wanted.drop_table_tag_set.add(int.from_bytes(tag.encode(), "big"))
    subset = bytes(hb.subset(face.face, wanted).blob.data)
    base = _name(f"/{_tag(glyphs)}+{face.name}")
    file = generic.StreamObject(stream_data=subset)
    file.compress()
    if face.is_cff:
        file[_name("/Subtype")] = _name("/OpenType")
    extents = face.font.get_font_extents("ltr")
    scale = 1000 / face.upem
    descriptor = generic.DictionaryObject(
        {
            _name("/Type"): _name("/FontDescriptor"),
            _name("/FontName"): base,
            _name("/Flags"): generic.NumberObject(4),
            _name("/FontBBox"): generic.ArrayObject(
                [generic.NumberObject(one) for one in (-1000, -500, 3000, 1200)]
            ),
            _name("/ItalicAngle"): generic.NumberObject(0),
            _name("/Ascent"): generic.NumberObject(round(extents.ascender * scale)),
            _name("/Descent"): generic.NumberObject(round(extents.descender * scale)),
            _name("/CapHeight"): generic.NumberObject(700),
            _name("/StemV"): generic.NumberObject(80),
            _name("/FontFile3" if face.is_cff else "/FontFile2"): writer.add_object(file),
        }
    )
    widths = generic.ArrayObject()
    for glyph in sorted(glyphs):
        advance = round(face.advance(glyph), 2)
        widths += [generic.NumberObject(glyph), generic.ArrayObject([generic.FloatObject(advance)])]
    descendant = generic.DictionaryObject(
        {
            _name("/Type"): _name("/Font"),
            _name("/Subtype"): _name("/CIDFontType0" if face.is_cff else "/CIDFontType2"),
            _name("/BaseFont"): base,
            _name("/CIDSystemInfo"): generic.DictionaryObject(
                {
                    _name("/Registry"): generic.TextStringObject("Countersign"),
                    _name("/Ordering"): generic.TextStringObject("Identity"),
                    _name("/Supplement"): generic.NumberObject(0),
                }
            ),
            _name("/FontDescriptor"): writer.add_object(descriptor),
            _name("/W"): widths,
        }
    )
    if not face.is_cff:
        descendant[_name("/CIDToGIDMap")] = _name("/Identity")
    to_unicode = generic.StreamObject(stream_data=_to_unicode(glyphs))
    to_unicode.compress()
    font = generic.DictionaryObject(
        {
            _name("/Type"): _name("/Font"),
            _name("/Subtype"): _name("/Type0"),
            _name("/BaseFont"): base,
            _name("/Encoding"): _name("/Identity-H"),
            _name("/DescendantFonts"): generic.ArrayObject([writer.add_object(descendant)]),
            _name("/ToUnicode"): writer.add_object(to_unicode),
        }
    )
    writer.add_object(font, idnum=place.idnum)


def _tag(glyphs: Iterable[int]) -> str:
    """Six letters that differ for different subsets."""
    number = sum((place + 1) * glyph for place, glyph in enumerate(sorted(glyphs)))
    return "".join(chr(65 + number // 26**power % 26) for power in range(6))


def _to_unicode(glyphs: dict[int, str]) -> bytes:
    rows = [
        f"<{glyph:04x}> <{text.encode('utf-16-be').hex()}>" for glyph, text in sorted(glyphs.items()) if text
    ]
    blocks = [rows[place : place + 100] for place in range(0, len(rows), 100)]
    mapped = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CIDSystemInfo <</Registry (Countersign) /Ordering (UCS) /Supplement 0>> def\n"
        "/CMapName /Countersign-Identity-UCS def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{mapped}\nendcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode("ascii")


def _number(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"
