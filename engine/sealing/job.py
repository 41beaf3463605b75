"""Seals what waits for it: every document, the certificate of completion, and the combined file, then completes.

An envelope is completed with all of its seals or not at all: whatever is missing (a timestamp, the blob store, a
valid certificate) leaves it in `sealing`, to be tried again after a growing pause, for ever; the sender is told
after some tries. No network call and no sealing happens while a transaction is open.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec

from config.blobs import StoredBlob
from config.settings_sealing import SealLevel
from engine.ceremony.attach import Attachment
from engine.engine import Engine
from engine.envelopes.end import SealedDocument, StoredFile, complete_envelope
from engine.envelopes.letters import write_to_sender
from engine.model import EngineDocument, EngineEnvelope, EngineStatus, SealingMode
from engine.notify.notice import NoticeKind
from engine.record import record
from engine.sealing.agreed import check_agreed
from engine.sealing.attachment_facts import fetch_carried
from engine.sealing.attempt import Stale, attempt, work_off
from engine.sealing.combined import CombinedPart, make_combined
from engine.sealing.completion import describe_seal, digest_of_head, make_certificate
from engine.sealing.completion_facts import Completion, DocumentFacts
from engine.sealing.completion_records import Records, read_entries, read_records
from engine.sealing.compose_completion import compose_completion
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.facts import seal_events
from engine.sealing.files import fetch_file, fetch_pictures, private_folder, store_file
from engine.sealing.keys import check_validity
from engine.sealing.overlay import Drawn
from engine.sealing.own_signatures import Paper, load_papers, load_signatures
from engine.sealing.papers import has_own_signatures
from engine.sealing.per_signer import finish
from engine.sealing.seal import SealedFile, SealOrder, seal_file
from engine.sealing.sealer import Sealer, sealer_of
from engine.sealing.signer import SealingKey
from engine.sealing.signing import run_apart
from engine.sealing.stamps import print_moment, stamps_of
from engine.sealing.store import Claim, SealRow, claim_due, insert_seals, postpone
from engine.store import load_envelope, lock_envelope
from ledger.check import check_chain
from normalizer.ids import Kind, print_id

logger = logging.getLogger("countersign.sealing")

REASON = "All parties have signed"


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed file in the blob store. `document` None: the certificate or the combined file."""

    part: str
    document: EngineDocument | None
    blob: StoredBlob
    sealed: SealedFile


async def seal_due(engine: Engine, sealer: Sealer | None = None) -> int:
    """How many envelopes were completed. One run takes a batch; what is left is found by the next."""
    sealer = sealer or sealer_of(engine)
    settings = engine.settings.sealing
    claims = await claim_due(engine.hub, settings.batch_size, settings.lease_s)
    return await work_off(sealer, claims, lambda claim: _seal_one(engine, sealer, claim))


async def _seal_one(engine: Engine, sealer: Sealer, claim: Claim) -> bool:
    began = engine.clock.monotonic()
    stored: list[Stored] = []
    trouble = await attempt(
        engine,
        claim.tenant_id,
        _seal(engine, sealer, claim, stored),
        files=lambda: [one.blob.key for one in stored],
        put_off=lambda error: _put_off(engine, claim, error),
    )
    logger.info(
        "envelope.sealed engine_id=%s attempt=%d outcome=%s duration_ms=%d",
        claim.engine_id,
        claim.attempt,
        trouble or "completed",
        (engine.clock.monotonic() - began) * 1000,
    )
    return not trouble


async def _seal(engine: Engine, sealer: Sealer, claim: Claim, stored: list[Stored]) -> None:
    envelope = await load_envelope(engine.database, claim.tenant_id, claim.engine_id)
    key = await sealer.keys.key_for_seal(claim.tenant_id)
    check_validity(key, engine.clock.now())
    async with private_folder() as folder:
        facts = await _make_files(engine, sealer, envelope, key, folder, stored)
    await _complete(engine, claim, key, stored, facts)


