"""How an endpoint fares: its breaker, what waits for it, and how it answered within the last hour and day.

Reads only, under row-level security. The rates are of attempts, not of deliveries; where there were more than
a sample's worth, of the newest, and it says so.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id

SAMPLE = 5_000


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`success_rate` from 0 to 1 and `p95_ms` are null without attempts. `is_sampled`: there were more than
    were looked at.
    """

    attempts: int
    succeeded: int
    success_rate: float | None
    p95_ms: int | None
    is_sampled: bool


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`undelivered` counts what is pending, under way, held or exhausted. `breaker_until`: when an open breaker
    lets one delivery through. `failing_since`: the first failure after the last success. `filter_errors`: events that
    passed the present filter because it could not be asked, with words about the last.
    """

    active: bool
    disabled_reason: str
    breaker: BreakerState
    breaker_until: datetime | None
    failures_in_row: int
    failing_since: datetime | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    oldest_pending_at: datetime | None
    undelivered: int
    filter_errors: int
    filter_error: str
    filter_error_at: datetime | None
    last_hour: Window
    last_day: Window


class EndpointHealth(Health, frozen=True, kw_only=True):
    endpoint_id: UUID


# One statement, so that the figures belong together.
_READ = """
SELECT e.id, e.active, e.disabled_reason, coalesce(h.breaker, 'closed') AS breaker, h.breaker_until,
       coalesce(h.failures_in_row, 0) AS failures_in_row, h.failing_since, h.last_success_at, h.last_failure_at,
       coalesce(h.filter_errors, 0) AS filter_errors, coalesce(h.filter_error, '') AS filter_error, h.filter_error_at,
       w.oldest_pending_at, w.undelivered, hour.figures AS hour, day.figures AS day
FROM webhook_endpoints e
LEFT JOIN endpoint_health h ON h.tenant_id = e.tenant_id AND h.endpoint_id = e.id
CROSS JOIN LATERAL (
    SELECT min(d.created_at) FILTER (WHERE d.state IN ('pending', 'leased')) AS oldest_pending_at,
           count(*)::integer AS undelivered
    FROM (
        SELECT p.state, p.created_at FROM deliveries p
        WHERE p.tenant_id = e.tenant_id AND p.endpoint_id = e.id AND p.state = 'pending'
        UNION ALL
        SELECT l.state, l.created_at FROM deliveries l
        WHERE l.tenant_id = e.tenant_id AND l.endpoint_id = e.id AND l.state = 'leased'
        UNION ALL
        SELECT k.state, k.created_at FROM deliveries k
        WHERE k.tenant_id = e.tenant_id AND k.endpoint_id = e.id AND k.state IN ('exhausted', 'held')
    ) d
) w
CROSS JOIN LATERAL window_figures(e.tenant_id, e.id, interval '1 hour', $3) hour(figures)
CROSS JOIN LATERAL window_figures(e.tenant_id, e.id, interval '1 day', $3) day(figures)
WHERE e.tenant_id = $1 AND e.id = ANY ($2)
"""


async def read_health(
    database: Database, tenant_id: UUID, endpoint_id: UUID, *, sample: int = SAMPLE
) -> EndpointHealth:
    """Raises NotFound."""
    found = await read_healths(database, tenant_id, (endpoint_id,), sample=sample)
    if endpoint_id not in found:
        raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))
    return found[endpoint_id]


async def read_healths(
    database: Database, tenant_id: UUID, endpoint_ids: Collection[UUID], *, sample: int = SAMPLE
) -> Mapping[UUID, EndpointHealth]:
    """By endpoint, in one statement; what is not there any more is left out."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_READ, tenant_id, list(endpoint_ids), sample)
    return {row["id"]: _health(row) for row in rows}


def _health(row: asyncpg.Record) -> EndpointHealth:
    return EndpointHealth(
        endpoint_id=row["id"],
        active=row["active"],
        disabled_reason=row["disabled_reason"],
        breaker=BreakerState(row["breaker"]),
        breaker_until=row["breaker_until"],
        failures_in_row=row["failures_in_row"],
        failing_since=row["failing_since"],
        last_success_at=row["last_success_at"],
        last_failure_at=row["last_failure_at"],
        oldest_pending_at=row["oldest_pending_at"],
        undelivered=row["undelivered"],
        filter_errors=row["filter_errors"],
        filter_error=row["filter_error"],
        filter_error_at=row["filter_error_at"],
        last_hour=_window(row["hour"]),
        last_day=_window(row["day"]),
    )


def _window(figures: list[int | None]) -> Window:
    attempts, succeeded, p95_ms, more = figures
    if attempts is None or succeeded is None:
        raise AssertionError("counts are never null")
    return Window(
        attempts=attempts,
        succeeded=succeeded,
        success_rate=succeeded / attempts if attempts else None,
        p95_ms=p95_ms,
        is_sampled=bool(more),
    )
