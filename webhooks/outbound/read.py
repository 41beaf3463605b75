"""What a tenant may see of its deliveries: lists, attempts, and in words why something has not arrived.

Reads only. Must never show a secret or another tenant's row; every statement names the tenant, and row-level
security stands behind it.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id


class DeliveryState(StrEnum):
    PENDING = "pending"
    LEASED = "leased"
    SUCCEEDED = "succeeded"
    EXHAUSTED = "exhausted"
    HELD = "held"
    CANCELLED = "cancelled"


UNDELIVERED = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.EXHAUSTED, DeliveryState.HELD)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    event_id: UUID
    event_type: str
    envelope_id: UUID | None
    endpoint_id: UUID
    sequence: int
    state: DeliveryState
    attempts: int
    tries: int
    replays: int
    possibly_delivered: bool
    due_at: datetime
    last_status: int | None
    last_error: str
    created_at: datetime
    finished_at: datetime | None
    explanation: str


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    started_at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str
    response: bytes


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`states` empty: any. `before`: the id of the last one seen, as the newest come first."""

    states: tuple[DeliveryState, ...] = ()
    endpoint_id: UUID | None = None
    event_id: UUID | None = None
    envelope_id: UUID | None = None
    event_type: str | None = None
    before: UUID | None = None
    limit: int = 100


_SELECT = (
    "SELECT d.id, d.event_id, o.type AS event_type, o.envelope_id, d.endpoint_id, d.sequence, d.state,"
    " d.attempt AS attempts, d.tries, d.replays, d.possibly_delivered, d.due_at, d.last_status, d.last_error,"
    " d.created_at, d.finished_at, e.active, e.disabled_reason,"
    " (d.state = 'pending' AND d.order_key IS NOT NULL AND EXISTS (SELECT FROM deliveries b"
    "  WHERE b.endpoint_id = d.endpoint_id AND b.order_key = d.order_key AND b.sequence < d.sequence"
    "  AND b.state IN ('pending', 'leased', 'held'))) AS is_behind"
    " FROM deliveries d JOIN outbox_events o ON o.tenant_id = d.tenant_id AND o.id = d.event_id"
    " LEFT JOIN webhook_endpoints e ON e.tenant_id = d.tenant_id AND e.id = d.endpoint_id"
    " WHERE d.tenant_id = $1"
)


async def list_deliveries(database: Database, tenant_id: UUID, wanted: DeliveryFilter) -> list[Delivery]:
    """The newest first, at most `wanted.limit`."""
    arguments: list[object] = [tenant_id]
    conditions = []
    for condition, value in (
        ("d.state = ANY(${})", [state.value for state in wanted.states] or None),
        ("d.endpoint_id = ${}", wanted.endpoint_id),
        ("d.event_id = ${}", wanted.event_id),
        ("o.envelope_id = ${}", wanted.envelope_id),
        ("o.type = ${}", wanted.event_type),
        ("d.id < ${}", wanted.before),
    ):
        if value is not None:
            arguments.append(value)
            conditions.append(" AND " + condition.format(len(arguments)))
    arguments.append(wanted.limit)
    sql = f"{_SELECT}{''.join(conditions)} ORDER BY d.id DESC LIMIT ${len(arguments)}"
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(sql, *arguments)
    return [_delivery(row) for row in rows]


async def read_delivery(database: Database, tenant_id: UUID, delivery_id: UUID) -> Delivery:
    """Raises NotFound."""
    async with database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(f"{_SELECT} AND d.id = $2", tenant_id, delivery_id)
    if row is None:
        raise NotFound("delivery", print_id(Kind.DELIVERY, delivery_id))
    return _delivery(row)


async def list_attempts(database: Database, tenant_id: UUID, delivery_id: UUID) -> list[Attempt]:
    """Every request made for a delivery, the first first. Raises NotFound."""
    await read_delivery(database, tenant_id, delivery_id)
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT started_at, duration_ms, outcome, status, error, coalesce(response, '') AS response"
            " FROM delivery_attempts WHERE tenant_id = $1 AND delivery_id = $2 ORDER BY started_at",
            tenant_id,
            delivery_id,
        )
    return [Attempt(**dict(row)) for row in rows]


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(
        id=row["id"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        envelope_id=row["envelope_id"],
        endpoint_id=row["endpoint_id"],
        sequence=row["sequence"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        tries=row["tries"],
        replays=row["replays"],
        possibly_delivered=row["possibly_delivered"],
        due_at=row["due_at"],
        last_status=row["last_status"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        explanation=_explain(row),
    )


def _explain(row: asyncpg.Record) -> str:
    """Why it has not arrived, or that it has, in one sentence."""
    last = f" Last attempt: {row['last_error']}." if row["last_error"] else ""
    match DeliveryState(row["state"]):
        case DeliveryState.SUCCEEDED:
            return f"The endpoint answered {row['last_status']}."
        case DeliveryState.LEASED:
            return "A deliverer is sending it now."
        case DeliveryState.EXHAUSTED:
            return f"It was given up after {row['attempts']} attempts and is kept: replay it.{last}"
        case DeliveryState.CANCELLED:
            return "Its endpoint was deleted before it could be delivered."
        case DeliveryState.HELD:
            why = row["disabled_reason"] or "by its tenant"
            return f"Its endpoint is switched off ({why}); switching it on releases it.{last}"
        case DeliveryState.PENDING:
            if row["is_behind"]:
                return f"An earlier event of the same envelope has not arrived yet; order is kept.{last}"
            if row["attempts"] or row["last_error"]:
                return f"It is tried again at {row['due_at']:%Y-%m-%dT%H:%M:%SZ}.{last}"
            return "It waits for its first attempt."