async def _make_files(
    engine: Engine,
    sealer: Sealer,
    envelope: EngineEnvelope,
    key: SealingKey,
    folder: Path,
    stored: list[Stored],
) -> Completion:
    """Seals and stores every file; `stored` grows as it goes, so that a failure can clean up."""
    verified = await _verify_ledger(engine, envelope)
    pictures = await fetch_pictures(engine.blobs, envelope, {one.signature_id for one in envelope.fields})
    papers = await _signed_papers(engine, envelope)
    documents: list[DocumentFacts] = []
    parts: list[CombinedPart] = []
    cut: set[UUID] = set()
    for document in envelope.documents:
        target = folder / f"{document.id}-sealed.pdf"
        sealed = await _seal_document(
            engine, sealer, envelope, document, papers.get(document.id), target, pictures, key
        )
        stored.append(await _store(engine, envelope.tenant_id, "document", document, target, sealed))
        documents.append(_describe(document, sealed, stored[-1].blob.sha256))
        parts.append(CombinedPart(target, documents[-1]))
        cut |= set(sealed.drawn.cut_fields)
    facts, attachments = await _gather(
        engine, sealer, envelope, key, tuple(documents), frozenset(cut), verified
    )
    carried = await fetch_carried(engine.blobs, envelope, attachments, facts.attachments)
    marks = {print_id(Kind.SIGNATURE, own): content for own, content in pictures.items()}
    certificate = folder / "certificate.pdf"
    sealed = await run_apart(lambda: make_certificate(sealer.tools, key, facts, marks, certificate, carried))
    stored.append(await _store(engine, envelope.tenant_id, "certificate", None, certificate, sealed))
    if len(parts) > 1:
        combined = folder / "combined.pdf"
        sealed = await run_apart(
            lambda: make_combined(sealer.tools, key, envelope.subject, facts.verify_url, parts, combined)
        )
        stored.append(await _store(engine, envelope.tenant_id, "combined", None, combined, sealed))
    return facts


async def _verify_ledger(engine: Engine, envelope: EngineEnvelope) -> int:
    """How many entries the envelope's chain has. Raises SealingFailed: a certificate never rests on a broken one,
    nor on values that differ from those that it says were signed for.
    """
    verdict = await check_chain(engine.database, envelope.tenant_id, f"env:{envelope.envelope_id}")
    if not verdict.valid:
        raise SealingFailed(
            SealTrouble.LEDGER_BROKEN,
            f"the envelope's audit chain does not verify ({len(verdict.violations)} violations)",
        )
    async with engine.database.transaction(envelope.tenant_id) as tx:
        await check_agreed(tx, envelope, await read_entries(engine, tx, envelope))
    return verdict.events_verified


async def _signed_papers(engine: Engine, envelope: EngineEnvelope) -> dict[UUID, Paper]:
    """The documents that signers' own keys have signed, by all of them. Raises SealingFailed when one is missing."""
    if envelope.sealing_mode is not SealingMode.PER_SIGNER:
        return {}
    async with engine.database.transaction(envelope.tenant_id) as tx:
        made = await load_signatures(tx, envelope.tenant_id, envelope.id)
        papers = await load_papers(tx, envelope.tenant_id, envelope.id)
    signers = {one.recipient_id for one in envelope.fields if one.signature_id is not None}
    done = {one.recipient_id for one in made.values() if one.state == "done"}
    wanted = {one.id for one in envelope.documents if has_own_signatures(envelope, one)}
    if signers - done or wanted - papers.keys():
        raise SealingFailed(SealTrouble.KEY_UNAVAILABLE, "a signer's own signature was not made")
    return papers


async def _seal_document(
    engine: Engine,
    sealer: Sealer,
    envelope: EngineEnvelope,
    document: EngineDocument,
    paper: Paper | None,
    target: Path,
    pictures: dict[UUID, bytes],
    key: SealingKey,
) -> SealedFile:
    """With the platform's key; what signers have signed with their own only gets its proofs and a timestamp."""
    if paper is not None:
        await fetch_file(engine.blobs, envelope.tenant_id, paper.blob_key, paper.sha256, target)
        finished = await run_apart(lambda: finish(sealer.tools, target))
        return msgspec.structs.replace(finished, drawn=Drawn(paper.cut_fields, paper.escaped))
    source = target.with_suffix(".shown.pdf")
    await fetch_file(engine.blobs, envelope.tenant_id, document.blob_key, document.sha256, source)
    order = SealOrder(
        source=source,
        target=target,
        stamps=stamps_of(envelope, document),
        pictures=pictures,
        key=key,
        reason=REASON,
        is_signed=document.is_signed,
    )
    sealed = await run_apart(lambda: seal_file(sealer.tools, order))
    source.unlink()
    return sealed


async def _gather(
    engine: Engine,
    sealer: Sealer,
    envelope: EngineEnvelope,
    key: SealingKey,
    documents: tuple[DocumentFacts, ...],
    cut: frozenset[UUID],
    entries_verified: int,
) -> tuple[Completion, tuple[Attachment, ...]]:
    async with engine.database.transaction(envelope.tenant_id) as tx:
        records: Records = await read_records(engine, tx, envelope)
    token = None
    if records.entries:
        head = digest_of_head(records.entries[-1].hash)
        token = await run_apart(lambda: sealer.tools.timestamps.stamp(head))
    completion = compose_completion(
        envelope,
        records,
        base_url=engine.settings.countersign.public_base_url,
        sealed_at=engine.clock.now(),
        seal=describe_seal(key),
        documents=documents,
        cut_fields=cut,
        token=token,
        entries_verified=entries_verified,
    )
    return completion, records.attachments


