"""A tenant's colours on our pages: contrast as WCAG computes it, and the shades that follow from one accent.

Source: WCAG 2.2, definitions of contrast ratio and relative luminance.
"""

import re
from typing import Final

import msgspec

CONTRAST: Final = 4.5
_HEX = re.compile(r"#[0-9a-f]{6}\Z")
_WHITE = "#ffffff"


class Shades(msgspec.Struct, frozen=True, kw_only=True):
    """`accent` with `ink` on it; `strong` is the accent as text on white; `soft` a tint to lie behind text;
    `line` a border's tint.
    """

    accent: str
    ink: str
    strong: str
    hover: str
    soft: str
    line: str


def is_colour(text: str) -> bool:
    return _HEX.match(text) is not None


def contrast(first: str, second: str) -> float:
    """1 to 21. Both are #rrggbb."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def shades_of(accent: str, ink: str) -> Shades:
    """Darkens a light accent until it reads on white and on its own tint: links and outlines use that."""
    soft = _mix(accent, _WHITE, 0.92)
    strong = accent
    for step in range(1, 20):
        if contrast(strong, soft) >= CONTRAST:
            break
        strong = _mix(accent, "#000000", step * 0.05)
    darker, lighter = _mix(accent, "#000000", 0.14), _mix(accent, _WHITE, 0.14)
    return Shades(
        accent=accent,
        ink=ink,
        strong=strong,
        # Away from the ink, so that the words on a button gain by it.
        hover=darker if contrast(darker, ink) > contrast(lighter, ink) else lighter,
        soft=soft,
        line=_mix(accent, _WHITE, 0.7),
    )


def lighten_for(colour: str, ground: str) -> str:
    """The colour, as light as it must be to be read on a dark `ground`."""
    for step in range(20):
        lighter = _mix(colour, _WHITE, step * 0.05)
        if contrast(lighter, ground) >= CONTRAST:
            return lighter
    return _WHITE


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else float(((channel + 0.055) / 1.055) ** 2.4)


def _mix(colour: str, other: str, share: float) -> str:
    """`share` of the other colour."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
