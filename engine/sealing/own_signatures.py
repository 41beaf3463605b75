"""Whose own key signs next, what released it, and the papers as far as they are signed: the statements.

A row is written when a signer has finished, in the same transaction as the intent: without it no key is used.
The attempt's number is the fence: a worker whose lease ran out changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from engine.engine import Engine
from engine.model import EngineEnvelope, SealingMode

SIGN_RECIPIENTS = "sign_recipients"  # the job


class SignatureClaim(msgspec.Struct, frozen=True):
    tenant_id: UUID
    engine_id: UUID
    recipient_id: UUID
    attempt: int


class OwnSignature(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: "waiting", "done", or "dropped" when the envelope ended first. `key_location` as in the store."""

    recipient_id: UUID
    turn: int
    intent_sha256: str
    state: str
    certificate_serial: str
    certificate_sha256: str
    subject_name: str
    issuer_name: str
    key_location: str
    signed_at: datetime | None


class UsedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID | None
    serial: str
    sha256: str
    subject: str
    issuer: str
    key_location: str


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """A document with the signatures that were made so far."""

    document_id: UUID
    blob_key: str
    sha256: str
    cut_fields: tuple[UUID, ...] = ()
    escaped: int = 0


async def queue_signature(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient_id: UUID, intent_sha256: str
) -> None:
    """The recipient has confirmed the intent with this hash: their key may be used, after those who were before.

    Nothing where keys of one's own are not asked for. MUST be called under the envelope's lock.
    """
    if envelope.sealing_mode is not SealingMode.PER_SIGNER:
        return
    if all(field.signature_id is None for field in envelope.fields_of(recipient_id)):
        return
    await tx.driver.execute(
        "INSERT INTO own_signatures (tenant_id, engine_id, recipient_id, turn, intent_sha256)"
        " SELECT $1, $2, $3, count(*) + 1, $4 FROM own_signatures WHERE tenant_id = $1 AND engine_id = $2",
        envelope.tenant_id,
        envelope.id,
        recipient_id,
        intent_sha256,
    )

    async def wake() -> None:
        engine.wake(SIGN_RECIPIENTS)

    tx.on_commit(wake)


async def claim_signatures(hub: Database, most: int, lease_s: float) -> list[SignatureClaim]:
    rows = await hub.fetch(
        "SELECT tenant_id, engine_id, recipient_id, attempt FROM claim_own_signatures($1, $2)", most, lease_s
    )
    return [SignatureClaim(*row.values()) for row in rows]


async def load_signatures(tx: Transaction, tenant_id: UUID, engine_id: UUID) -> dict[UUID, OwnSignature]:
    """By recipient, in the order of finishing."""
    names = OwnSignature.__struct_fields__
    rows = await tx.driver.fetch(
        f"SELECT {', '.join(names)} FROM own_signatures WHERE tenant_id = $1 AND engine_id = $2 ORDER BY turn",
        tenant_id,
        engine_id,
    )
    return {row["recipient_id"]: OwnSignature(**dict(row)) for row in rows}


async def load_papers(tx: Transaction, tenant_id: UUID, engine_id: UUID) -> dict[UUID, Paper]:
    """By document."""
    rows = await tx.driver.fetch(
        "SELECT document_id, blob_key, sha256, cut_fields, escaped FROM signing_papers"
        " WHERE tenant_id = $1 AND engine_id = $2",
        tenant_id,
        engine_id,
    )
    return {row["document_id"]: msgspec.convert(dict(row), Paper) for row in rows}


async def note_signature(
    tx: Transaction, claim: SignatureClaim, used: UsedCertificate, papers: Sequence[Paper], now: datetime
) -> bool:
    """False when somebody else has the claim meanwhile; then nothing was written."""
    done = await tx.driver.execute(
        "UPDATE own_signatures SET state = 'done', error = '', certificate_id = $5, certificate_serial = $6,"
        " certificate_sha256 = $7, subject_name = $8, issuer_name = $9, key_location = $10, signed_at = $11"
        " WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3 AND attempts = $4 AND state = 'waiting'",
        claim.tenant_id,
        claim.engine_id,
        claim.recipient_id,
        claim.attempt,
        used.id,
        used.serial,
        used.sha256,
        used.subject[:1000],
        used.issuer[:1000],
        used.key_location,
        now,
    )
    if done != "UPDATE 1":
        return False
    for one in papers:
        await tx.driver.execute(
            "INSERT INTO signing_papers (tenant_id, engine_id, document_id, blob_key, sha256, cut_fields, escaped)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id, engine_id, document_id) DO UPDATE"
            " SET blob_key = EXCLUDED.blob_key, sha256 = EXCLUDED.sha256, cut_fields = EXCLUDED.cut_fields,"
            " escaped = EXCLUDED.escaped",
            claim.tenant_id,
            claim.engine_id,
            one.document_id,
            one.blob_key,
            one.sha256,
            list(one.cut_fields),
            one.escaped,
        )
    return True


async def postpone_signature(tx: Transaction, claim: SignatureClaim, delay_s: float, trouble: str) -> bool:
    """Also where the envelope shows it. False when somebody else has the claim meanwhile."""
    done = await tx.driver.execute(
        "UPDATE own_signatures SET due_at = now() + make_interval(secs => $5), error = $6"
        " WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3 AND attempts = $4 AND state = 'waiting'",
        claim.tenant_id,
        claim.engine_id,
        claim.recipient_id,
        claim.attempt,
        delay_s,
        trouble,
    )
    if done != "UPDATE 1":
        return False
    await tx.driver.execute(
        "UPDATE engine_envelopes SET seal_error = $3, updated_at = now() WHERE tenant_id = $1 AND id = $2",
        claim.tenant_id,
        claim.engine_id,
        trouble,
    )
    return True
