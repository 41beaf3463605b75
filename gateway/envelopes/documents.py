"""Takes a document in: type by content, limits, SHA-256, page facts, encrypted storage.

An upload streams: each piece goes into the blob store and into an unnamed spool file as it comes, so that no
upload is ever whole in memory; page facts are read from the spool. An image becomes a PDF here, once; what was
uploaded is named by its own digest. Must never keep bytes whose upload did not finish or whose content was
refused, and never holds a transaction open while bytes are stored.
"""

import asyncio
import hashlib
import io
import logging
import tempfile
from collections.abc import AsyncIterator
from typing import BinaryIO, cast
from uuid import UUID

import msgspec

from config.blobs import StoredBlob
from config.errors import StoreUnavailable
from engine.documents.pages import (
    DocumentRefused,
    PdfFacts,
    check_docx,
    convert_image_to_pdf,
    detect_media_type,
    read_pdf_facts,
)
from gateway.envelopes.examined import PROCESSING
from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.document import DOCX, PDF
from normalizer.errors import Finding, ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.documents")

# Parsing blocks: what is larger goes to a thread so that other requests go on.
_INLINE_BYTES = 256 * 1024
_IN_MEMORY = 1024 * 1024  # of a spool, before it becomes a file
_SNIFFED = 1024  # a PDF's header may stand so far in
# An image is whole in memory while it becomes a PDF: few at a time.
_converting = asyncio.Semaphore(2)


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
    status: str = "ready"
    findings: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    is_signed: bool = False


async def upload_document(
    services: Services, caller: Caller, name: str, chunks: AsyncIterator[bytes], *, examine: bool = False
) -> IngestedDocument:
    """Stores a document that is in no envelope yet, and records it in the tenant's chain. With `examine` a PDF
    is not looked into here: it is processing, and examination.settle_document does that.

    An error of `chunks` passes and leaves nothing behind. Raises ValidationFailed.
    """
    document = await ingest_stream(services, caller.tenant_id, name, chunks, measure=not examine)
    if examine and document.media_type == PDF:
        document = msgspec.structs.replace(document, status=PROCESSING)
    try:
        await _write_row(services, caller, document)
    except StoreUnavailable:
        raise  # the row may have been written, and then the bytes are its own
    except Exception:  # whatever it was that stopped us: no row names these bytes, and it is raised again
        await drop_document(services, caller.tenant_id, document.blob_key)
        raise
    return document


async def ingest_stream(
    services: Services, tenant_id: UUID, name: str, chunks: AsyncIterator[bytes], *, measure: bool = True
) -> IngestedDocument:
    """Checks and stores what streams in; without `measure` a PDF's pages are not read. Raises ValidationFailed
    with what was found and what to do.
    """
    limit = services.settings.limit.document_bytes
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spooled:
        spool = cast("BinaryIO", spooled)
        head, rest = await _read_head(_counted(chunks, limit))
        media_type = _sniff(head)
        if media_type not in {PDF, DOCX}:
            async for chunk in _spooled(head, rest, spool):
                del chunk
            spool.seek(0)
            async with _converting:
                return await ingest_document(services, tenant_id, name, spool.read(), measure=measure)
        blob = await services.blobs.put(tenant_id, _spooled(head, rest, spool))
        try:
            spool.seek(0)
            facts = None
            if measure or media_type != PDF:
                facts = await asyncio.to_thread(_facts_of, media_type, spool)
        except DocumentRefused as refusal:
            await _delete(services, tenant_id, blob.key)
            raise _refused(refusal) from refusal
        except BaseException:
            await _delete(services, tenant_id, blob.key)
            raise
    return _document(services, name, media_type, blob, facts)


