"""What our own records say of a file, by its digest alone: whether exactly these bytes were sealed or signed here."""

from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database
from engine.verification.report import KnownFile

_BY_DIGEST = (
    "SELECT part AS kind, created_at AS sealed_at FROM engine_seals"
    " WHERE sha256 = $1 AND ($2::uuid IS NULL OR tenant_id = $2)"
    " UNION ALL SELECT 'document', e.completed_at FROM engine_documents d"
    " JOIN engine_envelopes e ON e.tenant_id = d.tenant_id AND e.id = d.engine_id"
    " WHERE d.sealed_sha256 = $1 AND d.sealed_sha256 <> '' AND ($2::uuid IS NULL OR d.tenant_id = $2)"
    " UNION ALL SELECT 'signed', signed_at FROM document_signatures"
    " WHERE sha256 = $1 AND ($2::uuid IS NULL OR tenant_id = $2)"
    " LIMIT 1"
)


class SealedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a sealed envelope. `number` counts documents from 1."""

    part: str
    number: int
    sha256: str
    certificate_serial: str
    timestamp_authority: str
    stamped_at: datetime | None


class PublicFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What anybody who has an envelope's code may know of it: no title, no names, no addresses."""

    status: str
    created_at: datetime
    completed_at: datetime | None
    ended_at: datetime | None
    parts: tuple[SealedPart, ...] = ()


async def find_known(hub: Database, sha256: str, tenant_id: UUID | None = None) -> KnownFile | None:
    """`tenant_id` None: of any tenant; whoever asks has the file itself."""
    row = await hub.fetchrow(_BY_DIGEST, sha256, tenant_id)
    if row is None or row["sealed_at"] is None:
        return None
    return KnownFile(kind=row["kind"], sealed_at=row["sealed_at"])


async def find_public_facts(hub: Database, code: str) -> PublicFacts | None:
    """The envelope that a verification code names. Drafts are nobody's business."""
    row = await hub.fetchrow(
        "SELECT tenant_id, id, status, created_at, completed_at, ended_at FROM engine_envelopes"
        " WHERE verification_code = $1 AND status <> 'draft'",
        code,
    )
    if row is None:
        return None
    parts = await hub.fetch(
        "SELECT DISTINCT ON (s.part, d.position) s.part, coalesce(d.position, 0) AS position, s.sha256,"
        " s.certificate_serial, s.timestamp_authority, s.stamped_at"
        " FROM engine_seals s LEFT JOIN engine_documents d"
        " ON d.tenant_id = s.tenant_id AND d.engine_id = s.engine_id AND d.id = s.document_id"
        " WHERE s.tenant_id = $1 AND s.engine_id = $2"
        " ORDER BY s.part, d.position, s.revision DESC",
        row["tenant_id"],
        row["id"],
    )
    numbers = sorted({one["position"] for one in parts if one["part"] == "document"})
    return PublicFacts(
        status=row["status"],
        created_at=row["created_at"],
        completed_at=row["completed_at"],
        ended_at=row["ended_at"],
        parts=tuple(
            SealedPart(
                part=one["part"],
                number=numbers.index(one["position"]) + 1 if one["part"] == "document" else 0,
                sha256=one["sha256"],
                certificate_serial=one["certificate_serial"],
                timestamp_authority=one["timestamp_authority"],
                stamped_at=one["stamped_at"],
            )
            for one in parts
        ),
    )
