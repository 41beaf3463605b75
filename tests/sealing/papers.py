"""PDFs and pictures for the sealing tests, made on the spot."""

import io
import random

import pikepdf
import pypdfium2
from PIL import Image, ImageChops

from normalizer.document import PageSize

Box = tuple[float, float, float, float]


def make_pdf(
    pages: int = 1,
    *,
    rotate: int = 0,
    media: Box = (0, 0, 595, 842),
    crop: Box | None = None,
    content: bytes = b"BT /F1 18 Tf 72 700 Td (Contract) Tj ET",
    noise: int = 0,
    user_unit: float | None = None,
) -> bytes:
    """`content` b"" leaves the page without /Contents; `noise` adds so many incompressible bytes a page."""
    with pikepdf.new() as pdf:
        font = pdf.make_indirect(
            pikepdf.Dictionary(
                Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
            )
        )
        for number in range(pages):
            page = pikepdf.Dictionary(
                Type=pikepdf.Name.Page,
                MediaBox=list(media),
                Resources=pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font)),
            )
            if rotate:
                page.Rotate = rotate
            if crop is not None:
                page.CropBox = list(crop)
            if user_unit is not None:
                page.UserUnit = user_unit
            if content:
                page.Contents = pdf.make_stream(content)
            if noise:
                image = pikepdf.Stream(pdf, random.Random(number).randbytes(noise))
                image.Type, image.Subtype = pikepdf.Name.XObject, pikepdf.Name.Image
                image.Width, image.Height = noise // 100, 100
                image.ColorSpace, image.BitsPerComponent = pikepdf.Name.DeviceGray, 8
                page.Resources.XObject = pikepdf.Dictionary(N=pdf.make_indirect(image))
                page.Contents = pdf.make_stream(content + b"\nq 200 0 0 100 72 400 cm /N Do Q")
            pdf.pages.append(pikepdf.Page(pdf.make_indirect(page)))
        target = io.BytesIO()
        pdf.save(target, deterministic_id=True)
    return target.getvalue()


def page_sizes(pdf: bytes) -> tuple[PageSize, ...]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return tuple(PageSize(*document.get_page_size(index)) for index in range(len(document)))
    finally:
        document.close()


def render(pdf: bytes, page: int = 0, scale: float = 1.0) -> Image.Image:
    document = pypdfium2.PdfDocument(pdf)
    document.init_forms()
    try:
        opened = document[page]
        picture: Image.Image = opened.render(scale=scale).to_pil().convert("RGB")
        opened.close()
        return picture
    finally:
        document.close()


def ink_box(picture: Image.Image, darker_than: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of all pixels whose lightest colour is darker, the last two inclusive."""
    red, green, blue = picture.split()
    lightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    box = lightest.point([255 if value < darker_than else 0 for value in range(256)]).getbbox()
    assert box is not None, "there is no ink"
    return box[0], box[1], box[2] - 1, box[3] - 1


def text_of(pdf: bytes, page: int | None = None) -> str:
    document = pypdfium2.PdfDocument(pdf)
    try:
        numbers = range(len(document)) if page is None else (page,)
        found = []
        for number in numbers:
            opened = document[number]
            words = opened.get_textpage()
            found.append(words.get_text_range())
            words.close()
            opened.close()
        return "\n".join(found)
    finally:
        document.close()


def quarters(width: int = 80, height: int = 40) -> bytes:
    """A PNG with red top left, green top right, blue bottom left, black bottom right: shows a turn or flip."""
    picture = Image.new("RGBA", (width, height))
    for colour, box in (
        ((255, 0, 0, 255), (0, 0, width // 2, height // 2)),
        ((0, 255, 0, 255), (width // 2, 0, width, height // 2)),
        ((0, 0, 255, 255), (0, height // 2, width // 2, height)),
        ((0, 0, 0, 255), (width // 2, height // 2, width, height)),
    ):
        picture.paste(colour, box)
    return png(picture)


def scribble(width: int = 300, height: int = 90) -> bytes:
    """Something like a drawn signature on transparent ground."""
    picture = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    for x in range(20, width - 20):
        y = height // 2 + int((height // 3) * ((x % 60) / 30 - 1))
        for thick in range(3):
            picture.putpixel((x, max(0, min(height - 1, y + thick))), (10, 20, 90, 255))
    return png(picture)


def png(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()
