"""A typed signature as a picture: shaped and drawn by HarfBuzz in a hand, in any script that a face is here for.

What no hand can write falls back to Noto, word by word; what nothing can write is refused with clear words.
CPU-bound: call it in a thread.
"""

from pathlib import Path

import uharfbuzz
from PIL import Image

from engine.ceremony.pictures import Picture, finish_picture
from engine.ceremony.refusals import PictureRefused
from engine.fonts.faces import HANDS, TEXT_FACES, Face, extra_faces, load_face
from engine.fonts.runs import Run, Unprintable, split_runs

MOST_CHARACTERS = 100
_EM = 120
_UNITS = 64  # positions in 1/64 pixel
_WIDEST = 6000
_INK = (23, 31, 74)


def render_typed(text: str, font: str, *, extra_fonts: Path | None = None) -> Picture:
    """`font` is the id of one of HANDS. Raises PictureRefused."""
    text = " ".join(text.split())
    hand = next((face for face in HANDS if face.id == font), None)
    if hand is None:
        raise PictureRefused("font_unknown", "There is no such hand to write in.")
    if not text:
        raise PictureRefused("picture_empty", "There is nothing to write.")
    if len(text) > MOST_CHARACTERS:
        raise PictureRefused(
            "signature_too_long",
            f"A typed signature has at most {MOST_CHARACTERS} characters.",
            values={"most": str(MOST_CHARACTERS)},
        )
    return finish_picture(_inked(_draw(_runs(text, hand, extra_fonts))))


def _runs(text: str, hand: Face, extra_fonts: Path | None) -> tuple[Run, ...]:
    try:
        return split_runs(text, (hand, *TEXT_FACES, *extra_faces(extra_fonts)))
    except Unprintable as error:
        raise PictureRefused(
            "signature_characters",
            f"No font here can write {error.characters!r}. Draw the signature, or upload a picture of it.",
            values={"characters": error.characters},
        ) from error


def _draw(runs: tuple[Run, ...]) -> Image.Image:
    raster = uharfbuzz.RasterDraw()
    pen = 0
    for run in runs:
        font = uharfbuzz.Font(load_face(run.face).shaped)
        font.scale = (_EM * _UNITS, _EM * _UNITS)
        buffer = uharfbuzz.Buffer()
        buffer.add_str(run.text)
        buffer.guess_segment_properties()
        buffer.direction = "rtl" if run.is_rtl else "ltr"
        uharfbuzz.shape(font, buffer)
        for glyph, position in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            if glyph.codepoint == 0 and run.text.strip():
                raise PictureRefused("signature_characters", "A character cannot be written.")
            x, y = pen + position.x_offset, position.y_offset
            raster.transform = (1 / _UNITS, 0, 0, 1 / _UNITS, x / _UNITS, y / _UNITS)
            raster.draw_glyph(font, glyph.codepoint)
            pen += position.x_advance
    if pen > _WIDEST * _UNITS * 4:
        raise PictureRefused(
            "signature_too_long", "The signature is too wide.", values={"most": str(MOST_CHARACTERS)}
        )
    drawn = raster.render()
    size = drawn.extents
    if not size.width or not size.height:
        raise PictureRefused("picture_empty", "There is nothing to write.")
    # HarfBuzz writes the rows from the bottom up.
    return Image.frombytes("L", (size.width, size.height), drawn.buffer, "raw", "L", size.stride, -1)


def _inked(mask: Image.Image) -> Image.Image:
    if mask.width > _WIDEST:
        mask = mask.resize((_WIDEST, max(1, mask.height * _WIDEST // mask.width)), Image.Resampling.LANCZOS)
    result = Image.new("RGBA", mask.size, (*_INK, 0))
    result.putalpha(mask)
    return result
