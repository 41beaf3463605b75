"""Rows of webhook_endpoints. Every statement names the tenant, and row-level security stands behind it."""

from collections.abc import Mapping
from uuid import UUID

import asyncpg

from config.database import Transaction
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.outbound.endpoint import Endpoint, NewEndpoint
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile

_COLUMNS = (
    "tenant_id, id, url, description, events, active, disabled_reason, retry_profile, retry_schedule,"
    " timeout_seconds, signature_profile, max_in_flight, next_sequence, revision, previous_until, cutover_at,"
    " created_at, updated_at"
)
_CHANGEABLE = frozenset(
    {
        "url", "description", "events", "active", "disabled_reason", "retry_profile", "retry_schedule",
        "timeout_seconds", "signature_profile", "max_in_flight", "secret", "previous_secret",
        "previous_until", "cutover_at",
    }
)  # fmt: skip


async def insert_endpoint(
    tx: Transaction, tenant_id: UUID, endpoint_id: UUID, new: NewEndpoint, secret: bytes
) -> Endpoint:
    row = await tx.driver.fetchrow(
        "INSERT INTO webhook_endpoints (tenant_id, id, url, description, events, active, secret,"
        " retry_profile, retry_schedule, timeout_seconds, signature_profile, max_in_flight)"
        f" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING {_COLUMNS}",
        tenant_id, endpoint_id, new.url, new.description, list(new.events), new.active, secret,
        new.retry_profile.value, list(new.retry_schedule), new.timeout_seconds, new.signature_profile.value,
        new.max_in_flight,
    )  # fmt: skip
    return _endpoint(row)


async def read_endpoint(
    tx: Transaction, tenant_id: UUID, endpoint_id: UUID, *, lock: bool = False
) -> Endpoint:
    """Raises NotFound. `lock` keeps others from changing it until the transaction ends."""
    row = await tx.driver.fetchrow(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2"
        + (" FOR NO KEY UPDATE" if lock else ""),
        tenant_id,
        endpoint_id,
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return _endpoint(row)


async def list_endpoints(
    tx: Transaction, tenant_id: UUID, *, limit: int, after: UUID | None = None
) -> list[Endpoint]:
    rows = await tx.driver.fetch(
        f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)"
        " ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    return [_endpoint(row) for row in rows]


async def count_endpoints(tx: Transaction, tenant_id: UUID) -> int:
    count = await tx.driver.fetchval(
        "SELECT count(*)::integer FROM webhook_endpoints WHERE tenant_id = $1", tenant_id
    )
    return int(count)


async def update_endpoint(
    tx: Transaction, tenant_id: UUID, endpoint_id: UUID, changes: Mapping[str, object]
) -> Endpoint:
    """Sets the named columns and moves the revision, so that every deliverer reads the row anew."""
    unknown = set(changes) - _CHANGEABLE
    if unknown:
        raise ValueError(f"no such columns: {sorted(unknown)}")
    sets = ", ".join(f"{column} = ${place}" for place, column in enumerate(changes, 3))
    row = await tx.driver.fetchrow(
        f"UPDATE webhook_endpoints SET {sets}, revision = revision + 1, updated_at = clock_timestamp()"
        f" WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
        tenant_id,
        endpoint_id,
        *changes.values(),
    )
    if row is None:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return _endpoint(row)


async def delete_endpoint(tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> None:
    """The secret goes with the row; deliveries and their attempts stay."""
    await tx.driver.execute(
        "DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2", tenant_id, endpoint_id
    )


async def read_sealed_secret(tx: Transaction, tenant_id: UUID, endpoint_id: UUID) -> bytes:
    sealed = await tx.driver.fetchval(
        "SELECT secret FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2", tenant_id, endpoint_id
    )
    if not isinstance(sealed, bytes):
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return sealed


async def change_mailbox(tx: Transaction, tenant_id: UUID, endpoint_id: UUID, verb: str) -> int:
    """`hold`, `release` or `cancel` what waits for the endpoint; how many deliveries that were."""
    changed = await tx.driver.fetchval("SELECT change_mailbox($1, $2, $3)", tenant_id, endpoint_id, verb)
    return int(changed)


def _endpoint(row: asyncpg.Record | None) -> Endpoint:
    if row is None:
        raise AssertionError("the statement returns a row")
    return Endpoint(
        tenant_id=row["tenant_id"],
        id=row["id"],
        url=row["url"],
        description=row["description"],
        events=tuple(row["events"]),
        active=row["active"],
        disabled_reason=row["disabled_reason"],
        retry_profile=RetryProfile(row["retry_profile"]),
        retry_schedule=tuple(row["retry_schedule"]),
        timeout_seconds=row["timeout_seconds"],
        signature_profile=SignatureProfile(row["signature_profile"]),
        max_in_flight=row["max_in_flight"],
        next_sequence=row["next_sequence"],
        revision=row["revision"],
        previous_until=row["previous_until"],
        cutover_at=row["cutover_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
