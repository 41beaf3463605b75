"""Texts are found where a reader sees them: on turned, cropped and moved pages, over lines, every time."""

import io
from typing import Any

import pikepdf
import pytest
from reportlab.pdfgen.canvas import Canvas

from engine.documents.anchors import find_anchors, missing_anchor
from engine.documents.text import page_texts
from normalizer.errors import ValidationFailed
from tests.engine.documents.conftest import Bench
from tests.gateway import papers

WIDTH, HEIGHT = 600.0, 800.0


def written(*lines: tuple[float, float, str], pages: int = 1) -> bytes:
    """Each text with the left end of its base line, from the bottom left."""
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=(WIDTH, HEIGHT))
    for _ in range(pages):
        for x, y, text in lines:
            canvas.setFont("Helvetica", 12)
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return target.getvalue()


def turned(content: bytes, rotate: int, crop: tuple[float, float, float, float] | None = None) -> bytes:
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(content)) as pdf:
        for page in pdf.pages:
            page.rotate(rotate, relative=False)
            if crop:
                page.cropbox = pikepdf.Array(list(crop))
        pdf.save(target)
    return target.getvalue()


async def find(bench: Bench, content: bytes, *texts: str) -> Any:
    return await find_anchors(bench.engine, bench.tenant_id, await bench.store(content), texts)


CASES = {
    # rotate, crop box
    "plain": (0, None),
    "turned right": (90, None),
    "upside down": (180, None),
    "turned left": (270, None),
    "cropped": (0, (50, 100, 550, 750)),
    "cropped and turned": (90, (50, 100, 550, 750)),
}


@pytest.mark.parametrize("what", CASES)
async def test_an_anchor_is_found_where_the_page_shows_it(bench: Bench, what: str) -> None:
    rotate, crop = CASES[what]
    found = await find(bench, turned(written((100, 600, "SIGN-HERE")), rotate, crop), "SIGN-HERE")
    (place,) = found["SIGN-HERE"]
    left, bottom, right, top = 100.0, 600.0, 100 + place_length(place, rotate), 609.0
    x0, y0, x1, y1 = crop or (0, 0, WIDTH, HEIGHT)
    corners = [shown(x, y, rotate, (x0, y0, x1, y1)) for x, y in ((left, top), (right, bottom))]
    expected_x, expected_y = min(one[0] for one in corners), min(one[1] for one in corners)
    assert place.page == 1
    assert place.x == pytest.approx(expected_x, abs=1.5)
    assert place.y == pytest.approx(expected_y, abs=1.5)


def place_length(place: Any, rotate: int) -> float:
    return place.width if rotate % 180 == 0 else place.height


def shown(x: float, y: float, rotate: int, box: tuple[float, float, float, float]) -> tuple[float, float]:
    """A point of the page as displayed, from the top left; worked out by hand, not by the library under test."""
    x0, y0, x1, y1 = box
    match rotate:
        case 0:
            return x - x0, y1 - y
        case 90:
            return y - y0, x - x0
        case 180:
            return x1 - x, y - y0
        case _:
            return y1 - y, x1 - x


async def test_every_occurrence_is_found_in_reading_order_and_none_is_told_as_none(bench: Bench) -> None:
    content = written((100, 700, "Sign: ____"), (100, 300, "Sign: ____"), pages=2)
    found = await find(bench, content, "Sign:", "Nowhere")
    assert [(one.page, round(one.x)) for one in found["Sign:"]] == [(1, 101), (1, 101), (2, 101), (2, 101)]
    assert found["Sign:"][0].y < found["Sign:"][1].y
    assert found["Nowhere"] == ()
    assert "'Nowhere'" in missing_anchor("Nowhere", "contract.pdf").problem


async def test_a_text_over_two_lines_stands_where_its_first_line_does(bench: Bench) -> None:
    content = written((100, 700, "Signature of"), (100, 680, "the buyer"))
    (place,) = (await find(bench, content, "Signature of the buyer"))["Signature of the buyer"]
    alone = (await find(bench, content, "Signature of"))["Signature of"][0]
    assert (place.x, place.y, place.width) == (alone.x, alone.y, alone.width)
    assert place.height < 20


async def test_page_texts_are_one_per_page(bench: Bench) -> None:
    content = written((100, 700, "First line"), (100, 680, "Second line"), pages=3)
    texts = await page_texts(bench.engine, bench.tenant_id, await bench.store(content))
    assert [one.splitlines() for one in texts] == [["First line", "Second line"]] * 3


async def test_the_text_of_what_is_no_pdf_is_refused(bench: Bench) -> None:
    with pytest.raises(ValidationFailed) as caught:
        await find(bench, papers.broken_pdf(), "x")
    assert caught.value.code == "document_refused"
