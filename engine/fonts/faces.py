"""The faces that are here, in the order in which they are tried, and the ones that an operator adds.

Sources and licences: README.md beside this file.
"""

from functools import cache
from pathlib import Path

import msgspec
import uharfbuzz

_FOLDER = Path(__file__).parent
_SUFFIXES = (".ttf", ".otf")


class Face(msgspec.Struct, frozen=True):
    """`title` is what a reader chooses by, `css_family` the same face in the page."""

    id: str
    title: str
    css_family: str
    path: Path


HANDS: tuple[Face, ...] = (
    Face("caveat", "Caveat", "Caveat", _FOLDER / "Caveat.ttf"),
    Face("dancing-script", "Dancing", "Dancing Script", _FOLDER / "DancingHand.ttf"),
    Face("great-vibes", "Great Vibes", "Great Vibes", _FOLDER / "GreatVibes.ttf"),
)
TEXT_FACES: tuple[Face, ...] = tuple(
    Face(name, title, title, _FOLDER / f"{title.replace(' ', '')}-Regular.ttf")
    for name, title in (
        ("noto-sans", "Noto Sans"),
        ("noto-sans-arabic", "Noto Sans Arabic"),
        ("noto-sans-hebrew", "Noto Sans Hebrew"),
        ("noto-sans-devanagari", "Noto Sans Devanagari"),
        ("noto-sans-thai", "Noto Sans Thai"),
    )
)


class LoadedFace:
    """A face's file, read once per process."""

    __slots__ = ("code_points", "face", "shaped")

    def __init__(self, face: Face) -> None:
        self.face = face
        self.shaped = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(face.path)))
        self.code_points = frozenset(self.shaped.unicodes)


@cache
def load_face(face: Face) -> LoadedFace:
    return LoadedFace(face)


@cache
def extra_faces(folder: Path | None) -> tuple[Face, ...]:
    """The faces that an operator put into a folder, by name; none without one."""
    if folder is None:
        return ()
    return tuple(
        Face(f"extra-{path.stem.lower()}", path.stem, path.stem, path)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _SUFFIXES
    )
