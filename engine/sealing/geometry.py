"""Where a page's displayed corner lies in its own coordinates: the matrix from what a reader sees to the page.

Everything is drawn in displayed coordinates (CropBox within MediaBox, after Rotate, origin at the bottom left,
points) and mapped once. Inherited entries are looked up by a bounded number of steps: page trees may loop.
Source: ISO 32000-2 sections 7.7.3.4, 8.3.2.3, 14.11.2.
"""

from typing import Any

import msgspec
from pyhanko.pdf_utils import generic

_MOST_ANCESTORS = 64
_LETTER = (0.0, 0.0, 612.0, 792.0)


class PageFrame(msgspec.Struct, frozen=True):
    """`matrix` maps displayed coordinates to the page's; `unit` is the size of a user unit in points."""

    width: float
    height: float
    matrix: tuple[float, float, float, float, float, float]
    unit: float = 1.0

    def place(self, x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Left, bottom, right, top in displayed coordinates of a box given as fractions from the top left."""
        left, top = x * self.width, (1 - y) * self.height
        return left, top - height * self.height, left + width * self.width, top

    def to_page(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """A displayed box as the rectangle of an annotation."""
        a, b, c, d, e, f = self.matrix
        corners = [(a * x + c * y + e, b * x + d * y + f) for x in (box[0], box[2]) for y in (box[1], box[3])]
        across, up = [x for x, _ in corners], [y for _, y in corners]
        return min(across), min(up), max(across), max(up)


def read_frame(page: Any) -> PageFrame:
    """`page` is a page's dictionary as pyHanko reads it; nonsense in it falls back to what readers do."""
    media = _box(inherited(page, "/MediaBox")) or _LETTER
    crop = _box(inherited(page, "/CropBox")) or media
    x0, y0 = max(media[0], crop[0]), max(media[1], crop[1])
    x1, y1 = min(media[2], crop[2]), min(media[3], crop[3])
    if x1 <= x0 or y1 <= y0:
        x0, y0, x1, y1 = media
    wide, high = x1 - x0, y1 - y0
    rotation = _number(inherited(page, "/Rotate"), 0.0)
    unit = _number(entry(page, "/UserUnit"), 1.0)
    match round(rotation / 90) % 4:
        case 1:
            width, height, matrix = high, wide, (0.0, 1.0, -1.0, 0.0, x1, y0)
        case 2:
            width, height, matrix = wide, high, (-1.0, 0.0, 0.0, -1.0, x1, y1)
        case 3:
            width, height, matrix = high, wide, (0.0, -1.0, 1.0, 0.0, x0, y1)
        case _:
            width, height, matrix = wide, high, (1.0, 0.0, 0.0, 1.0, x0, y0)
    return PageFrame(width, height, matrix, unit if unit > 0 else 1.0)


def inherited(page: Any, name: str) -> Any:
    """The entry of the page or of the nearest ancestor that has it; None when none does."""
    node = page
    for _ in range(_MOST_ANCESTORS):
        value = entry(node, name)
        if value is not None:
            return value
        node = entry(node, "/Parent")
        if not isinstance(node, generic.DictionaryObject):
            break
    return None


def entry(dictionary: Any, name: str) -> Any:
    """What an entry refers to; None when there is none, or nothing."""
    if name not in dictionary:
        return None
    value = dictionary[name]
    return None if isinstance(value, generic.NullObject) else value


def _box(value: Any) -> tuple[float, float, float, float] | None:
    try:
        x0, y0, x1, y1 = (float(one.get_object() if hasattr(one, "get_object") else one) for one in value)
    except (TypeError, ValueError):
        return None
    box = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    return box if box[2] > box[0] and box[3] > box[1] else None


def _number(value: Any, otherwise: float) -> float:
    try:
        return float(value) if value is not None else otherwise
    except (TypeError, ValueError):
        return otherwise
