"""A sample contract of two readable pages, so that nobody has to look for a PDF to try things with."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

PAGE_WIDTH, PAGE_HEIGHT = 595, 842
_TITLE, _HEADING, _BODY = 20, 12.5, 10.5


class Place(msgspec.Struct, frozen=True):
    """Where a signature goes: page from 1, points from the top left."""

    page: int
    x: float
    y: float


# The two signature lines on the second page.
FIRST_SIGNER = Place(2, 72, 320)
SECOND_SIGNER = Place(2, 330, 320)

_PAGES: tuple[tuple[tuple[float, str], ...], ...] = (
    (
        (_TITLE, "Agreement on Analytical Services"),
        (_BODY, "between Babbage Instruments Ltd. (the Client) and Lovelace & Partners (the Provider)."),
        (_HEADING, "1. Subject"),
        (_BODY, "The Provider calculates tables of Bernoulli numbers on the Client's engine and documents"),
        (_BODY, "each step so that a third person can repeat the calculation without asking."),
        (_HEADING, "2. Delivery"),
        (_BODY, "Results are delivered within thirty days of the last signature, in print and as data."),
        (_BODY, "Either party may ask for a correction once; further corrections are agreed in writing."),
        (_HEADING, "3. Fee"),
        (
            _BODY,
            "The fee is 1,842.00, due fourteen days after delivery. Late payment bears the legal interest.",
        ),
        (_HEADING, "4. Confidentiality"),
        (_BODY, "Drawings of the engine stay with the Client. The Provider keeps one copy of her notes and"),
        (_BODY, "publishes nothing without consent, which is not withheld without a reason."),
    ),
    (
        (_HEADING, "5. Term and termination"),
        (
            _BODY,
            "This agreement begins with the last signature and ends when the fee has been paid. It can be",
        ),
        (_BODY, "terminated in writing with a month's notice; work that was done until then is paid."),
        (_HEADING, "6. Electronic signature"),
        (
            _BODY,
            "The parties sign electronically and accept the electronic form as equal to writing. Each party",
        ),
        (_BODY, "receives the signed document together with its certificate of completion."),
        (_HEADING, "7. Final provisions"),
        (_BODY, "If one provision is void, the others remain. Changes need the form of this agreement."),
    ),
)


def write_sample(path: Path) -> None:
    """Writes the contract; the same bytes every time."""
    import pikepdf

    with pikepdf.new() as pdf:
        pdf.docinfo["/Title"] = "Agreement on Analytical Services"
        for number, lines in enumerate(_PAGES, 1):
            page = pdf.add_blank_page(page_size=(PAGE_WIDTH, PAGE_HEIGHT))
            page.Resources = pikepdf.Dictionary(
                Font=pikepdf.Dictionary(
                    R=_font("/Helvetica"),
                    B=_font("/Helvetica-Bold"),
                )
            )
            drawn = _lines(lines) + _text(
                9, "R", 72, 50, f"Agreement on Analytical Services, page {number} of 2"
            )
            if number == FIRST_SIGNER.page:
                drawn += _signature_line(FIRST_SIGNER, "For the Client") + _signature_line(
                    SECOND_SIGNER, "For the Provider"
                )
            page.Contents = pdf.make_stream(drawn.encode("latin-1"))
        pdf.save(path, deterministic_id=True)


def last_page_place(path: Path) -> tuple[Place, Place]:
    """Two places low on the last page of any PDF. Raises ValueError when it cannot be read."""
    import pikepdf

    try:
        with pikepdf.open(path) as pdf:
            last = pdf.pages[-1]
            box = [float(side) for side in last.cropbox]
            is_turned = int(last.obj.get("/Rotate", 0)) % 180 == 90
            page = len(pdf.pages)
    except (pikepdf.PdfError, OSError, IndexError) as error:
        raise ValueError(f"{path} is not a PDF that can be read without a password") from error
    width, height = box[2] - box[0], box[3] - box[1]
    if is_turned:
        width, height = height, width
    y = max(0.0, height - 140)
    return Place(page, min(72.0, width / 8), y), Place(page, width / 2 + 20, y)


def _font(name: str) -> "object":
    import pikepdf

    return pikepdf.Dictionary(
        Type=pikepdf.Name("/Font"),
        Subtype=pikepdf.Name("/Type1"),
        BaseFont=pikepdf.Name(name),
        Encoding=pikepdf.Name("/WinAnsiEncoding"),
    )


def _lines(lines: Sequence[tuple[float, str]]) -> str:
    drawn, y = "", PAGE_HEIGHT - 90.0
    for size, text in lines:
        y -= 14 if size == _HEADING else 0
        drawn += _text(size, "R" if size == _BODY else "B", 72, y, text)
        y -= size * 1.6
    return drawn


def _signature_line(place: Place, caption: str) -> str:
    """The field is some forty points high; the line runs under it."""
    line_y = PAGE_HEIGHT - place.y - 44
    rule = f"0.6 w {place.x} {line_y} m {place.x + 190} {line_y} l S\n"
    return rule + _text(9, "R", place.x, line_y - 13, caption)


def _text(size: float, font: str, x: float, y: float, text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /{font} {size} Tf {x} {y:.2f} Td ({escaped}) Tj ET\n"
