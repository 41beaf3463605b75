"""Documents for tests: small real files of each kind, and the broken ones."""

import functools
import io
import zipfile

import pikepdf
from PIL import Image

A4 = (595.276, 841.89)
LETTER = (612.0, 792.0)


@functools.cache
def pdf(*, pages: int = 1, size: tuple[float, float] = A4, rotate: int = 0, padding: int = 0) -> bytes:
    """`padding`: incompressible bytes inside, to make it large."""
    document = pikepdf.new()
    for _ in range(pages):
        page = document.add_blank_page(page_size=size)
        if rotate:
            page.rotate(rotate, relative=False)
    if padding:
        document.Root.Padding = document.make_stream(bytes(padding))
    target = io.BytesIO()
    document.save(target, compress_streams=False)
    return target.getvalue()


@functools.cache
def encrypted_pdf() -> bytes:
    target = io.BytesIO()
    with pikepdf.open(io.BytesIO(pdf())) as document:
        document.save(target, encryption=pikepdf.Encryption(owner="owner", user="user"))
    return target.getvalue()


def broken_pdf() -> bytes:
    return b"%PDF-1.7\n" + b"nothing that a reader understands\n" * 60


@functools.cache
def image(kind: str, *, alpha: bool = False) -> bytes:
    target = io.BytesIO()
    Image.new("RGBA" if alpha else "RGB", (40, 30), (200, 10, 10)).save(target, kind)
    return target.getvalue()


@functools.cache
def docx(*, name: str = "word/document.xml") -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(name, "<document/>")
    return target.getvalue()
