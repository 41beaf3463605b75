"""The fonts that documents are written with, and what is written for a letter that none of them has.

Such a letter is never drawn as an empty box: its code point is written in its place, [U+5C71]. More scripts
(Chinese, Japanese, Korean) come with a folder of fonts of the operator's own.
"""

import unicodedata
from functools import cache
from pathlib import Path

import uharfbuzz as hb

from engine.fonts import faces as font_faces
from engine.fonts.faces import Face, extra_faces, load_face

_FOLDER = Path(font_faces.__file__).parent
_BOLD = Face("noto-sans-bold", "Noto Sans Bold", "Noto Sans", _FOLDER / "NotoSans-Bold.ttf")
_MORE = tuple(
    Face(f"noto-sans-{script.lower()}", f"Noto Sans {script}", f"Noto Sans {script}", path)
    for script, path in (
        (script, _FOLDER / f"NotoSans{script}-Regular.ttf") for script in ("Armenian", "Georgian")
    )
)
_JOINERS = "\u200c\u200d"


class Outlines:
    """A face ready for shaping: `upem` units to the em."""

    def __init__(self, face: Face) -> None:
        loaded = load_face(face)
        self.name = "".join(letter for letter in face.path.stem if letter.isalnum() or letter == "-")
        self.face = loaded.shaped
        self.font = hb.Font(self.face)
        self.upem = int(self.face.upem)
        self.is_cff = "CFF " in set(self.face.table_tags)
        self._advances: dict[int, float] = {}

    def advance(self, glyph: int) -> float:
        """In thousandths of the em."""
        known = self._advances.get(glyph)
        if known is None:
            known = self._advances[glyph] = self.font.get_glyph_h_advance(glyph) * 1000 / self.upem
        return known


@cache
def outlines(face: Face) -> Outlines:
    return Outlines(face)


class Typefaces:
    """`regular` and `bold` are lists of faces in the order in which they are asked for a letter."""

    def __init__(self, font_folder: Path | None = None) -> None:
        self.regular: tuple[Face, ...] = (*font_faces.TEXT_FACES, *_MORE, *extra_faces(font_folder))
        self.bold: tuple[Face, ...] = (_BOLD, *self.regular)

    def writable(self, text: str) -> tuple[str, int]:
        """The text with what cannot be drawn written out, and how many letters that were.

        Control characters go (a name must not turn the letters behind it round), line ends become spaces.
        """
        parts: list[str] = []
        missing = 0
        for letter in unicodedata.normalize("NFC", text):
            if letter in _JOINERS:
                parts.append(letter)
                continue
            kind = unicodedata.category(letter)
            if letter.isspace():
                parts.append(" ")
            elif kind in {"Cc", "Cf"}:
                continue
            elif kind not in {"Cs", "Co", "Cn"} and self._has(letter):
                parts.append(letter)
            else:
                parts.append(f"[U+{ord(letter):04X}]")
                missing += 1
        return "".join(parts), missing

    def _has(self, letter: str) -> bool:
        return any(ord(letter) in load_face(face).code_points for face in self.regular)


@cache
def typefaces(font_folder: Path | None = None) -> Typefaces:
    """One set per folder and process: reading the fonts is what takes the time."""
    return Typefaces(font_folder)
