"""Signatures as pictures: typed in any script, drawn, uploaded, and what a hostile file comes to."""

import base64
import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, PngImagePlugin

from engine.ceremony.pictures import Picture, decode_base64, read_picture
from engine.ceremony.refusals import PictureRefused
from engine.ceremony.typed import render_typed
from engine.fonts.faces import HANDS, TEXT_FACES, load_face
from engine.fonts.runs import Unprintable, split_runs
from tests.engine.signing.house import House
from tests.gateway.bodies import envelope, field, signer

ADA = "ada@example.com"
FACES = (HANDS[0], *TEXT_FACES)
NAMES = {
    "latin": "Ada Lovelace",
    "latin extended": "Łukasz Żółć",
    "vietnamese": "Nguyễn Văn Ánh",
    "cyrillic": "Владимир Ленский",
    "greek": "Ελένη Παπαδοπούλου",
    "arabic": "محمد عبد الله",
    "hebrew": "דוד בן־גוריון",
    "devanagari": "राजेश कुमार",
    "thai": "สมชาย ใจดี",
    "two directions": "Ada محمد 42",
}


def drawn(size: tuple[int, int] = (400, 150), mode: str = "RGB", kind: str = "PNG", **saved: object) -> bytes:
    image = Image.new(mode, size, "white" if mode == "RGB" else (0, 0, 0, 0))
    pen = ImageDraw.Draw(image)
    pen.line([(40, 100), (120, 30), (200, 110), (320, 40)], fill=(10, 20, 60), width=6)
    target = io.BytesIO()
    image.save(target, kind, **saved)
    return target.getvalue()


def read(content: bytes, most_pixels: int = 16_000_000) -> Picture:
    return read_picture(content, most_pixels=most_pixels)


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.png))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("hand", [face.id for face in HANDS])
def test_typed_signature_in_any_script_has_ink_and_a_transparent_ground(name: str, hand: str) -> None:
    image = opened(render_typed(name, hand))
    assert (image.format, image.mode) == ("PNG", "RGBA")
    assert image.size[0] > image.size[1] / 2
    alpha = image.getchannel("A").histogram()
    assert alpha[0] > image.width * image.height * 0.3
    assert sum(alpha[200:]) > 200


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_every_letter_of_a_name_has_a_glyph_in_the_face_that_writes_it(name: str) -> None:
    for run in split_runs(name, FACES):
        assert {ord(one) for one in run.text if one not in "\u200c\u200d"} <= load_face(run.face).code_points


def test_words_of_two_directions_stand_in_the_order_in_which_they_are_read() -> None:
    assert [(run.text.strip(), run.is_rtl) for run in split_runs("Ada محمد", FACES)] == [
        ("Ada", False),
        ("محمد", True),
    ]
    runs = [run.text.strip() for run in split_runs("محمد Smith 12", FACES)]
    assert runs == ["Smith 12", "محمد"]


def test_hand_that_lacks_one_letter_leaves_the_whole_word_to_another_face() -> None:
    runs = split_runs("Ada Nguyễn", FACES)
    assert [(run.text, run.face.id) for run in runs][-1] == ("Nguyễn", "noto-sans")


@pytest.mark.parametrize(
    "name", ["张伟", "山田太郎", "김철수", "🙂", "\u202eadA", "Ada\u2066x", "a\x00b", "\ue000"]
)
def test_text_that_no_font_writes_is_refused_with_its_characters(name: str) -> None:
    with pytest.raises(PictureRefused) as refused:
        render_typed(name, "caveat")
    assert refused.value.code == "signature_characters"
    assert refused.value.values["characters"]


def test_typed_signature_needs_a_known_hand_and_a_text_of_some_length() -> None:
    for text, font, code in (
        ("Ada", "comic-sans", "font_unknown"),
        ("   ", "caveat", "picture_empty"),
        ("x" * 101, "caveat", "signature_too_long"),
    ):
        with pytest.raises(PictureRefused) as refused:
            render_typed(text, font)
        assert refused.value.code == code
    assert render_typed("W" * 100, "great-vibes").width <= 6100


@given(st.text(max_size=40))
@settings(max_examples=50, deadline=None)
def test_any_text_is_either_drawn_or_refused(text: str) -> None:
    try:
        came_to = f"{render_typed(text, 'caveat').width > 0}"
    except PictureRefused as refused:
        came_to = refused.code
    assert came_to in {"True", "signature_characters", "picture_empty", "signature_too_long"}


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_runs_hold_every_character_once(text: str) -> None:
    import unicodedata

    try:
        runs = split_runs(text, FACES)
    except Unprintable:
        return
    assert sorted("".join(run.text for run in runs)) == sorted(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_uploaded_picture_loses_its_paper_and_keeps_its_ink(kind: str) -> None:
    image = opened(read(drawn(kind=kind)))
    assert image.mode == "RGBA"
    assert image.getpixel((0, 0))[3] == 0
    assert image.width < 400  # cropped to what is drawn
    assert max(image.getchannel("A").histogram()[250:]) > 0


def test_drawn_picture_keeps_its_transparent_ground() -> None:
    image = opened(read(drawn(mode="RGBA")))
    assert image.getchannel("A").getextrema() == (0, 255)


def test_nothing_of_the_file_but_its_pixels_survives() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "canary in a text chunk")
    content = drawn(pnginfo=notes) + b"canary after the end"
    exif = Image.Exif()
    exif[0x010E] = "canary in exif"
    for given_file in (content, drawn(kind="JPEG", exif=exif)):
        picture = read(given_file)
        assert b"canary" not in picture.png
        assert opened(picture).info == {}


