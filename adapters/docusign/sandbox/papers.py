"""What an action leaves on paper: stamped documents, certificate, combined file and archive.

Papers are made when they are asked for, from the original bytes and the recipients' state, so two downloads
of the same state are the same bytes.
"""

import io
import zipfile

from .clock import trimmed
from .pdf import Mark, join, stamp, text_page
from .state import Document, Envelope, Recipient
from .world import World

CERTIFICATE = "certificate"


def document_pdf(world: World, envelope: Envelope, document: Document) -> bytes:
    """The document as it looks now; untouched bytes while it is a draft."""
    original = world.blobs.get(document.content)
    if envelope.status == "created":
        return original
    header = f"Sandbox Envelope ID: {envelope.id}" if envelope.stamps_id else ""
    marks = [mark for recipient in envelope.recipients for mark in _marks(envelope, document, recipient)]
    if not marks and not header:
        return original
    return stamp(original, marks, header)


def certificate_pdf(envelope: Envelope) -> bytes:
    """The certificate of completion: who did what and when."""
    lines = [
        f"Envelope Id: {envelope.id}",
        f"Subject: {envelope.wire.get('emailSubject', '')}",
        f"Status: {envelope.status}",
        f"Sent: {trimmed(envelope.sent_at)}    Completed: {trimmed(envelope.completed_at)}",
        "SANDBOX - this certificate has no legal value.",
        "",
    ]
    for recipient in envelope.recipients:
        lines.append(f"{recipient.name} <{recipient.email}>  {recipient.status}")
        lines.append(
            f"    sent {trimmed(recipient.sent_at)}  viewed {trimmed(recipient.delivered_at)}"
            f"  signed {trimmed(recipient.signed_at)}"
        )
    lines.append("")
    lines.extend(f"{trimmed(event.at)}  {event.action}  {event.user_name}" for event in envelope.audit[:40])
    return text_page("Certificate Of Completion", lines)


def combined_pdf(world: World, envelope: Envelope, *, with_certificate: bool) -> bytes:
    parts = [document_pdf(world, envelope, document) for document in ordered(envelope)]
    if with_certificate:
        parts.append(certificate_pdf(envelope))
    return join(parts)


def archive_zip(world: World, envelope: Envelope) -> bytes:
    out = io.BytesIO()
    stamped = (1980, 1, 1, 0, 0, 0)  # a fixed time keeps the bytes the same at every download
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for document in ordered(envelope):
            name = f"{document.document_id}_{pdf_name(document)}"
            archive.writestr(zipfile.ZipInfo(name, stamped), document_pdf(world, envelope, document))
        archive.writestr(zipfile.ZipInfo("Summary.pdf", stamped), certificate_pdf(envelope))
    return out.getvalue()


def ordered(envelope: Envelope) -> list[Document]:
    return sorted(envelope.documents, key=lambda document: document.order)


def pdf_name(document: Document) -> str:
    return document.name if document.name.lower().endswith(".pdf") else f"{document.name}.pdf"


def _marks(envelope: Envelope, document: Document, recipient: Recipient) -> list[Mark]:
    """What this recipient has put on this document."""
    if not recipient.is_done or recipient.signed_at is None:
        return []
    when = recipient.signed_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    marks: list[Mark] = []
    has_placed = False
    for kind, tabs in recipient.tabs.items():
        for tab in tabs:
            has_placed = has_placed or kind in {"signHereTabs", "initialHereTabs", "approveTabs"}
            if str(tab.get("documentId", "1")) != document.document_id:
                continue
            lines = _lines(kind, tab, recipient, when)
            if lines and "xPosition" in tab:
                marks.append(
                    Mark(
                        page=int(tab.get("pageNumber") or 1), x=float(tab["xPosition"]),
                        y=float(tab["yPosition"]),
                        lines=lines, has_box=kind in {"signHereTabs", "approveTabs"},
                    )
                )  # fmt: skip
    is_free_form = not has_placed and recipient.kind in {"signers", "inPersonSigners"}
    if is_free_form and document is ordered(envelope)[-1]:
        # No tab was placed: the real signer puts the signature anywhere; here it goes to the last page's
        # foot.
        slot = envelope.recipients.index(recipient)
        page = len(document.pages)
        y = document.pages[-1].height - 60 - slot * 40
        marks.append(Mark(page=page, x=40, y=y, lines=_signature(recipient, when), has_box=True))
    return marks


def _lines(kind: str, tab: dict[str, object], recipient: Recipient, when: str) -> tuple[str, ...]:
    match kind:
        case "signHereTabs":
            return _signature(recipient, when)
        case "initialHereTabs":
            return ("".join(word[0] for word in recipient.name.split()) or "?", "SANDBOX")
        case "approveTabs":
            return (f"Approved by {recipient.name}", when, "SANDBOX")
        case "checkboxTabs":
            return ("[x]" if str(tab.get("selected")).lower() == "true" else "[ ]",)
        case _:
            value = str(tab.get("value") or "")
            return (value,) if value else ()


def _signature(recipient: Recipient, when: str) -> tuple[str, ...]:
    return (f"Signed by {recipient.name}", when, "SANDBOX")
