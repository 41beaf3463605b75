"""Examines one PDF, inside an examiner process: what it is, what it could do, and a version that is safe to sign.

PDFium counts the pages first, because it does so at no cost whatever the file; nothing else sees a document
over the caps. A document that somebody has signed is never rewritten: what would have to be removed refuses it.
Must only run in an examiner: it reads hostile bytes, and its limits are the process's.
Source: ISO 32000-2 sections 12.7 (forms), 12.8 (signatures, DocMDP), 7.6 (encryption), annex K (XFA).
"""

import os
from contextlib import closing

import pikepdf
import pypdfium2

from engine.documents.active_content import find_active_content, remove_active_content
from engine.documents.forms import drop_form, find_signatures, is_dynamic_xfa
from engine.documents.inflation import check_streams
from engine.documents.messages import Answer, Limits, Refused, Task
from normalizer.document import PageSize

_REBUILT = ("reconstruct", "file is damaged", "xref")


def inspect(task: Task) -> Answer:
    """Raises Refused."""
    size = os.stat(task.source).st_size
    if size > task.limits.file_bytes:
        raise Refused("too_large", detail=str(size))
    pages = measure(task.source, task.password, task.limits)
    with _open(task) as pdf:
        return _inspect(task, pdf, pages)


def measure(path: str, password: str, limits: Limits) -> tuple[PageSize, ...]:
    """Sizes of the pages as displayed, in points. Raises Refused."""
    try:
        document = pypdfium2.PdfDocument(path, password=password or None)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Refused("wrong_password" if password else "needs_password") from error
        raise Refused("damaged") from error
    with closing(document):
        count = len(document)
        if count < 1:
            raise Refused("no_pages")
        if count > limits.pages:
            raise Refused("too_many_pages", detail=str(count))
        return tuple(_measure_page(document, index, limits) for index in range(count))


def _measure_page(document: pypdfium2.PdfDocument, index: int, limits: Limits) -> PageSize:
    try:
        width, height = document.get_page_size(index)
    except pypdfium2.PdfiumError as error:
        raise Refused("damaged", page=index + 1) from error
    if not (1 <= width <= limits.page_side and 1 <= height <= limits.page_side):
        raise Refused("page_size", page=index + 1, detail=f"{width:.0f} x {height:.0f}")
    return PageSize(round(width, 3), round(height, 3))


def _open(task: Task) -> pikepdf.Pdf:
    try:
        return pikepdf.open(task.source, password=task.password, suppress_warnings=True)
    except pikepdf.PasswordError as error:
        raise Refused("wrong_password" if task.password else "needs_password") from error
    except pikepdf.PdfError as error:
        raise Refused("damaged") from error


def _inspect(task: Task, pdf: pikepdf.Pdf, pages: tuple[PageSize, ...]) -> Answer:
    removed: set[str] = set()
    check_streams(pdf, task.limits)
    signatures = find_signatures(pdf)
    if "/Collection" in pdf.Root:
        raise Refused("portfolio")
    if is_dynamic_xfa(pdf):
        raise Refused("xfa")
    unlocked = _check_encryption(task, pdf, is_signed=signatures.any)
    if signatures.any:
        _check_signed(pdf, forbids_changes=signatures.forbid_changes)
        return Answer(is_signed=True, page_count=len(pages), pages=pages)
    removed |= remove_active_content(pdf)
    removed |= drop_form(pdf)
    if unlocked:
        removed.add("encryption")
    if _was_rebuilt(pdf):
        removed.add("damage to the file's structure")
    if not removed:
        return Answer(page_count=len(pages), pages=pages)
    return _rewrite(task, pdf, pages, removed, unlocked=unlocked)


def _check_encryption(task: Task, pdf: pikepdf.Pdf, *, is_signed: bool) -> bool:
    """Whether the document is encrypted and may be decrypted. Raises Refused when it may not."""
    if not pdf.is_encrypted:
        return False
    if is_signed:
        raise Refused("encrypted_signed")
    if pdf.owner_password_matched or task.remove_restrictions:
        return True
    if task.password and not pdf.allow.modify_annotation:
        raise Refused("restricted")
    if not task.password:
        raise Refused("restricted")
    return True


def _check_signed(pdf: pikepdf.Pdf, *, forbids_changes: bool) -> None:
    if forbids_changes:
        raise Refused("certified")
    found = find_active_content(pdf)
    if "/XFA" in pdf.Root.get("/AcroForm", pikepdf.Dictionary()):
        found.add("an XFA form")
    if found:
        raise Refused("signed_active", detail=", ".join(sorted(found)))
    if _was_rebuilt(pdf):
        raise Refused("damaged_signed")


def _was_rebuilt(pdf: pikepdf.Pdf) -> bool:
    """Whether qpdf had to guess: two readers may then see two documents."""
    return any(word in str(warning) for warning in pdf.get_warnings() for word in _REBUILT)


def _rewrite(
    task: Task, pdf: pikepdf.Pdf, pages: tuple[PageSize, ...], removed: set[str], *, unlocked: bool
) -> Answer:
    """Writes the cleaned document and looks at it again as if it had just come."""
    try:
        pdf.save(
            task.target,
            deterministic_id=True,
            stream_decode_level=pikepdf.StreamDecodeLevel.none,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
        )
    except (pikepdf.PdfError, RuntimeError) as error:
        raise Refused("damaged") from error
    if measure(task.target, "", task.limits) != pages:
        raise Refused("damaged", detail="readers do not agree about its pages")
    with pikepdf.open(task.target, suppress_warnings=True) as cleaned:
        if find_active_content(cleaned) or find_signatures(cleaned).any:
            raise Refused("too_complex", detail="active content that cannot be removed")
    return Answer(
        removed=tuple(sorted(removed)),
        is_changed=True,
        is_unlocked=unlocked,
        page_count=len(pages),
        pages=pages,
    )
