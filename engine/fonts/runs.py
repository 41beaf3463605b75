"""Divides one line of text into runs of one face and one direction, in the order in which they stand on paper.

A character that no face has is an error, never an empty box. Explicit bidirectional controls are refused: with
them a name can be made to read as another. The levels are those of the Unicode Bidirectional Algorithm without
its explicit controls and brackets, which names do not need.
Source: Unicode Standard Annex 9, rules P2, W1-W7 (W4-W6 as neutrals), N1, N2, I1, I2, L2.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import msgspec

from engine.fonts.faces import Face, load_face

_JOINERS = "\u200c\u200d"
_RIGHT = {"R", "AL"}
_REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


class Run(msgspec.Struct, frozen=True):
    """`text` in logical order."""

    text: str
    face: Face
    is_rtl: bool


class Unprintable(ValueError):
    """`characters`: those that no face has, or that a name must not hold."""

    def __init__(self, characters: str) -> None:
        super().__init__(
            "no font has these characters: " + ", ".join(f"U+{ord(one):04X}" for one in characters)
        )
        self.characters = characters


def split_runs(text: str, faces: Sequence[Face]) -> tuple[Run, ...]:
    """The runs from left to right. Raises Unprintable."""
    text = unicodedata.normalize("NFC", text)
    refused = [one for one in text if unicodedata.category(one) in _REFUSED and one not in _JOINERS]
    if refused:
        raise Unprintable("".join(dict.fromkeys(refused)))
    levels = _levels(text)
    whole = _faces_of_words(text, faces)
    pieces: list[tuple[Run, int]] = []
    for cluster, start in _clusters(text):
        face = whole[start] or _face_of(cluster, faces, pieces[-1][0].face if pieces else None)
        level = levels[start]
        if pieces and pieces[-1][0].face == face and pieces[-1][1] == level:
            cluster = pieces.pop()[0].text + cluster
        pieces.append((Run(cluster, face, level % 2 == 1), level))
    return _reordered(pieces)


def is_right_to_left(text: str) -> bool:
    """Whether the first letter with a direction runs from right to left."""
    for one in text:
        kind = unicodedata.bidirectional(one)
        if kind == "L":
            return False
        if kind in _RIGHT:
            return True
    return False


def _faces_of_words(text: str, faces: Sequence[Face]) -> list[Face | None]:
    """Per character, the first face that has its whole word; None: the word needs several, or it is a space."""
    found: list[Face | None] = []
    for part in re.split(r"(\s+)", text):
        points = {ord(one) for one in part if one not in _JOINERS}
        face = next((one for one in faces if points <= load_face(one).code_points), None)
        found += [None if part.isspace() else face] * len(part)
    return found


def _clusters(text: str) -> Iterator[tuple[str, int]]:
    """A letter with the marks and joiners that belong to it, and where it begins."""
    start = 0
    for index in range(1, len(text) + 1):
        at_end = index == len(text)
        if at_end or not (unicodedata.category(text[index]).startswith("M") or text[index] in _JOINERS):
            yield text[start:index], start
            start = index


def _face_of(cluster: str, faces: Sequence[Face], before: Face | None) -> Face:
    wanted = {ord(one) for one in cluster if one not in _JOINERS}
    # A space or a full stop stays with the word before it.
    is_common = not any(unicodedata.category(one)[0] in "LMN" for one in cluster)
    candidates = [before, *faces] if is_common and before is not None else faces
    for face in candidates:
        if wanted <= load_face(face).code_points:
            return face
    raise Unprintable("".join(chr(point) for point in sorted(wanted)))


def _levels(text: str) -> list[int]:
    base = int(is_right_to_left(text))
    kinds = [unicodedata.bidirectional(one) for one in text]
    strong: list[str] = []
    last = "R" if base else "L"
    for index, kind in enumerate(kinds):
        if kind == "NSM":
            kind = strong[index - 1] if index else "ON"  # W1
        if kind in {"L", *_RIGHT}:
            last = "L" if kind == "L" else "R"
            strong.append(last)
        elif kind in {"EN", "AN"}:
            strong.append(
                "L" if kind == "EN" and last == "L" else "N"
            )  # W7: a number after Latin reads as Latin
        else:
            strong.append("")
    levels = []
    for index, kind in enumerate(strong):
        side = kind or _neutral(strong, index, base)
        if base:
            levels.append(1 if side == "R" else 2)
        else:
            levels.append({"L": 0, "R": 1, "N": 2}[side])
    return levels


def _neutral(strong: Sequence[str], index: int, base: int) -> str:
    """Between two of the same direction it is theirs (numbers count as right), else the line's (N1, N2)."""
    fallback = "R" if base else "L"
    before = next((kind for kind in reversed(strong[:index]) if kind), fallback)
    after = next((kind for kind in strong[index + 1 :] if kind), fallback)
    before, after = ("R" if kind == "N" else kind for kind in (before, after))
    return before if before == after else fallback


def _reordered(pieces: Sequence[tuple[Run, int]]) -> tuple[Run, ...]:
    """Rule L2: from the highest level down, what stands at that level or above is turned round."""
    line = list(pieces)
    for level in range(max((level for _, level in line), default=0), 0, -1):
        start = 0
        while start < len(line):
            if line[start][1] < level:
                start += 1
                continue
            end = start
            while end < len(line) and line[end][1] >= level:
                end += 1
            line[start:end] = line[start:end][::-1]
            start = end
    return tuple(run for run, _ in line)