async def _store(
    engine: Engine,
    tenant_id: UUID,
    part: str,
    document: EngineDocument | None,
    file: Path,
    sealed: SealedFile,
) -> Stored:
    blob = await store_file(engine.blobs, tenant_id, file)
    if blob.size != sealed.size_bytes:
        raise SealingFailed(SealTrouble.INTERNAL, "the sealed file changed on its way to the store")
    return Stored(part=part, document=document, blob=blob, sealed=sealed)


def _describe(document: EngineDocument, sealed: SealedFile, sha256: str) -> DocumentFacts:
    return DocumentFacts(
        id=print_id(Kind.DOCUMENT, document.id),
        name=document.name,
        page_count=document.page_count,
        original_sha256=document.source_sha256,
        shown_sha256=document.sha256,
        sealed_sha256=sha256,
        sealed_size=sealed.size_bytes,
        sealed_level=sealed.level.value,
        timestamp=print_moment(sealed.token.moment),
        timestamp_authority=sealed.token.authority,
        timestamp_serial=sealed.token.serial,
        escaped_letters=sealed.drawn.escaped,
    )


async def _complete(
    engine: Engine, claim: Claim, key: SealingKey, stored: Sequence[Stored], facts: Completion
) -> None:
    async with engine.database.transaction(claim.tenant_id) as tx:
        envelope = await lock_envelope(tx, claim.tenant_id, claim.engine_id)
        if envelope.status is not EngineStatus.SEALING or envelope.seal_attempts != claim.attempt:
            raise Stale
        documents = [
            SealedDocument(
                document_id=one.document.id,
                blob_key=one.blob.key,
                sha256=one.blob.sha256,
                size_bytes=one.blob.size,
            )
            for one in stored
            if one.document is not None
        ]
        by_part = {one.part: one for one in stored}
        certificate = _file(by_part["certificate"])
        combined = _file(by_part.get("combined", by_part["document"]))
        await insert_seals(tx, [_row(engine, claim, key, one) for one in stored])
        await complete_envelope(engine, tx, envelope, documents, certificate, combined)
        await record(engine, tx, seal_events(engine, envelope, key, stored, facts))
        await tx.commit()


def _file(one: Stored) -> StoredFile:
    return StoredFile(blob_key=one.blob.key, sha256=one.blob.sha256, size_bytes=one.blob.size)


def _row(engine: Engine, claim: Claim, key: SealingKey, one: Stored) -> SealRow:
    described = describe_seal(key)
    token = one.sealed.archive or one.sealed.token
    is_renewed = one.sealed.level is SealLevel.B_LTA
    before = timedelta(days=engine.settings.sealing.renew_before_days)
    return SealRow(
        tenant_id=claim.tenant_id,
        engine_id=claim.engine_id,
        id=engine.ids.new(),
        part=one.part,
        document_id=one.document.id if one.document is not None else None,
        revision=1,
        level=one.sealed.level.value,
        blob_key=one.blob.key,
        sha256=one.blob.sha256,
        size_bytes=one.blob.size,
        certificate_serial=described.serial,
        certificate_sha256=described.sha256,
        timestamp_authority=token.authority[:300],
        timestamp_serial=token.serial,
        stamped_at=token.moment,
        proof_until=token.certificate_until,
        renew_at=token.certificate_until - before if is_renewed else None,
    )


async def _put_off(engine: Engine, claim: Claim, error: SealingFailed) -> None:
    settings = engine.settings.sealing
    delays = settings.retry_delays_s
    delay_s = delays[min(claim.attempt, len(delays)) - 1]
    logger.warning(
        "envelope.seal_delayed engine_id=%s attempt=%d trouble=%s detail=%s",
        claim.engine_id,
        claim.attempt,
        error.trouble,
        error.detail,
    )
    async with engine.database.transaction(claim.tenant_id) as tx:
        if not await postpone(tx, claim, delay_s, error.trouble.value):
            return
        if claim.attempt == settings.notice_after_attempts:
            envelope = await load_envelope(tx, claim.tenant_id, claim.engine_id)
            await write_to_sender(
                engine, tx, envelope, NoticeKind.SEALING_DELAYED, reason=error.trouble.value.replace("_", " ")
            )
        await tx.commit()
