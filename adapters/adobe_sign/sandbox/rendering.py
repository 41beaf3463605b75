"""The PDFs of an agreement as they stand now: stamped documents, the combined file, the audit trail."""

from adapters.adobe_sign.sandbox import pdf, shapes
from adapters.adobe_sign.sandbox.keeper import Keeper
from adapters.adobe_sign.sandbox.world import Agreement, Document


def render_document(keeper: Keeper, agreement: Agreement, document: Document) -> bytes:
    """One document with the stamps on its pages."""
    last = document.first_page + document.num_pages - 1
    stamps = [stamp for stamp in agreement.stamps if document.first_page <= stamp.page <= last]
    return pdf.stamp_pdf(keeper.get_blob(document.pdf), stamps, document.first_page)


def render_combined(keeper: Keeper, agreement: Agreement, *, with_audit_report: bool = False) -> bytes:
    """All documents as one PDF, with the audit report behind them when it is asked for."""
    parts = [render_document(keeper, agreement, document) for document in agreement.documents]
    if with_audit_report:
        parts.append(render_audit_trail(agreement))
    return pdf.concatenate(parts)


def render_audit_trail(agreement: Agreement) -> bytes:
    """The audit report as a PDF, one line per event."""
    lines = [
        "SANDBOX - Audit report. This is not evidence of anything.",
        "",
        f"Agreement: {agreement.name}",
        f"Transaction id: {agreement.id}",
        f"Status: {agreement.status}",
        f"Created: {shapes.instant(agreement.created)} by {agreement.owner}",
        "",
    ]
    for event in agreement.events:
        lines.append(f"{shapes.instant(event.date)}  {event.type}")
        lines.append(f"    {event.description}")
    return pdf.text_pdf(lines)
