"""Takes a document in: type by content, limits, SHA-256, page facts, encrypted storage.

An image becomes a PDF here, once; what was uploaded is named by its own digest. Must never keep bytes whose
upload did not finish, and never holds a transaction open while bytes are stored.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from engine.documents.pages import (
    DocumentRefused,
    PdfFacts,
    check_docx,
    convert_image_to_pdf,
    detect_media_type,
    read_pdf_facts,
)
from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.document import DOCX, PDF
from normalizer.errors import ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

# Parsing blocks: what is larger goes to a thread so that other requests go on.
_INLINE_BYTES = 256 * 1024


class IngestedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document whose bytes are stored and whose row is not yet written. Sizes in bytes and points."""

    id: UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    page_count: int | None
    pages: tuple[tuple[float, float], ...]
    blob_key: str
    source_media_type: str
    source_sha256: str


async def upload_document(services: Services, caller: Caller, name: str, content: bytes) -> IngestedDocument:
    """Stores a document that is in no envelope yet, and records it in the tenant's chain."""
    document = await ingest_document(services, caller.tenant_id, name, content)
    async with services.database.transaction(caller.tenant_id) as tx:
        await tx.driver.execute(
            "INSERT INTO documents (tenant_id, id, name, media_type, size_bytes, sha256, page_count, pages,"
            " blob_key, source_media_type, source_sha256)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11)",
            caller.tenant_id,
            document.id,
            document.name,
            document.media_type,
            document.size_bytes,
            document.sha256,
            document.page_count,
            msgspec.json.encode(document.pages).decode(),
            document.blob_key,
            document.source_media_type,
            document.source_sha256,
        )
        await services.recorder.record(tx, document_events(services, caller, document, None))
        await tx.commit()
    return document


async def ingest_document(services: Services, tenant_id: UUID, name: str, content: bytes) -> IngestedDocument:
    """Checks and stores the bytes. Raises ValidationFailed with what was found and what to do."""
    limit = services.settings.limit.document_bytes
    if len(content) > limit:
        raise ValidationFailed(
            f"The document has {len(content)} bytes; {limit} can be sent.", code="too_large"
        )
    try:
        examined = await _examine(content)
    except DocumentRefused as refusal:
        raise ValidationFailed(str(refusal), code="document_refused") from refusal
    media_type, stored, facts, source_media_type = examined
    blob = await services.blobs.put(tenant_id, _once(stored))
    return IngestedDocument(
        id=services.ids.new(),
        name=_clean_name(name),
        media_type=media_type,
        size_bytes=blob.size,
        sha256=blob.sha256,
        page_count=facts.page_count if facts else None,
        pages=tuple((page.width, page.height) for page in facts.pages) if facts else (),
        blob_key=blob.key,
        source_media_type=source_media_type,
        source_sha256=hashlib.sha256(content).hexdigest() if source_media_type else "",
    )


def document_events(
    services: Services, caller: Caller, document: IngestedDocument, envelope_id: UUID | None
) -> tuple[Event, ...]:
    """document_uploaded, and document_modified when an image was turned into a PDF."""
    facts: dict[str, Json] = {
        "document_sha256": document.source_sha256 or document.sha256,
        "media_type": document.source_media_type or document.media_type,
        "size_bytes": document.size_bytes,
    }
    events = [_document_event(services, caller, LedgerType.DOCUMENT_UPLOADED, document, envelope_id, facts)]
    if document.source_sha256:
        converted: dict[str, Json] = {
            "from_sha256": document.source_sha256,
            "document_sha256": document.sha256,
            "change": "image converted to PDF",
        }
        events.append(
            _document_event(services, caller, LedgerType.DOCUMENT_MODIFIED, document, envelope_id, converted)
        )
    return tuple(events)


def _document_event(
    services: Services,
    caller: Caller,
    kind: LedgerType,
    document: IngestedDocument,
    envelope_id: UUID | None,
    facts: dict[str, Json],
) -> Event:
    return Event(
        id=services.ids.new(),
        type=kind,
        tenant_id=caller.tenant_id,
        envelope_id=envelope_id,
        resource_type=ResourceType.DOCUMENT,
        resource_id=print_id(Kind.DOCUMENT, document.id),
        occurred_at=services.clock.now(),
        actor=caller.actor,
        source=caller.source,
        facts=facts,
    )


async def _examine(content: bytes) -> tuple[str, bytes, PdfFacts | None, str]:
    if len(content) <= _INLINE_BYTES:
        return _examine_now(content)
    return await asyncio.to_thread(_examine_now, content)


def _examine_now(content: bytes) -> tuple[str, bytes, PdfFacts | None, str]:
    """(media type, bytes to store, page facts, media type of what was uploaded when it was converted)."""
    media_type = detect_media_type(content[:1024])
    if media_type == PDF:
        return PDF, content, read_pdf_facts(content), ""
    if media_type == DOCX:
        check_docx(content)
        return DOCX, content, None, ""
    pdf = convert_image_to_pdf(content)
    return PDF, pdf, read_pdf_facts(pdf), media_type


def _clean_name(name: str) -> str:
    """The last part of a path, without control characters: a name is shown and put into headers."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in base if letter.isprintable())[:200].strip() or "document"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
