"""Forms and signatures inside a PDF: which signatures it carries, and how a form becomes plain page content.

Must never touch a form with a signature in it: flattening is a rewrite, and breaks it.
Source: ISO 32000-2 section 12.7, 12.8.2.2 (DocMDP), 12.8.6 (permissions).
"""

from typing import NamedTuple

import pikepdf

from engine.documents.active_content import every_container
from engine.documents.messages import Refused

_NO_CHANGES = 1  # DocMDP's P


class Signatures(NamedTuple):
    """`forbid_changes`: one of them is a certification, or a lock, that allows nothing further."""

    any: bool
    forbid_changes: bool


def find_signatures(pdf: pikepdf.Pdf) -> Signatures:
    """Signatures with a value, document timestamps too. A reader maker's usage rights are none."""
    rights = _usage_rights(pdf)
    found = forbidding = False
    for holder in every_container(pdf):
        if not isinstance(holder, pikepdf.Dictionary) or "/ByteRange" not in holder:
            continue
        if "/Contents" not in holder or holder.objgen in rights:
            continue
        found = True
        forbidding = forbidding or _forbids_changes(holder)
    if found and not forbidding:
        forbidding = _has_full_lock(pdf)
    return Signatures(found, forbidding)


def is_dynamic_xfa(pdf: pikepdf.Pdf) -> bool:
    form = pdf.Root.get("/AcroForm")
    if not isinstance(form, pikepdf.Dictionary) or "/XFA" not in form:
        return False
    has_fields = isinstance(form.get("/Fields"), pikepdf.Array) and len(form["/Fields"]) > 0
    return bool(pdf.Root.get("/NeedsRendering", False)) or not has_fields


def drop_form(pdf: pikepdf.Pdf) -> set[str]:
    """Draws the values of a form, and notes on the pages, into the pages; what was done, in words.

    Raises Refused when a value cannot be drawn: it must not be lost.
    """
    done: set[str] = set()
    form = pdf.Root.get("/AcroForm")
    has_form = isinstance(form, pikepdf.Dictionary)
    if has_form and "/XFA" in form:
        del form["/XFA"]
        done.add("an XFA form")
    has_fields = has_form and isinstance(form.get("/Fields"), pikepdf.Array) and len(form["/Fields"]) > 0
    if has_fields or _has_drawn_annotations(pdf):
        try:
            if has_fields:
                _draw_values(pdf, anew=bool(form.get("/NeedAppearances", False)))
            pdf.flatten_annotations("all")
        except (pikepdf.PdfError, RuntimeError, ValueError, TypeError, KeyError) as error:
            raise Refused("damaged", detail="its form") from error
        _drop_widgets(pdf)
        done.add(
            "form fields (their values are on the page now)" if has_fields else "notes (on the page now)"
        )
    if "/AcroForm" in pdf.Root:
        del pdf.Root["/AcroForm"]
    if "/Perms" in pdf.Root and done:
        del pdf.Root["/Perms"]
    return done


def _draw_values(pdf: pikepdf.Pdf, *, anew: bool) -> None:
    """An appearance for every field that has a value and none; `anew`: the form says that none is right."""
    for field in pdf.acroform.fields:
        if not (field.is_text or field.is_choice):
            continue
        value = field.value_as_string
        for widget in pdf.acroform.get_annotations_for_field(field):
            if not value or ("/AP" in widget.obj and not anew):
                continue
            if not _is_drawable(value):
                raise Refused("form_text")
            field.generate_appearance(widget)


def _is_drawable(value: str) -> bool:
    """Qpdf draws in PDFDocEncoding's common part and puts a question mark for everything else."""
    try:
        value.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _drop_widgets(pdf: pikepdf.Pdf) -> None:
    """What is left after flattening are places without anything drawn."""
    for page in pdf.pages:
        annotations = page.obj.get("/Annots")
        if not isinstance(annotations, pikepdf.Array):
            continue
        for index in reversed(range(len(annotations))):
            one = annotations[index]
            if isinstance(one, pikepdf.Dictionary) and one.get("/Subtype") == pikepdf.Name.Widget:
                del annotations[index]


def _has_drawn_annotations(pdf: pikepdf.Pdf) -> bool:
    for page in pdf.pages:
        annotations = page.obj.get("/Annots")
        if isinstance(annotations, pikepdf.Array) and any(
            isinstance(one, pikepdf.Dictionary) and "/AP" in one for one in annotations
        ):
            return True
    return False


def _forbids_changes(signature: pikepdf.Object) -> bool:
    references = signature.get("/Reference")
    if not isinstance(references, pikepdf.Array):
        return False
    for reference in references:
        if not isinstance(reference, pikepdf.Dictionary):
            continue
        if reference.get("/TransformMethod") != pikepdf.Name.DocMDP:
            continue
        parameters = reference.get("/TransformParams")
        if isinstance(parameters, pikepdf.Dictionary) and parameters.get("/P", 2) == _NO_CHANGES:
            return True
    return False


def _has_full_lock(pdf: pikepdf.Pdf) -> bool:
    """A signed field whose lock says that nothing may change after it (PDF 2.0)."""
    for holder in every_container(pdf):
        if not isinstance(holder, pikepdf.Dictionary) or "/V" not in holder:
            continue
        lock = holder.get("/Lock")
        if isinstance(lock, pikepdf.Dictionary) and lock.get("/P") == _NO_CHANGES:
            return True
    return False


def _usage_rights(pdf: pikepdf.Pdf) -> set[tuple[int, int]]:
    permissions = pdf.Root.get("/Perms")
    if not isinstance(permissions, pikepdf.Dictionary):
        return set()
    rights = (permissions.get(key) for key in ("/UR3", "/UR"))
    return {one.objgen for one in rights if isinstance(one, pikepdf.Dictionary) and one.is_indirect}
