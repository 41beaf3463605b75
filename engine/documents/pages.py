"""The facts of a document that fields and limits need: type, page count, and page sizes as displayed.

Must never trust a name or a declared type: the first bytes decide. PDFium is not safe to call from two
threads, so calls are serialised here. Scanning for hostile content comes with the signing engine's ingest.
Source: ISO 32000-2 section 14.11.2 (page boundaries), 7.7.3.3 (Rotate).
"""

import io
import threading
import zipfile
from typing import BinaryIO

import img2pdf
import msgspec
import pikepdf
import pypdfium2

from normalizer.document import DOCX, PDF, PageSize

MAX_PAGES = 5000
_lock = threading.Lock()
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}


class DocumentRefused(ValueError):
    """The bytes cannot be taken; the text says what was found and what to do."""


class PdfFacts(msgspec.Struct, frozen=True):
    page_count: int
    pages: tuple[PageSize, ...]


def detect_media_type(first_bytes: bytes) -> str:
    """The media type by content: PDF, PNG, JPEG or DOCX. Raises DocumentRefused for anything else.

    `first_bytes`: at least 1,024 of them when there are as many; a PDF's header may stand that far in.
    """
    if b"%PDF-" in first_bytes[:1024]:
        return PDF
    for magic, media_type in _IMAGES.items():
        if first_bytes.startswith(magic):
            return media_type
    if first_bytes.startswith(b"PK\x03\x04"):
        return DOCX
    raise DocumentRefused(
        "This is not a PDF, PNG, JPEG or DOCX file. Export the document as PDF and upload that."
    )


def read_pdf_facts(content: bytes | BinaryIO) -> PdfFacts:
    """A large file is given as an open file, of which PDFium reads what it needs.

    Raises DocumentRefused for what PDFium cannot open, encrypted files, and files without pages.
    """
    with _lock:
        try:
            document = pypdfium2.PdfDocument(content)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower():
                raise DocumentRefused(
                    "The PDF is encrypted. Remove the password and upload it again."
                ) from error
            raise DocumentRefused("The PDF is damaged. Open it, save it anew and upload that.") from error
        try:
            count = len(document)
            if not 1 <= count <= MAX_PAGES:
                raise DocumentRefused(f"The PDF has {count} pages; 1 to {MAX_PAGES} can be sent.")
            # get_page_size reads the size without loading the page's content.
            sizes = tuple(PageSize(*map(_points, document.get_page_size(index))) for index in range(count))
        finally:
            document.close()
    return PdfFacts(page_count=count, pages=sizes)


def check_docx(content: BinaryIO) -> None:
    """Raises DocumentRefused unless the ZIP container holds a Word document. Unpacks nothing."""
    try:
        with zipfile.ZipFile(content) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise DocumentRefused("The file is a damaged ZIP archive. Export it as PDF.") from error
    if "word/document.xml" not in names:
        raise DocumentRefused("The file is a ZIP archive but not a Word document. Export it as PDF.")


def convert_image_to_pdf(content: bytes) -> bytes:
    """One A4-or-smaller page that holds the image without loss. Raises DocumentRefused."""
    layout = img2pdf.get_layout_fun(
        (img2pdf.mm_to_pt(210), img2pdf.mm_to_pt(297)), fit=img2pdf.FitMode.shrink
    )
    try:
        raw: bytes = img2pdf.convert(io.BytesIO(content), layout_fun=layout, nodate=True)
    except Exception as error:  # the image libraries raise whatever a damaged file makes them stumble over
        raise DocumentRefused(
            "The image cannot be turned into a PDF without loss (damaged, or with transparency). "
            "Save it as a JPEG, or as a PNG without transparency."
        ) from error
    with pikepdf.open(io.BytesIO(raw)) as pdf:
        target = io.BytesIO()
        pdf.save(target, deterministic_id=True)
    return target.getvalue()


def _points(value: float) -> float:
    return round(value, 3)
