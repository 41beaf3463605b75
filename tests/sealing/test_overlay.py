"""Stamps land where the field was shown, upright, whatever the page's boxes, rotation and operators are."""

import io
import itertools
import uuid
import zlib

import pikepdf
import pytest
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from engine.sealing.overlay import Drawn, Overlay
from engine.sealing.stamps import CheckStamp, PictureStamp, Stamp, TextStamp
from engine.sealing.typefaces import typefaces
from tests.sealing.papers import Box, ink_box, make_pdf, page_sizes, quarters, render, scribble, text_of

ROTATIONS = (0, 90, 180, 270, -90, 450)
BOXES: tuple[tuple[Box, Box | None], ...] = (
    ((0, 0, 595, 842), None),
    ((-50, 30, 595, 842), (20, 60, 500, 700)),
    ((595, 842, 0, 0), (550, 800, 40, 30)),
)
CONTENTS = (
    b"q 0.9 0.9 0.9 rg 0 0 300 300 re f Q",
    b"q q 2 0 0 2 100 100 cm 0.9 0.9 0.9 rg 0 0 100 100 re f",
    b"Q Q 0.9 0.9 0.9 rg 0 0 300 300 re f",
)
PICTURE = uuid.UUID(int=7)


def stamp(pdf: bytes, *stamps: Stamp, pictures: dict[uuid.UUID, bytes] | None = None) -> tuple[bytes, Drawn]:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf), strict=False)
    drawn = Overlay(writer, typefaces(), pictures or {}).draw_pages(stamps)
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue(), drawn


def at(content, *, page=1, x=0.1, y=0.2, width=0.4, height=0.05) -> Stamp:
    return Stamp(page=page, x=x, y=y, width=width, height=height, field_id=uuid.UUID(int=1), content=content)


@pytest.mark.parametrize(
    ("rotate", "boxes", "content", "is_blank"),
    [(*case, False) for case in itertools.product(ROTATIONS, BOXES, CONTENTS)]
    + [(*case, True) for case in itertools.product(ROTATIONS, BOXES, CONTENTS)],
)
def test_a_picture_on_a_page_turned_and_cropped_lands_upright_in_its_field(rotate, boxes, content, is_blank):
    media, crop = boxes
    if is_blank and content is not CONTENTS[0]:
        content += b" q" if content is CONTENTS[1] else b" Q"
    pdf = make_pdf(
        rotate=rotate, media=media, crop=crop, content=b"" if is_blank and content is CONTENTS[0] else content
    )
    size = page_sizes(pdf)[0]
    x, y, width, height = 0.3, 0.6, 0.2, 0.1
    # The field has the picture's shape, so that the picture fills it.
    wide, high = int(size.width * width * 4), int(size.height * height * 4)

    stamped, _ = stamp(
        pdf,
        at(PictureStamp(PICTURE), x=x, y=y, width=width, height=height),
        pictures={PICTURE: quarters(wide, high)},
    )

    assert stamped.startswith(pdf)
    shown = render(stamped)
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
    places = {"red": (0.25, 0.25), "green": (0.75, 0.25), "blue": (0.25, 0.75), "black": (0.75, 0.75)}
    seen = {
        name: shown.getpixel((int(shown.width * (x + width * a)), int(shown.height * (y + height * b))))
        for name, (a, b) in places.items()
    }
    assert seen == colours
    for outside in ((-0.03, 0.5), (1.03, 0.5), (0.5, -0.06), (0.5, 1.06)):
        pixel = shown.getpixel(
            (int(shown.width * (x + width * outside[0])), int(shown.height * (y + height * outside[1])))
        )
        assert min(pixel) > 200, outside


def test_rotation_and_boxes_that_a_page_inherits_count_as_its_own():
    import pikepdf

    with pikepdf.open(io.BytesIO(make_pdf(rotate=90, crop=(100, 200, 500, 800)))) as pdf:
        page, tree = pdf.pages[0].obj, pdf.Root.Pages
        for name in ("/Rotate", "/CropBox", "/MediaBox", "/Resources"):
            tree[name] = pdf.make_indirect(page[name]) if name == "/Resources" else page[name]
            del page[name]
        target = io.BytesIO()
        pdf.save(target)
    stamped, _ = stamp(
        target.getvalue(),
        at(PictureStamp(PICTURE), x=0.3, y=0.6, width=0.2, height=0.1),
        pictures={PICTURE: quarters(120 * 4, 40 * 4)},
    )
    shown = render(stamped)
    assert shown.size == (600, 400)
    assert shown.getpixel((int(600 * 0.34), int(400 * 0.63))) == (255, 0, 0)
    assert shown.getpixel((int(600 * 0.46), int(400 * 0.67))) == (0, 0, 0)
    assert "Contract" in text_of(stamped)


