"""Hands out documents: the uploads of a draft, the provider's copies once it has them.

What belongs to an ended envelope is fetched once and kept, for providers purge. Every download is recorded.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from adapters.kit.port import Part
from gateway.envelopes.facts import envelope_event, part_event
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.provider_call import call_provider, require_done
from gateway.envelopes.store import load_document, load_envelope
from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.errors import InvalidTransition, NotFound, ProviderContractBroken
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """`chunks` decrypts while it is read. `sha256` is of the plain bytes."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    chunks: AsyncIterator[bytes]


async def download_part(
    services: Services, caller: Caller, envelope_id: UUID, part: Part, number: int = 0
) -> Download:
    """The combined PDF, one document (1-based `number`), or the certificate of completion.

    Raises NotFound for a document that is not there, InvalidTransition while nothing is at a provider.
    """
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    if part is Part.DOCUMENT and not 1 <= number <= len(envelope.documents):
        raise NotFound("document", str(number))
    if envelope.provider_ref is None:
        if part is not Part.DOCUMENT:
            raise InvalidTransition(envelope.status, "downloaded", "The envelope is at no provider yet.")
        return await download_document(services, caller, envelope.documents[number - 1].id)
    kept = await _kept(services, envelope, part, number)
    if kept is None:
        outcome = await call_provider(
            services,
            envelope,
            "download",
            lambda adapter, exchange, connection, ref: adapter.download(
                exchange, connection, ref, part, number
            ),
        )
        saved = require_done(envelope.provider or "", outcome)
        if not saved.first_bytes.startswith(b"%PDF"):
            await services.blobs.delete(caller.tenant_id, saved.key)
            raise ProviderContractBroken(envelope.provider or "", "The provider's answer is not a PDF.")
        kept = (saved.key, "application/pdf", saved.sha256, saved.size_bytes)
    blob_key, media_type, sha256, size_bytes = kept
    async with services.database.transaction(caller.tenant_id) as tx:
        if envelope.status.is_terminal:
            await tx.driver.execute(
                "INSERT INTO envelope_artifacts (tenant_id, envelope_id, part, number, blob_key, media_type,"
                " sha256, size_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
                envelope.tenant_id,
                envelope.id,
                str(part),
                number,
                blob_key,
                media_type,
                sha256,
                size_bytes,
            )
        await services.recorder.record(tx, [_event(services, caller, envelope, part, number, sha256)])
        await tx.commit()
    return Download(
        name=_file_name(envelope, part, number),
        media_type=media_type,
        size_bytes=size_bytes,
        sha256=sha256,
        chunks=services.blobs.open(caller.tenant_id, blob_key),
    )


async def download_document(services: Services, caller: Caller, document_id: UUID) -> Download:
    """A document as it was stored after its upload."""
    document = await load_document(services.database, caller.tenant_id, document_id)
    event = Event(
        id=services.ids.new(),
        type=LedgerType.DOCUMENT_DOWNLOADED,
        tenant_id=caller.tenant_id,
        envelope_id=document.envelope_id,
        resource_type=ResourceType.DOCUMENT,
        resource_id=print_id(Kind.DOCUMENT, document_id),
        occurred_at=services.clock.now(),
        actor=caller.actor,
        source=caller.source,
        facts={"document_sha256": document.sha256},
    )
    async with services.database.transaction(caller.tenant_id) as tx:
        await services.recorder.record(tx, [event])
        await tx.commit()
    return Download(
        name=document.name,
        media_type=document.media_type,
        size_bytes=document.size_bytes,
        sha256=document.sha256,
        chunks=services.blobs.open(caller.tenant_id, document.blob_key),
    )


async def _kept(
    services: Services, envelope: StoredEnvelope, part: Part, number: int
) -> tuple[str, str, str, int] | None:
    if not envelope.status.is_terminal:
        return None
    async with services.database.transaction(envelope.tenant_id) as tx:
        row = await tx.driver.fetchrow(
            "SELECT blob_key, media_type, sha256, size_bytes FROM envelope_artifacts"
            " WHERE tenant_id = $1 AND envelope_id = $2 AND part = $3 AND number = $4",
            envelope.tenant_id,
            envelope.id,
            str(part),
            number,
        )
    return (row["blob_key"], row["media_type"], row["sha256"], row["size_bytes"]) if row else None


def _event(
    services: Services, caller: Caller, envelope: StoredEnvelope, part: Part, number: int, sha256: str
) -> Event:
    facts: dict[str, Json] = {"part": str(part), "number": number, "document_sha256": sha256}
    if part is Part.DOCUMENT:
        return part_event(
            services,
            LedgerType.DOCUMENT_DOWNLOADED,
            envelope,
            ResourceType.DOCUMENT,
            print_id(Kind.DOCUMENT, envelope.documents[number - 1].id),
            caller.actor,
            caller.source,
            facts,
        )
    return envelope_event(
        services, LedgerType.DOCUMENT_DOWNLOADED, envelope, caller.actor, caller.source, facts=facts
    )


def _file_name(envelope: StoredEnvelope, part: Part, number: int) -> str:
    if part is Part.DOCUMENT:
        stem = envelope.documents[number - 1].name.rsplit(".", 1)[0]
        return f"{stem}.pdf"
    return f"{print_id(Kind.ENVELOPE, envelope.id)}-{part}.pdf"
