"""Gathers a new envelope's documents: from inside the request, from uploads, and from a template.

What came with the request is stored before any row is written: the caller must drop it when the envelope is not
made. A template's documents become rows of their own over the same bytes, which are never dropped.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from engine.documents.examine import Examination
from gateway.envelopes.documents import IngestedDocument, drop_document, ingest_document
from gateway.envelopes.draft import EnvelopeInput
from gateway.envelopes.examination import examine_new, is_signed_here
from gateway.envelopes.model import StoredDocument
from gateway.envelopes.store import load_document
from gateway.services import Services
from gateway.templates.store import TemplateDocument
from normalizer.ids import Kind, read_id


class TakenDocuments(msgspec.Struct):
    """By 1-based position in the envelope. `examined`: what was found in new ones, by their id."""

    ingested: dict[int, IngestedDocument] = {}
    copied: dict[int, IngestedDocument] = {}
    attached: dict[int, StoredDocument] = {}
    examined: dict[UUID, Examination] = {}

    @property
    def new(self) -> frozenset[int]:
        """Whose rows are still to be written."""
        return frozenset(self.ingested) | frozenset(self.copied)

    def in_order(self, envelope_id: UUID, now: datetime) -> tuple[StoredDocument, ...]:
        made = self.ingested | self.copied
        count = len(made) + len(self.attached)
        return tuple(
            self.attached[position]
            if position in self.attached
            else _stored(made[position], envelope_id, position, now)
            for position in range(1, count + 1)
        )


async def take_documents(
    services: Services,
    tenant_id: UUID,
    draft: EnvelopeInput,
    templates: Mapping[str, TemplateDocument],
    taken: TakenDocuments,
) -> None:
    """Fills `taken`, also when it fails on the way. Raises ValidationFailed, NotFound."""
    is_examining = bool(draft.documents) and await is_signed_here(services, tenant_id)
    for position, document in enumerate(draft.documents, start=1):
        if document.document_id in templates:
            taken.copied[position] = _copy(services, templates[document.document_id])
        elif document.document_id:
            document_id = read_id(Kind.DOCUMENT, document.document_id)
            taken.attached[position] = await load_document(services.database, tenant_id, document_id)
        else:
            made = await ingest_document(
                services, tenant_id, document.name, document.content_base64, measure=not is_examining
            )
            taken.ingested[position] = made
            if is_examining:
                await _examine(services, tenant_id, position, taken)


async def drop_documents(services: Services, tenant_id: UUID, taken: TakenDocuments) -> None:
    """Bytes without a row belong to nobody."""
    for document in taken.ingested.values():
        await drop_document(services, tenant_id, document.blob_key)


async def _examine(services: Services, tenant_id: UUID, position: int, taken: TakenDocuments) -> None:
    made = taken.ingested[position]
    what = await examine_new(services, tenant_id, made.media_type, made.blob_key, made.sha256)
    if what is None:
        return
    pages = tuple((page.width, page.height) for page in what.pages)
    taken.ingested[position] = msgspec.structs.replace(made, page_count=what.page_count, pages=pages)
    taken.examined[made.id] = what


def _copy(services: Services, source: TemplateDocument) -> IngestedDocument:
    return IngestedDocument(
        id=services.ids.new(),
        name=source.name,
        media_type=source.media_type,
        size_bytes=source.size_bytes,
        sha256=source.sha256,
        page_count=source.page_count,
        pages=source.pages,
        blob_key=source.blob_key,
        source_media_type=source.source_media_type,
        source_sha256=source.source_sha256,
    )


def _stored(document: IngestedDocument, envelope_id: UUID, position: int, now: datetime) -> StoredDocument:
    return StoredDocument(
        id=document.id,
        envelope_id=envelope_id,
        position=position,
        name=document.name,
        media_type=document.media_type,
        size_bytes=document.size_bytes,
        sha256=document.sha256,
        page_count=document.page_count,
        pages=document.pages,
        blob_key=document.blob_key,
        source_media_type=document.source_media_type,
        source_sha256=document.source_sha256,
        status="ready",
        created_at=now,
    )