def test_second_frame_of_a_moving_picture_is_dropped() -> None:
    second = Image.new("RGBA", (400, 150), (255, 0, 0, 255))
    target = io.BytesIO()
    Image.open(io.BytesIO(drawn(mode="RGBA"))).save(target, "PNG", save_all=True, append_images=[second])
    assert getattr(opened(read(target.getvalue())), "n_frames", 1) == 1


def png_that_claims(width: int, height: int) -> bytes:
    """A head that promises so many pixels, with next to nothing behind it."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "picture_type"),
        (b"GIF89a" + bytes(100), "picture_type"),
        (b"%PDF-1.7", "picture_type"),
        (b"", "picture_type"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "picture_damaged"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "picture_damaged"),
        (drawn()[:300], "picture_damaged"),
        (png_that_claims(60_000, 60_000), "picture_too_large"),
        (png_that_claims(9_000, 9_000), "picture_too_large"),
        (png_that_claims(3_000, 3_000), "picture_damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_hostile_picture_is_refused_for_what_it_is(content: bytes, code: str) -> None:
    with pytest.raises(PictureRefused) as refused:
        read(content)
    assert refused.value.code == code


def test_empty_paper_is_no_signature() -> None:
    target = io.BytesIO()
    Image.new("RGB", (300, 100), "white").save(target, "PNG")
    with pytest.raises(PictureRefused) as refused:
        read(target.getvalue())
    assert refused.value.code == "picture_empty"


def test_base64_is_read_with_and_without_a_data_urls_head_and_within_its_limit() -> None:
    text = base64.b64encode(b"x" * 3000).decode()
    assert decode_base64(text, most_bytes=3000) == b"x" * 3000
    assert decode_base64(f"data:image/png;base64,{text}", most_bytes=3000) == b"x" * 3000
    for wrong, code in ((text + "A" * 4000, "picture_too_large"), ("not base64!", "picture_damaged")):
        with pytest.raises(PictureRefused) as refused:
            decode_base64(wrong, most_bytes=3000)
        assert refused.value.code == code


async def test_signature_is_adopted_in_three_ways_and_the_ledger_says_how(house: House) -> None:
    await house.send(envelope(recipients=[signer(fields=[field()])]))
    browser = await house.reader(ADA)
    image = base64.b64encode(drawn()).decode()
    typed = await browser.adopt(text="محمد", font="caveat")
    sketched = await browser.adopt(type="draw", image=f"data:image/png;base64,{image}")
    await browser.adopt(type="upload", image=base64.b64encode(drawn(kind="JPEG")).decode())
    own = browser.field("signature")["id"]
    assert (await browser.sign(own, typed)).status_code == 200
    assert (await browser.sign(own, sketched, version=2)).status_code == 200  # a change of mind
    facts = [one["details"] for one in await house.ledger("signature_captured")]
    assert [one["type"] for one in facts] == ["typed", "draw", "upload"]
    stored = (await house.envelope()).signatures
    assert [one.text for one in stored] == ["محمد", "", ""]
    assert [one["sha256"] for one in facts] == [one.sha256 for one in stored]


async def test_hostile_upload_gets_a_reason_and_leaves_nothing(house: House) -> None:
    await house.send(envelope())
    browser = await house.reader(ADA)
    for body, code in (
        ({"type": "upload", "image": base64.b64encode(b"<svg/>").decode()}, "picture_type"),
        (
            {"type": "draw", "image": base64.b64encode(png_that_claims(60_000, 60_000)).decode()},
            "picture_too_large",
        ),
        ({"type": "draw", "image": "A" * 4_000_000}, "picture_too_large"),
        ({"type": "typed", "text": "张伟"}, "signature_characters"),
        ({"type": "stamp"}, "payload_malformed"),
    ):
        answer = await browser.call("POST", "signatures", body)
        assert answer.status_code in {400, 422}, answer.text
        assert answer.json()["code"] == code
    assert (await house.envelope()).signatures == ()


async def test_initials_do_not_pass_for_a_signature(house: House) -> None:
    await house.send(envelope(recipients=[signer(fields=[field()])]))
    browser = await house.reader(ADA)
    initials = await browser.adopt(purpose="initials", text="AL")
    answer = await browser.sign(browser.field("signature")["id"], initials)
    assert (answer.status_code, answer.json()["code"]) == (422, "signature_purpose")
