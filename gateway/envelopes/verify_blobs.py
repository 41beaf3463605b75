"""Reads every stored document again in turn and compares it with its digest: damage is found before it is needed.

A list (blob_checks) says what is due; new documents are put on it by each run. Damage is an error in the log, a
metric, and one entry in the ledger of the envelope (or the tenant), once. Must never delete or mend anything: the
bytes are evidence, and a copy from a backup under the same key is found good by the next run.
"""

import hashlib
import logging
from datetime import datetime
from uuid import UUID

import msgspec

from config.errors import BlobDamaged, BlobNotFound
from gateway.services import Services
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.documents")

_DUE = (
    "SELECT tenant_id, blob_key, sha256, envelope_id, damage FROM blob_checks"
    " WHERE last_verified_at <= $1 AND ($3::uuid IS NULL OR tenant_id = $3)"
    " ORDER BY last_verified_at LIMIT $2"
)


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """One object and what it must be. `damage`: what the last check found, empty when it was good."""

    tenant_id: UUID
    blob_key: str
    sha256: str
    envelope_id: UUID | None
    damage: str


class Verification(msgspec.Struct, kw_only=True):
    """What a run found. `past_retention`: objects that are older than they have to be kept; they are kept."""

    checked: int = 0
    damaged: int = 0
    past_retention: int = 0


async def verify_due(services: Services) -> Verification:
    """One batch of what was not verified for the time that the settings say."""
    days = services.settings.document.verify_every_days
    before = await services.hub.fetchval("SELECT now() - make_interval(days => $1)", days)
    return await verify_batch(services, before)


async def verify_all(services: Services, tenant_id: UUID | None = None) -> Verification:
    """Everything that is stored, of one tenant or of all, now."""
    before = await services.hub.fetchval("SELECT now()")
    total = Verification()
    while (batch := await verify_batch(services, before, tenant_id)).checked:
        total.checked += batch.checked
        total.damaged += batch.damaged
    total.past_retention = batch.past_retention
    return total


async def verify_batch(services: Services, before: datetime, tenant_id: UUID | None = None) -> Verification:
    """Reads what was last verified before then, longest ago first."""
    settings = services.settings.document
    await services.hub.fetchval("SELECT enrol_blobs()")
    rows = await services.hub.fetch(_DUE, before, settings.verify_batch, tenant_id)
    found = Verification()
    for row in rows:
        found.checked += 1
        found.damaged += bool(await _verify(services, msgspec.convert(dict(row), StoredBlob)))
    found.past_retention = await services.hub.fetchval(
        "SELECT count(*) FROM blob_checks WHERE stored_at < now() - make_interval(days => $1)"
        " AND ($2::uuid IS NULL OR tenant_id = $2)",
        settings.retention_days,
        tenant_id,
    )
    return found


async def _verify(services: Services, blob: StoredBlob) -> str:
    """What is wrong with it, empty when nothing is. Raises StoreUnavailable: then nothing is known."""
    damage = await _find_damage(services, blob)
    async with services.hub.transaction() as tx:
        # The damage of before decides whether this one is news: two runs at once record it once.
        known = await tx.driver.fetchval(
            "SELECT damage FROM blob_checks WHERE tenant_id = $1 AND blob_key = $2 FOR UPDATE",
            blob.tenant_id,
            blob.blob_key,
        )
        await tx.driver.execute(
            "UPDATE blob_checks SET last_verified_at = now(), damage = $3::text,"
            " damaged_at = CASE WHEN $3::text = '' THEN NULL ELSE coalesce(damaged_at, now()) END"
            " WHERE tenant_id = $1 AND blob_key = $2",
            blob.tenant_id,
            blob.blob_key,
            damage,
        )
        if damage and not known:
            await services.recorder.record(tx, [_event(services, blob, damage)])
        await tx.commit()
    if damage:
        logger.error(
            "a stored document is damaged: %s",
            damage,
            extra={"wide": {"tenant_id": str(blob.tenant_id), "blob_key": blob.blob_key}},
        )
    return damage


async def _find_damage(services: Services, blob: StoredBlob) -> str:
    digest = hashlib.sha256()
    try:
        async for frame in services.blobs.open(blob.tenant_id, blob.blob_key):
            digest.update(frame)
    except BlobNotFound:
        return "it is not there any more"
    except BlobDamaged as error:
        return str(error)[:200]
    if digest.hexdigest() != blob.sha256:
        return f"its digest is {digest.hexdigest()}"
    return ""


def _event(services: Services, blob: StoredBlob, damage: str) -> Event:
    return Event(
        id=services.ids.new(),
        type=LedgerType.BLOB_DAMAGED,
        tenant_id=blob.tenant_id,
        envelope_id=blob.envelope_id,
        resource_type=ResourceType.DOCUMENT,
        resource_id=f"sha256:{blob.sha256}",
        occurred_at=services.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts={"document_sha256": blob.sha256, "blob_key": blob.blob_key, "damage": damage},
    )
