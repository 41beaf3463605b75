"""The deliverer's statements: claim, complete, release, renew. Each is one SQL function and one round trip.

A claim is fenced by its id: whoever lost the lease cannot complete. The database's clock alone decides about
leases and due times.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import msgspec

from config.database import Database
from config.driver import DriverConnection

# Answers are kept whole when an attempt failed, and this much of them when it succeeded.
SUCCESS_BODY_BYTES = 1024


class Claim(msgspec.Struct, frozen=True):
    """One delivery that this process may send until its lease ends. `more`: its mailbox has further work."""

    claim_id: UUID
    endpoint_id: UUID
    revision: int
    tenant_id: UUID
    id: UUID
    event_id: UUID
    sequence: int
    attempt: int
    throttled: int
    type: str
    occurred_at: datetime
    envelope_id: UUID | None
    data: bytes
    more: bool


class Claimed(msgspec.Struct, frozen=True):
    """`busy`: mailboxes that another deliverer was claiming from at that moment."""

    claims: list[Claim]
    busy: list[UUID]


class Completion(msgspec.Struct, frozen=True):
    """What becomes of a delivery after an attempt, and the attempt for the log."""

    claim: Claim
    state: str
    attempt: int
    throttled: int
    delay_s: float
    started_at: datetime
    duration_ms: int
    outcome: str
    status: int | None
    error: str
    response: bytes | None


async def claim_deliveries(
    hub: Database,
    wanted: Sequence[UUID],
    shares: Sequence[int],
    *,
    room: int,
    retry_room: int,
    lease: timedelta,
    claim_id: UUID,
) -> Claimed:
    rows = await hub.fetch(
        "SELECT * FROM claim_deliveries($1, $2, $3, $4, $5, $6)",
        wanted, shares, room, retry_room, lease, claim_id,
    )  # fmt: skip
    claims = [Claim(claim_id, *row) for row in rows if row[3] is not None]
    claims.sort(key=_in_turn)
    return Claimed(claims, [row[0] for row in rows if row[3] is None])


def _in_turn(claim: Claim) -> int:
    return claim.sequence


_COMPLETE = "SELECT complete_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"


async def complete_deliveries(
    target: Database | DriverConnection, completions: Sequence[Completion]
) -> list[UUID]:
    """The ids of deliveries whose lease had been lost; their attempts are logged all the same."""
    columns = zip(*(_columns(completion) for completion in completions), strict=True)
    lost = await target.fetchval(_COMPLETE, *(list(column) for column in columns))
    return cast("list[UUID]", lost)


def _columns(done: Completion) -> tuple[object, ...]:
    claim = done.claim
    return (
        claim.tenant_id, claim.id, claim.claim_id, claim.endpoint_id, done.state, done.attempt,
        done.throttled, done.delay_s, done.started_at, done.duration_ms, done.outcome,
        done.status, done.error, done.response,
    )  # fmt: skip


async def release_claims(hub: Database, claims: Sequence[Claim]) -> None:
    """Gives claims back that were not sent, without a mark."""
    if claims:
        await hub.fetchval(
            "SELECT release_claims($1, $2)",
            [claim.id for claim in claims],
            [claim.claim_id for claim in claims],
        )


async def renew_leases(hub: Database, claim_ids: Sequence[UUID], lease: timedelta) -> None:
    if claim_ids:
        await hub.fetchval("SELECT renew_leases($1, $2)", list(claim_ids), lease)