def test_text_in_many_scripts_is_found_again_as_text():
    texts = ("Grüße, Señor Łukasz", "Ελληνικά", "Кириллица", "محمد العربي", "שלום עולם", "नमस्ते", "สวัสดี")
    stamped, drawn = stamp(
        make_pdf(), *(at(TextStamp(text), y=0.1 + place * 0.07) for place, text in enumerate(texts))
    )
    assert drawn.escaped == 0
    assert [text for text in texts if text not in _plain(text_of(stamped))] == []


def test_a_letter_without_a_font_is_written_as_its_code_point():
    stamped, drawn = stamp(make_pdf(), at(TextStamp("山田 Taro")))
    assert drawn.escaped == 2
    assert "[U+5C71][U+7530] Taro" in text_of(stamped)


def test_a_value_too_long_for_its_field_keeps_a_legible_size_and_says_where_the_rest_is():
    stamped, drawn = stamp(make_pdf(), at(TextStamp("word " * 5000), width=0.3, height=0.05))
    assert drawn.cut_fields == (uuid.UUID(int=1),)
    text = text_of(stamped)
    assert "(full text: certificate)" in " ".join(text.split())
    assert "word word" in text


def test_a_value_of_several_lines_stays_inside_its_field():
    stamped, drawn = stamp(make_pdf(), at(TextStamp("one\ntwo\nthree"), height=0.06))
    assert drawn.cut_fields == ()
    assert [word for word in ("one", "two", "three") if word not in text_of(stamped)] == []
    shown = render(stamped, scale=2)
    above = int(shown.height * 0.19) + 1
    below = shown.crop((0, above, shown.width, shown.height))
    assert above + ink_box(below, darker_than=120)[3] <= shown.height * 0.262


def test_a_signature_bears_its_line_inside_its_field_and_below_a_small_one():
    caption = ("Ada Lovelace: I approve this document", "2026-01-15 12:00:00 UTC  sig_01kexample")
    for height in (0.06, 0.015):
        stamped, _ = stamp(
            make_pdf(),
            at(PictureStamp(PICTURE, caption), width=0.3, height=height),
            pictures={PICTURE: scribble()},
        )
        text = " ".join(text_of(stamped).split())
        assert "Ada Lovelace: I approve this document" in text
        assert "2026-01-15 12:00:00 UTC" in text


def test_a_check_mark_and_a_radio_dot_are_drawn_dark():
    stamped, _ = stamp(
        make_pdf(content=b""),
        at(CheckStamp(), width=0.03, height=0.02),
        at(CheckStamp(is_round=True), y=0.4, width=0.03, height=0.02),
    )
    shown = render(stamped, scale=3)
    for y in (0.2, 0.4):
        box = shown.crop(
            (
                int(shown.width * 0.1),
                int(shown.height * y),
                int(shown.width * 0.13),
                int(shown.height * (y + 0.02)),
            )
        )
        assert min(sum(box.getpixel((a, b))) for a in range(box.width) for b in range(box.height)) < 250


def test_a_page_in_large_user_units_gets_text_of_the_size_a_reader_expects():
    small, _ = stamp(make_pdf(content=b""), at(TextStamp("Measure"), height=0.02))
    large, _ = stamp(
        make_pdf(content=b"", media=(0, 0, 59.5, 84.2), user_unit=10), at(TextStamp("Measure"), height=0.02)
    )
    widths = []
    for pdf, scale in ((small, 2), (large, 20)):  # the renderer takes no notice of the unit
        shown = render(pdf, scale=scale)
        left, _, right, _ = ink_box(shown, darker_than=140)
        widths.append((right - left) / shown.width)
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_pages_that_share_their_resources_each_show_their_own_stamp():
    stamped, _ = stamp(make_pdf(3), at(TextStamp("first")), at(TextStamp("third"), page=3))
    assert ["first" in text_of(stamped, page) for page in range(3)] == [True, False, False]
    assert "third" in text_of(stamped, 2)


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_page_whose_content_is_empty_or_cut_off_is_still_stamped(is_cut):
    """qpdf writes a blank page's content as a deflated stream of no bytes; a cut one shows what there is of it."""
    with pikepdf.new() as pdf:
        page = pdf.add_blank_page(page_size=(595, 842))
        deflated = zlib.compress(b"q BT ET " * 500)
        content = pdf.make_stream(deflated[: len(deflated) // 2] if is_cut else b"")
        content.Filter = pikepdf.Name.FlateDecode
        page.Contents = content
        target = io.BytesIO()
        pdf.save(target, stream_decode_level=pikepdf.StreamDecodeLevel.none, compress_streams=False)
    stamped, _ = stamp(target.getvalue(), at(TextStamp("Ada Lovelace")))
    assert "Ada Lovelace" in text_of(stamped)


def _plain(text: str) -> str:
    """Readers may give right-to-left text in either order and with presentation forms."""
    import unicodedata

    text = unicodedata.normalize("NFKC", text)
    return text + "\n" + "\n".join(line[::-1] for line in text.splitlines())
