"""What a tenant may see of its deliveries: lists, counts, attempts, and in words why something has not arrived.

Reads only. Must never show a secret or another tenant's row; every statement names the tenant, and row-level
security stands behind it.
"""

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.outbound.delivery_state import UNDELIVERED, DeliveryState
from webhooks.outbound.explanations import CIRCUMSTANCES, JOINS, explain
from webhooks.outbound.reason import ORDER_HELD, Reason, in_english

__all__ = [
    "UNDELIVERED",
    "Attempt",
    "Delivery",
    "DeliveryFilter",
    "DeliveryState",
    "Undelivered",
    "list_attempts",
    "list_deliveries",
    "read_delivery",
    "summarize_undelivered",
]


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
    reasons: tuple[Reason, ...]

    @property
    def explanation(self) -> str:
        return in_english(self.reasons)

    @property
    def is_stopped(self) -> bool:
        """It does not go out by itself: somebody has to act."""
        return self.state in _STOPPED or any(reason.word == ORDER_HELD for reason in self.reasons)


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    started_at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str
    response: bytes


class DeliveryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`states` empty: any. `before`: the id of the last one seen, as the newest come first: what is delivered
    or made between two pages moves nothing. `created_from` included, `created_before` not. `status`: of the
    last attempt; `error`: a part of what went wrong in it, in any case.
    """

    states: tuple[DeliveryState, ...] = ()
    endpoint_id: UUID | None = None
    event_id: UUID | None = None
    envelope_id: UUID | None = None
    event_type: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    status: int | None = None
    error: str | None = None
    before: UUID | None = None
    limit: int = 100


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """What has not arrived at one endpoint. `active` None: it was deleted."""

    endpoint_id: UUID
    active: bool | None
    pending: int
    leased: int
    exhausted: int
    held: int
    oldest_at: datetime


_STOPPED = frozenset({DeliveryState.HELD, DeliveryState.EXHAUSTED, DeliveryState.CANCELLED})
_SELECT = (
    "SELECT d.id, d.event_id, o.type AS event_type, o.envelope_id, d.endpoint_id, d.sequence, d.state,"
    " d.attempt AS attempts, d.tries, d.replays, d.possibly_delivered, d.due_at, d.last_status, d.last_error,"
    f" d.created_at, d.finished_at, {CIRCUMSTANCES}"
    " FROM deliveries d JOIN outbox_events o ON o.tenant_id = d.tenant_id AND o.id = d.event_id"
    f"{JOINS}"
    " WHERE d.tenant_id = $1"
)
_SUMMARY = (
    "SELECT d.endpoint_id, e.active, count(*) FILTER (WHERE d.state = 'pending') AS pending,"
    " count(*) FILTER (WHERE d.state = 'leased') AS leased,"
    " count(*) FILTER (WHERE d.state = 'exhausted') AS exhausted,"
    " count(*) FILTER (WHERE d.state = 'held') AS held, min(d.created_at) AS oldest_at"
    " FROM deliveries d LEFT JOIN webhook_endpoints e ON e.tenant_id = d.tenant_id AND e.id = d.endpoint_id"
    " WHERE d.tenant_id = $1 AND d.state IN ('pending', 'leased', 'exhausted', 'held')"
    " GROUP BY d.endpoint_id, e.active ORDER BY d.endpoint_id"
)


async def list_deliveries(
    database: Database, tenant_id: UUID, wanted: DeliveryFilter, *, tenant_share: int | None = None
) -> list[Delivery]:
    """The newest first, at most `wanted.limit`. `tenant_share`: how many a deliverer sends at once of a tenant's."""
    arguments: list[object] = [tenant_id]
    conditions = []
    if wanted.states:
        # Words and not arguments: only so the partial indexes are of use.
        words = ", ".join(f"'{DeliveryState(state).value}'" for state in wanted.states)
        conditions.append(f" AND d.state IN ({words})")
    for condition, value in (
        ("d.endpoint_id = ${}", wanted.endpoint_id),
        ("d.event_id = ${}", wanted.event_id),
        ("o.envelope_id = ${}", wanted.envelope_id),
        ("o.type = ${}", wanted.event_type),
        ("d.created_at >= ${}", wanted.created_from),
        ("d.created_at < ${}", wanted.created_before),
        ("d.last_status = ${}", wanted.status),
        ("strpos(lower(d.last_error), lower(${}::text)) > 0", wanted.error),
        ("d.id < ${}", wanted.before),
    ):
        if value is not None:
            arguments.append(value)
            conditions.append(" AND " + condition.format(len(arguments)))
    arguments.append(wanted.limit)
    sql = f"{_SELECT}{''.join(conditions)} ORDER BY d.id DESC LIMIT ${len(arguments)}"
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(sql, *arguments)
    return [_delivery(row, tenant_share) for row in rows]


async def read_delivery(
    database: Database, tenant_id: UUID, delivery_id: UUID, *, tenant_share: int | None = None
) -> Delivery:
    """Raises NotFound."""
    async with database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(f"{_SELECT} AND d.id = $2", tenant_id, delivery_id)
    if row is None:
        raise NotFound("delivery", print_id(Kind.DELIVERY, delivery_id))
    return _delivery(row, tenant_share)


async def summarize_undelivered(database: Database, tenant_id: UUID) -> list[Undelivered]:
    """Every endpoint for which something has not arrived, with how much and since when."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_SUMMARY, tenant_id)
    return [Undelivered(**dict(row)) for row in rows]


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


def _delivery(row: asyncpg.Record, tenant_share: int | None) -> Delivery:
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
        reasons=explain(row, tenant_share),
    )
