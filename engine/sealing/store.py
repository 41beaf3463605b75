"""The sealing job's statements: what is due, who has it, what came of it.

The attempt's number is the fence: a worker whose lease ran out cannot finish or postpone what another has.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database, Transaction


class Claim(msgspec.Struct, frozen=True):
    tenant_id: UUID
    engine_id: UUID
    attempt: int


class SealRow(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a sealed file: `part` is "document", "certificate" or "combined"."""

    tenant_id: UUID
    engine_id: UUID
    id: UUID
    part: str
    document_id: UUID | None
    revision: int
    level: str
    blob_key: str
    sha256: str
    size_bytes: int
    certificate_serial: str
    certificate_sha256: str
    timestamp_authority: str
    timestamp_serial: str
    stamped_at: datetime
    proof_until: datetime | None
    renew_at: datetime | None


async def claim_due(hub: Database, most: int, lease_s: float) -> list[Claim]:
    rows = await hub.fetch("SELECT tenant_id, id, attempt FROM claim_sealing($1, $2)", most, lease_s)
    return [Claim(row["tenant_id"], row["id"], row["attempt"]) for row in rows]


async def postpone(tx: Transaction, claim: Claim, delay_s: float, trouble: str) -> bool:
    """False when somebody else has it meanwhile."""
    done = await tx.driver.execute(
        "UPDATE engine_envelopes SET seal_due_at = now() + make_interval(secs => $4), seal_error = $5,"
        " updated_at = now() WHERE tenant_id = $1 AND id = $2 AND seal_attempts = $3 AND status = 'sealing'",
        claim.tenant_id,
        claim.engine_id,
        claim.attempt,
        delay_s,
        trouble,
    )
    return done == "UPDATE 1"


async def insert_seals(tx: Transaction, rows: list[SealRow]) -> None:
    names = SealRow.__struct_fields__
    places = ", ".join(f"${number}" for number in range(1, len(names) + 1))
    for row in rows:
        await tx.driver.execute(
            f"INSERT INTO engine_seals ({', '.join(names)}) VALUES ({places})",
            *(getattr(row, name) for name in names),
        )


async def claim_renewals(hub: Database, most: int, lease_s: float) -> list[tuple[UUID, UUID, UUID]]:
    rows = await hub.fetch("SELECT tenant_id, engine_id, id FROM claim_renewals($1, $2)", most, lease_s)
    return [(row["tenant_id"], row["engine_id"], row["id"]) for row in rows]


async def load_seal(store: Transaction, tenant_id: UUID, engine_id: UUID, own: UUID) -> SealRow | None:
    names = SealRow.__struct_fields__
    row = await store.driver.fetchrow(
        f"SELECT {', '.join(names)} FROM engine_seals WHERE tenant_id = $1 AND engine_id = $2 AND id = $3",
        tenant_id,
        engine_id,
        own,
    )
    return None if row is None else SealRow(**{name: row[name] for name in names})
