"""Envelopes for the suite, with defaults; every one has its own id and reference."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from normalizer.document import DOCX, PDF, Document, PageSize
from normalizer.envelope import Envelope, Sender
from normalizer.field import Anchor, Field, FieldType
from normalizer.ids import Ids, Kind, print_id
from normalizer.recipient import Recipient
from tests.adapters.kit.fake_provider import MemoryBlobs
from tests.conformance.papers import ANCHOR, docx, image_pdf, text_pdf

IDS = Ids(lambda: datetime.now(UTC))
TENANT = UUID("01890000-0000-7000-8000-000000000001")
A4_LIKE = (PageSize(612.0, 792.0),)


def person(name: str, order: int = 1, **changes: Any) -> Recipient:
    fields = {
        "id": IDS.new(),
        "name": f"{name.title()} Example",
        "email": f"{name}@people.example",
        "routing_order": order,
    }
    return Recipient(**(fields | changes))


def paper(blobs: MemoryBlobs, order: int = 1, content: bytes = b"", **changes: Any) -> Document:
    content = content or text_pdf("Contract")
    digest = hashlib.sha256(content).hexdigest()
    blobs.stored[digest] = content
    fields = {
        "id": IDS.new(),
        "name": f"contract-{order}.pdf",
        "media_type": PDF,
        "size_bytes": len(content),
        "sha256": digest,
        "order": order,
        "blob_key": digest,
        "pages": A4_LIKE,
    }
    return Document(**(fields | changes))


def photo(blobs: MemoryBlobs, order: int) -> Document:
    """An image, as it comes from upstream: turned into PDF."""
    return paper(blobs, order, image_pdf(), name="photo.pdf", pages=(PageSize(225.0, 150.0),))


def word_file(blobs: MemoryBlobs, order: int) -> Document:
    return paper(blobs, order, docx(), name="annex.docx", media_type=DOCX, pages=())


def signature(document: Document, recipient: Recipient, **changes: Any) -> Field:
    fields = {
        "id": IDS.new(),
        "document_id": document.id,
        "recipient_id": recipient.id,
        "type": FieldType.SIGNATURE,
        "page": 1,
        "x": 72.0,
        "y": 500.0 + 50 * recipient.routing_order,
        "width": 160.0,
        "height": 40.0,
    }
    return Field(**(fields | changes))


def anchored(document: Document, recipient: Recipient) -> Field:
    return signature(document, recipient, page=0, x=0.0, y=0.0, anchor=Anchor(ANCHOR, 0.0, 10.0))


def contract(blobs: MemoryBlobs, *people: Recipient, **changes: Any) -> Envelope:
    """One document; every recipient who acts signs on it, in order."""
    envelope_id = IDS.new()
    recipients = people or (person("ann", 1), person("bob", 2))
    documents = changes.pop("documents", None) or (paper(blobs),)
    fields = tuple(signature(documents[0], recipient) for recipient in recipients if recipient.role.signs)
    defaults = {
        "id": envelope_id,
        "tenant_id": TENANT,
        "reference": f"{print_id(Kind.ENVELOPE, envelope_id)}-1",
        "subject": "Contract for signature",
        "message": "Please read and sign.",
        "documents": documents,
        "recipients": recipients,
        "fields": fields,
        "sender": Sender("usr_1", "Sam Sender", "sam@dms.example"),
    }
    return Envelope(**(defaults | changes))
