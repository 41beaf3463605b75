"""A recipient's copies: the documents as they are while the envelope is open, the sealed ones afterwards.

Whoever has handed over gets none. Every download is evidence and goes into the ledger; looking is only noted.
Source: 15 U.S.C. 7001(d), (e): copies that all entitled to them can keep.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from engine.ceremony.evidence import ceremony_event
from engine.ceremony.sessions import Session
from engine.engine import Engine
from engine.envelopes.visitor import Visitor
from engine.model import EngineDocument, EngineEnvelope, EngineRecipient, EngineStatus
from engine.record import record
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id
from normalizer.status import RecipientStatus
from normalizer.vocabulary import LedgerType

CERTIFICATE, COMBINED = "certificate", "combined"
_CLOSED = frozenset({EngineStatus.DRAFT, EngineStatus.VOIDED, EngineStatus.EXPIRED})


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """`part` is its name in addresses: "document-1", "certificate", "combined"."""

    part: str
    name: str
    blob_key: str
    sha256: str
    size_bytes: int
    is_sealed: bool
    document: EngineDocument | None = None


def copies_of(envelope: EngineEnvelope, recipient: EngineRecipient) -> tuple[Copy, ...]:
    """What this recipient may keep now, in the order of the page."""
    if (
        recipient.status in {RecipientStatus.REASSIGNED, RecipientStatus.CANCELLED}
        or envelope.status in _CLOSED
    ):
        return ()
    is_sealed = envelope.status is EngineStatus.COMPLETED
    copies = [
        Copy(
            part=f"document-{number}",
            name=document.name,
            blob_key=document.sealed_blob_key if is_sealed else document.blob_key,
            sha256=document.sealed_sha256 if is_sealed else document.sha256,
            size_bytes=document.sealed_size if is_sealed else document.size_bytes,
            is_sealed=is_sealed,
            document=document,
        )
        for number, document in enumerate(envelope.documents, start=1)
    ]
    if is_sealed and envelope.certificate_blob_key:
        copies.append(
            Copy(
                part=CERTIFICATE,
                name="certificate",
                blob_key=envelope.certificate_blob_key,
                sha256=envelope.certificate_sha256,
                size_bytes=envelope.certificate_size,
                is_sealed=True,
            )
        )
    if is_sealed and envelope.combined_blob_key and len(envelope.documents) > 1:
        copies.append(
            Copy(
                part=COMBINED,
                name="combined",
                blob_key=envelope.combined_blob_key,
                sha256=envelope.combined_sha256,
                size_bytes=envelope.combined_size,
                is_sealed=True,
            )
        )
    return tuple(copy for copy in copies if copy.blob_key)


def find_copy(envelope: EngineEnvelope, recipient: EngineRecipient, part: str) -> Copy | None:
    return next((copy for copy in copies_of(envelope, recipient) if copy.part == part), None)


def open_copy(engine: Engine, tenant_id: UUID, copy: Copy, offset: int = 0) -> AsyncIterator[bytes]:
    return engine.blobs.open(tenant_id, copy.blob_key, offset)


async def note_download(
    engine: Engine,
    session: Session,
    visitor: Visitor,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    copy: Copy,
) -> None:
    """That the recipient took a copy, in the ledger."""
    resource = (
        (ResourceType.DOCUMENT, copy.document.id)
        if copy.document is not None
        else (ResourceType.ENVELOPE, envelope.envelope_id)
    )
    fact = ceremony_event(
        engine,
        envelope,
        recipient,
        visitor,
        LedgerType.DOCUMENT_DOWNLOADED,
        resource,
        facts={
            "part": copy.part,
            "sha256": copy.sha256,
            "sealed": copy.is_sealed,
            "envelope_id": print_id(Kind.ENVELOPE, envelope.envelope_id),
        },
    )
    async with engine.database.transaction(session.tenant_id) as tx:
        await record(engine, tx, [fact])
        await tx.commit()
