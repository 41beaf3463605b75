"""Makes the signatures of signers' own keys, one after another in the order in which they finished.

The first also makes all fields and has the platform certify the file. A key is used after its owner has passed every
proof of identity and confirmed the intent, whose hash goes into the ledger with the certificate's; no key is used for
an envelope that has ended. Whatever is missing leaves the signature waiting, to be tried again after a growing pause.
No network call and no signing happens while a transaction is open.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

from engine.certificates.store import load_certificate
from engine.engine import Engine
from engine.envelopes.act import SEAL
from engine.envelopes.letters import write_to_sender
from engine.envelopes.visitor import Visitor, actor_of
from engine.model import EngineDocument, EngineEnvelope, EngineRecipient, EngineStatus
from engine.notify.notice import NoticeKind
from engine.record import record
from engine.sealing.attempt import Stale, attempt, work_off
from engine.sealing.completion import describe_seal
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.files import fetch_file, fetch_pictures, forget_files, private_folder, store_file
from engine.sealing.keys import check_validity
from engine.sealing.own_signatures import (
    SIGN_RECIPIENTS,
    OwnSignature,
    Paper,
    SignatureClaim,
    UsedCertificate,
    claim_signatures,
    load_papers,
    load_signatures,
    note_signature,
    postpone_signature,
)
from engine.sealing.papers import fields_to_fill, fields_to_make
from engine.sealing.per_signer import prepare, sign_as
from engine.sealing.sealer import Sealer, sealer_of
from engine.sealing.signer import SealingKey
from engine.sealing.signing import run_apart
from engine.store import load_envelope, lock_envelope
from normalizer.canonical import Json
from normalizer.events import Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.sealing")
_OPEN = frozenset({EngineStatus.SENT, EngineStatus.SEALING})
# Somebody has to act before these mend: the sender is told at once.
_PERMANENT = frozenset(
    {SealTrouble.CERTIFICATE_MISSING, SealTrouble.CERTIFICATE_EXPIRED, SealTrouble.CERTIFICATE_UNSUITABLE}
)


async def sign_due(engine: Engine, sealer: Sealer | None = None) -> int:
    """How many recipients' signatures were made. Of each envelope the next one; the rest by the next run."""
    sealer = sealer or sealer_of(engine)
    settings = engine.settings.sealing
    claims = await claim_signatures(engine.hub, settings.batch_size, settings.lease_s)
    return await work_off(sealer, claims, lambda claim: _sign_one(engine, sealer, claim))


async def _sign_one(engine: Engine, sealer: Sealer, claim: SignatureClaim) -> bool:
    began = engine.clock.monotonic()
    made: list[Paper] = []
    trouble = await attempt(
        engine,
        claim.tenant_id,
        _sign(engine, sealer, claim, made),
        files=lambda: [one.blob_key for one in made],
        put_off=lambda error: _put_off(engine, claim, error),
    )
    logger.info(
        "recipient.signed engine_id=%s recipient_id=%s attempt=%d outcome=%s duration_ms=%d",
        claim.engine_id,
        claim.recipient_id,
        claim.attempt,
        trouble or "signed",
        (engine.clock.monotonic() - began) * 1000,
    )
    return not trouble


async def _sign(engine: Engine, sealer: Sealer, claim: SignatureClaim, made: list[Paper]) -> None:
    async with engine.database.transaction(claim.tenant_id) as tx:
        envelope = await load_envelope(tx, claim.tenant_id, claim.engine_id)
        own = (await load_signatures(tx, claim.tenant_id, claim.engine_id))[claim.recipient_id]
        papers = await load_papers(tx, claim.tenant_id, claim.engine_id)
    if envelope.status not in _OPEN:
        raise Stale
    recipient = envelope.recipient(claim.recipient_id)
    key = await sealer.keys.key_for_signer(claim.tenant_id, claim.engine_id, recipient.id)
    check_validity(key, engine.clock.now())
    used = await _describe(engine, claim.tenant_id, key)
    pictures = await fetch_pictures(
        engine.blobs, envelope, {one.signature_id for one in envelope.fields_of(recipient.id)}
    )
    said = {"name": recipient.signed_name or recipient.name, "reason": recipient.meaning}
    async with private_folder() as folder:
        for document in envelope.documents:
            fields = fields_to_fill(envelope, document, recipient)
            if fields is None:
                continue
            file = folder / f"{document.id}.pdf"
            before = papers.get(document.id)
            await _lay_out(engine, sealer, envelope, document, before, file)
            step = await run_apart(partial(sign_as, sealer.tools, file, fields, key, pictures, **said))
            blob = await store_file(engine.blobs, claim.tenant_id, file)
            cut = before.cut_fields if before else ()
            made.append(
                Paper(
                    document_id=document.id,
                    blob_key=blob.key,
                    sha256=blob.sha256,
                    cut_fields=(*cut, *step.drawn.cut_fields),
                    escaped=(before.escaped if before else 0) + step.drawn.escaped,
                )
            )
    await _keep(engine, claim, recipient, own, used, made)
    replaced = [papers[one.document_id].blob_key for one in made if one.document_id in papers]
    await forget_files(engine.blobs, claim.tenant_id, replaced)


