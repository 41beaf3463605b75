"""How an envelope ends: completed with sealed documents, declined, voided or expired; and it stays ended.

Links of an envelope that ended otherwise than completed open nothing; after completion everybody gets a new one,
to look at and to download.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.engine import Engine
from engine.envelopes.changes import change_envelope, change_recipient
from engine.envelopes.letters import withdraw, write_to_all, write_to_sender, write_with_link
from engine.envelopes.lineage import holders
from engine.envelopes.report import Happening, Word, happening, tell
from engine.model import EngineDocument, EngineEnvelope, EngineStatus
from engine.notify.notice import NoticeKind
from normalizer.errors import InvalidTransition
from normalizer.status import RecipientStatus


class SealedDocument(msgspec.Struct, frozen=True, kw_only=True):
    document_id: UUID
    blob_key: str
    sha256: str
    size_bytes: int


class StoredFile(msgspec.Struct, frozen=True, kw_only=True):
    blob_key: str
    sha256: str
    size_bytes: int


class _End(msgspec.Struct, frozen=True):
    word: Word
    letter: NoticeKind
    left_behind: RecipientStatus


_ENDS: dict[EngineStatus, _End] = {
    EngineStatus.DECLINED: _End(Word.ENVELOPE_DECLINED, NoticeKind.DECLINED, RecipientStatus.CANCELLED),
    EngineStatus.VOIDED: _End(Word.ENVELOPE_VOIDED, NoticeKind.VOIDED, RecipientStatus.CANCELLED),
    EngineStatus.EXPIRED: _End(Word.ENVELOPE_EXPIRED, NoticeKind.EXPIRED, RecipientStatus.EXPIRED),
}


async def end_envelope(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    status: EngineStatus,
    *,
    reason: str = "",
    by: str = "",
    first: Sequence[Happening] = (),
) -> EngineEnvelope:
    """DECLINED, VOIDED or EXPIRED; `first`: what happened before it, told in the same message."""
    end, was_draft = _ENDS[status], envelope.status is EngineStatus.DRAFT
    for recipient in envelope.recipients:
        if not recipient.status.is_terminal:
            envelope = await change_recipient(tx, envelope, recipient.id, {"status": end.left_behind})
    changes = {
        "status": status,
        "reason": reason,
        "ended_at": engine.clock.now(),
        "version": envelope.version + 1,
        "next_reminder_at": None,
        "warn_at": None,
    }
    envelope = await change_envelope(tx, envelope, changes)
    if was_draft:
        # Nobody was asked, and nobody is told: at the gateway, a later try may have taken this one's place.
        return envelope
    await withdraw(engine, tx, envelope)
    await write_to_all(engine, tx, envelope, end.letter, reason=reason, by=by)
    ended = happening(engine, envelope, end.word, reason=reason)
    await tell(engine, tx, envelope, (*first, ended))
    return envelope


async def complete_envelope(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    sealed: Sequence[SealedDocument],
    certificate: StoredFile,
    combined: StoredFile,
) -> EngineEnvelope:
    """Ends a locked envelope that is SEALING with its sealed documents: one for each, and only then.

    Raises InvalidTransition for any other status, ValueError for documents that do not match.
    """
    if envelope.status is not EngineStatus.SEALING:
        raise InvalidTransition(envelope.status, EngineStatus.COMPLETED)
    if sorted(one.document_id for one in sealed) != sorted(one.id for one in envelope.documents):
        raise ValueError("every document of the envelope is sealed once")
    envelope = await _keep_sealed(tx, envelope, sealed)
    now = engine.clock.now()
    envelope = await change_envelope(
        tx,
        envelope,
        {
            "status": EngineStatus.COMPLETED,
            "completed_at": now,
            "ended_at": now,
            "seal_due_at": None,
            "seal_error": "",
            "certificate_blob_key": certificate.blob_key,
            "certificate_sha256": certificate.sha256,
            "certificate_size": certificate.size_bytes,
            "combined_blob_key": combined.blob_key,
            "combined_sha256": combined.sha256,
            "combined_size": combined.size_bytes,
        },
    )
    envelope, told = await _release_copies(engine, tx, envelope)
    for recipient in holders(envelope.recipients):
        await write_with_link(engine, tx, envelope, recipient, NoticeKind.COMPLETED)
    await write_to_sender(engine, tx, envelope, NoticeKind.COMPLETED)
    await tell(engine, tx, envelope, (*told, happening(engine, envelope, Word.ENVELOPE_COMPLETED)))
    return envelope


async def _keep_sealed(
    tx: Transaction, envelope: EngineEnvelope, sealed: Sequence[SealedDocument]
) -> EngineEnvelope:
    await tx.driver.execute(
        "UPDATE engine_documents d SET sealed_blob_key = t.key, sealed_sha256 = t.sha256, sealed_size = t.size"
        " FROM unnest($3::uuid[], $4::text[], $5::text[], $6::bigint[]) AS t(id, key, sha256, size)"
        " WHERE d.tenant_id = $1 AND d.engine_id = $2 AND d.id = t.id",
        envelope.tenant_id,
        envelope.id,
        [one.document_id for one in sealed],
        [one.blob_key for one in sealed],
        [one.sha256 for one in sealed],
        [one.size_bytes for one in sealed],
    )
    by_id = {one.document_id: one for one in sealed}
    return msgspec.structs.replace(
        envelope, documents=tuple(_sealed(one, by_id[one.id]) for one in envelope.documents)
    )


def _sealed(document: EngineDocument, sealed: SealedDocument) -> EngineDocument:
    return msgspec.structs.replace(
        document,
        sealed_blob_key=sealed.blob_key,
        sealed_sha256=sealed.sha256,
        sealed_size=sealed.size_bytes,
    )


async def _release_copies(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope
) -> tuple[EngineEnvelope, tuple[Happening, ...]]:
    """The carbon copies have all that they get now; those whose order came last are told only here."""
    now = engine.clock.now()
    told: list[Happening] = []
    for recipient in envelope.recipients:
        if recipient.role.acts or recipient.status.is_terminal:
            continue
        if recipient.sent_at is None:
            told.append(
                happening(engine, envelope, Word.RECIPIENT_ASKED, recipient, status=RecipientStatus.SENT)
            )
        envelope = await change_recipient(
            tx,
            envelope,
            recipient.id,
            {
                "status": RecipientStatus.COMPLETED,
                "sent_at": recipient.sent_at or now,
                "completed_at": now,
            },
        )
    return envelope, tuple(told)