async def ingest_document(
    services: Services, tenant_id: UUID, name: str, content: bytes, *, measure: bool = True
) -> IngestedDocument:
    """The same for bytes that are in memory already: small files that came inside a request, and images."""
    _check_size(len(content), services.settings.limit.document_bytes)
    try:
        if len(content) <= _INLINE_BYTES:
            media_type, stored, facts = _look_into(content, measure=measure)
        else:
            media_type, stored, facts = await asyncio.to_thread(_look_into, content, measure=measure)
    except DocumentRefused as refusal:
        raise _refused(refusal) from refusal
    blob = await services.blobs.put(tenant_id, _once(stored))
    document = _document(services, name, PDF if stored is not content else media_type, blob, facts)
    if stored is content:
        return document
    return msgspec.structs.replace(
        document, source_media_type=media_type, source_sha256=hashlib.sha256(content).hexdigest()
    )


async def drop_document(services: Services, tenant_id: UUID, blob_key: str) -> None:
    """Removes the bytes of a document whose row was not written."""
    await _delete(services, tenant_id, blob_key)


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


async def _write_row(services: Services, caller: Caller, document: IngestedDocument) -> None:
    async with services.database.transaction(caller.tenant_id) as tx:
        await tx.driver.execute(
            "INSERT INTO documents (tenant_id, id, name, media_type, size_bytes, sha256, page_count, pages,"
            " blob_key, source_media_type, source_sha256, status)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, $12)",
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
            document.status,
        )
        await services.recorder.record(tx, document_events(services, caller, document, None))
        await tx.commit()


def _document(
    services: Services, name: str, media_type: str, blob: StoredBlob, facts: PdfFacts | None
) -> IngestedDocument:
    return IngestedDocument(
        id=services.ids.new(),
        name=_clean_name(name),
        media_type=media_type,
        size_bytes=blob.size,
        sha256=blob.sha256,
        page_count=facts.page_count if facts else None,
        pages=tuple((page.width, page.height) for page in facts.pages) if facts else (),
        blob_key=blob.key,
        source_media_type="",
        source_sha256="",
    )


def _look_into(content: bytes, *, measure: bool) -> tuple[str, bytes, PdfFacts | None]:
    """(media type of what came, bytes to store, page facts)."""
    media_type = detect_media_type(content[:_SNIFFED])
    if media_type == PDF and not measure:
        return media_type, content, None
    if media_type in {PDF, DOCX}:
        whole = content if media_type == PDF else io.BytesIO(content)
        return media_type, content, _facts_of(media_type, whole)
    pdf = convert_image_to_pdf(content)
    return media_type, pdf, read_pdf_facts(pdf)


def _facts_of(media_type: str, content: bytes | BinaryIO) -> PdfFacts | None:
    if media_type == PDF:
        return read_pdf_facts(content)
    check_docx(cast("BinaryIO", content))
    return None


def _sniff(head: bytes) -> str:
    try:
        return detect_media_type(head)
    except DocumentRefused as refusal:
        raise _refused(refusal) from refusal


async def _counted(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        _check_size(size, limit)
        if chunk:
            yield chunk


async def _read_head(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    head = bytearray()
    async for chunk in chunks:
        head += chunk
        if len(head) >= _SNIFFED:
            break
    return bytes(head), chunks


async def _spooled(head: bytes, rest: AsyncIterator[bytes], spool: BinaryIO) -> AsyncIterator[bytes]:
    spool.write(head)
    yield head
    async for chunk in rest:
        spool.write(chunk)
        yield chunk


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ValidationFailed(f"The document is larger than {limit} bytes.", code="too_large")


def _refused(refusal: DocumentRefused) -> ValidationFailed:
    return ValidationFailed(str(refusal), code="document_refused")


async def _delete(services: Services, tenant_id: UUID, key: str) -> None:
    try:
        await services.blobs.delete(tenant_id, key)
    except StoreUnavailable:  # the error that led here is the one to report
        logger.warning("bytes without a document may remain: %s", key)


def _clean_name(name: str) -> str:
    """The last part of a path, without control characters: a name is shown and put into headers."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter for letter in base if letter.isprintable())[:200].strip() or "document"


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