async def _lay_out(
    engine: Engine,
    sealer: Sealer,
    envelope: EngineEnvelope,
    document: EngineDocument,
    before: Paper | None,
    file: Path,
) -> None:
    """The paper as it is signed so far; for the first signer made out of the document that was shown."""
    if before is not None:
        await fetch_file(engine.blobs, envelope.tenant_id, before.blob_key, before.sha256, file)
        return
    key = await sealer.keys.key_for_seal(envelope.tenant_id)
    check_validity(key, engine.clock.now())
    source = file.with_suffix(".shown.pdf")
    await fetch_file(engine.blobs, envelope.tenant_id, document.blob_key, document.sha256, source)
    fields = fields_to_make(envelope, document)
    await run_apart(lambda: prepare(sealer.tools, source, file, fields, key))
    source.unlink()


async def _keep(
    engine: Engine,
    claim: SignatureClaim,
    recipient: EngineRecipient,
    own: OwnSignature,
    used: UsedCertificate,
    made: Sequence[Paper],
) -> None:
    async with engine.database.transaction(claim.tenant_id) as tx:
        envelope = await lock_envelope(tx, claim.tenant_id, claim.engine_id)
        if envelope.status not in _OPEN or envelope.recipient(recipient.id).email != recipient.email:
            raise Stale
        if not await note_signature(tx, claim, used, made, engine.clock.now()):
            raise Stale
        await record(engine, tx, [_event(engine, envelope, recipient, own, used, made)])

        async def wake() -> None:
            engine.wake(SIGN_RECIPIENTS)
            engine.wake(SEAL)

        tx.on_commit(wake)
        await tx.commit()


def _event(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    own: OwnSignature,
    used: UsedCertificate,
    made: Sequence[Paper],
) -> Event:
    """What released the key (`content_sha256` is the confirmed intent's), which key it was, and what came of it."""
    signed: dict[str, Json] = {print_id(Kind.DOCUMENT, one.document_id): one.sha256 for one in made}
    facts: dict[str, Json] = {
        "purpose": "sign",
        "serial": used.serial,
        "sha256": used.sha256,
        "key_location": used.key_location,
        "content_sha256": own.intent_sha256,
        "signed_sha256": signed,
        "signatures": len(made),
    }
    visitor = Visitor(ip_address=recipient.ip_address, user_agent=recipient.user_agent)
    return Event(
        id=engine.ids.new(),
        type=LedgerType.CERTIFICATE_USED,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.envelope_id,
        resource_type=ResourceType.CERTIFICATE,
        resource_id=print_id(Kind.CERTIFICATE, used.id) if used.id else used.sha256,
        occurred_at=engine.clock.now(),
        actor=actor_of(recipient, visitor),
        source=Source(kind=SourceKind.JOB),
        facts=facts,
    )


async def _describe(engine: Engine, tenant_id: UUID, key: SealingKey) -> UsedCertificate:
    described = describe_seal(key)
    own, location = None, ""
    if key.certificate_id:
        own = read_id(Kind.CERTIFICATE, key.certificate_id)
        location = (await load_certificate(engine, tenant_id, own)).key_location.value
    return UsedCertificate(
        id=own,
        serial=described.serial,
        sha256=described.sha256,
        subject=described.subject,
        issuer=described.issuer,
        key_location=location,
    )


async def _put_off(engine: Engine, claim: SignatureClaim, error: SealingFailed) -> None:
    settings = engine.settings.sealing
    delays = settings.retry_delays_s
    logger.warning(
        "recipient.sign_delayed engine_id=%s attempt=%d trouble=%s detail=%s",
        claim.engine_id,
        claim.attempt,
        error.trouble,
        error.detail,
    )
    told_at = 1 if error.trouble in _PERMANENT else settings.notice_after_attempts
    async with engine.database.transaction(claim.tenant_id) as tx:
        delay_s = delays[min(claim.attempt, len(delays)) - 1]
        if not await postpone_signature(tx, claim, delay_s, error.trouble.value):
            return
        if claim.attempt == told_at:
            envelope = await load_envelope(tx, claim.tenant_id, claim.engine_id)
            name = envelope.recipient(claim.recipient_id).name
            reason = f"{error.trouble.value.replace('_', ' ')} ({name})"
            await write_to_sender(engine, tx, envelope, NoticeKind.SEALING_DELAYED, reason=reason)
        await tx.commit()
