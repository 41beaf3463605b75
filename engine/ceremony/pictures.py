"""A drawn or uploaded signature: decoded within limits, cleaned, and written anew as a PNG.

Only PNG and JPEG, by their first bytes; the size is checked before a pixel is decoded. Nothing of the file
survives but its pixels: no metadata, no second frame, no trailing bytes. A white ground becomes transparent, so
that the document shows through. CPU-bound: call it in a thread. Must never be given an SVG.
"""

import base64
import binascii
import io

import msgspec
from PIL import Image, ImageChops, UnidentifiedImageError

from engine.ceremony.refusals import PictureRefused

_WIDEST, _HIGHEST = 1600, 800
_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
# Paler than this is paper; the darkest is ink. Between them the edge stays soft.
_PAPER, _INK = 235, 60
_FAINTEST = 24
_MARGIN = 4


class Picture(msgspec.Struct, frozen=True):
    """A PNG with transparent ground, sizes in pixels."""

    png: bytes
    width: int
    height: int


def read_picture(content: bytes, *, most_pixels: int) -> Picture:
    """Raises PictureRefused, which says what was found."""
    kind = next((name for magic, name in _MAGIC.items() if content.startswith(magic)), None)
    if kind is None:
        raise PictureRefused("picture_type", "The picture is neither a PNG nor a JPEG file.")
    try:
        with Image.open(io.BytesIO(content), formats=(kind,)) as opened:
            if opened.width * opened.height > most_pixels:
                raise PictureRefused(
                    "picture_too_large",
                    f"The picture has {opened.width} x {opened.height} pixels; {most_pixels} in all can be read.",
                    values={"most": str(most_pixels)},
                )
            if kind == "JPEG":
                opened.draft("RGB", (_WIDEST, _HIGHEST))  # decodes at a fraction of the size where it can
            pixels = opened.convert("RGBA")
    except PictureRefused:
        raise
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise PictureRefused("picture_damaged", "The picture cannot be read.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureRefused("picture_too_large", "The picture has too many pixels.") from error
    pixels.thumbnail((_WIDEST, _HIGHEST), Image.Resampling.LANCZOS)
    return finish_picture(_without_paper(pixels))


def decode_base64(text: str, *, most_bytes: int) -> bytes:
    """The bytes of a picture out of JSON; a data URL's head is let pass. Raises PictureRefused."""
    head, comma, tail = text.partition(",")
    encoded = tail if comma and head.startswith("data:image/") else text
    if len(encoded) > most_bytes * 4 // 3 + 8:
        raise PictureRefused(
            "picture_too_large",
            f"The picture has more than {most_bytes} bytes.",
            values={"most": str(most_bytes)},
        )
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PictureRefused("picture_damaged", "The picture is not in base64.") from error


def finish_picture(pixels: Image.Image) -> Picture:
    """Cropped to what is drawn, with a small margin. Raises PictureRefused for an empty one."""
    visible = pixels.getchannel("A").point(lambda level: 255 if level > _FAINTEST else 0).getbbox()
    if visible is None:
        raise PictureRefused("picture_empty", "Nothing is drawn in the picture.")
    left, top, right, bottom = visible
    box = (left - _MARGIN, top - _MARGIN, right + _MARGIN, bottom + _MARGIN)
    # A new image: nothing of the file's own comes along.
    clean = Image.new("RGBA", (box[2] - box[0], box[3] - box[1]), (0, 0, 0, 0))
    clean.paste(pixels.crop(visible), (_MARGIN, _MARGIN))
    target = io.BytesIO()
    clean.save(target, "PNG", optimize=False, compress_level=6)
    return Picture(target.getvalue(), clean.width, clean.height)


def _without_paper(pixels: Image.Image) -> Image.Image:
    """As it is when it has transparent parts already; else what is paler than ink fades away."""
    alpha = pixels.getchannel("A")
    if alpha.getextrema()[0] < _PAPER:  # type: ignore[operator]  # one band: two numbers
        return pixels
    darkness = pixels.convert("L").point(
        lambda level: max(0, min(255, round((_PAPER - level) * 255 / (_PAPER - _INK))))
    )
    result = pixels.copy()
    result.putalpha(ImageChops.multiply(alpha, darkness))
    return result
