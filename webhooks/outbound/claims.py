"""The deliverer's statements: claim, complete, release, renew. Each is one SQL function and one round trip.

A claim is fenced by its id: whoever lost the lease cannot complete. The database's clock alone decides about
leases and due times.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from config.database import Database
from config.driver import DriverConnection
from webhooks.outbound.breaker import Rules
from webhooks.outbound.compose import API_VERSION

# Answers are kept whole when an attempt failed, and this much of them when it succeeded.
SUCCESS_BODY_BYTES = 1024


class Claim(msgspec.Struct, frozen=True):
    """One delivery that this process may send until its lease ends. `more`: its mailbox has further work.

    `payload` is "full" or "thin". The ledger's three tell where the event stands in its chain. `api_version`: of the
    form in which the event was recorded.
    """

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
    payload: str = "full"
    chain_id: str | None = None
    ledger_seq: int | None = None
    ledger_hash: bytes | None = None
    api_version: str = API_VERSION


# The last columns, behind those of a claim.
_RETRY_IN = len(Claim.__struct_fields__) - 1
_CROWDED = _RETRY_IN + 1


class Claimed(msgspec.Struct, frozen=True):
    """`busy`: mailboxes that another deliverer was claiming from at that moment. `blocked`: seconds until a
    mailbox may be asked again whose breaker is open or whose rate is used up. `crowded`: mailboxes whose first
    due ones wait for others of their envelopes, as far as a claim looks: `set_blocked_aside`.
    """

    claims: list[Claim]
    busy: list[UUID]
    blocked: dict[UUID, float]
    crowded: list[UUID] = []


class Completed(msgspec.Struct, frozen=True):
    """`lost`: deliveries whose lease had been lost; their attempts are logged all the same. `news`: endpoints
    of which something is to be told. `freed`: endpoints at which the next of an envelope may go now.
    """

    lost: list[UUID]
    news: list[UUID]
    freed: list[UUID] = []


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
    claims = [Claim(claim_id, *row[:_RETRY_IN]) for row in rows if row[3] is not None]
    claims.sort(key=_in_turn)
    others = [(row[0], row[_RETRY_IN]) for row in rows if row[3] is None and not row[_CROWDED]]
    return Claimed(
        claims,
        crowded=[row[0] for row in rows if row[_CROWDED]],
        busy=[mailbox for mailbox, retry_in_s in others if retry_in_s is None],
        blocked={mailbox: retry_in_s for mailbox, retry_in_s in others if retry_in_s is not None},
    )


def _in_turn(claim: Claim) -> int:
    return claim.sequence


_COMPLETE = (
    "SELECT lost, news, freed"
    " FROM complete_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
)


async def complete_deliveries(
    target: Database | DriverConnection, completions: Sequence[Completion], rules: Rules
) -> Completed:
    """Moves what is still claimed, and counts how its endpoints fare."""
    columns = zip(*(_columns(completion) for completion in completions), strict=True)
    row = await target.fetchrow(_COMPLETE, *(list(column) for column in columns), rules)
    if row is None:
        raise AssertionError("the statement returns a row")
    return Completed(row["lost"], row["news"], row["freed"])


async def set_blocked_aside(hub: Database, mailboxes: Sequence[UUID], *, most: int) -> int:
    """Takes what waits for another of its envelope out of the queues of what is due, among the first `most` of
    each; how many. It comes back with the end of what it waits for.
    """
    return int(await hub.fetchval("SELECT set_blocked_aside($1, $2)", list(mailboxes), most))


class Place(msgspec.Struct, frozen=True):
    """How far a look through what is set aside has come."""

    endpoint_id: UUID = UUID(int=0)
    order_key: UUID = UUID(int=0)


async def find_forgotten(hub: Database, after: Place, *, most: int) -> tuple[list[UUID], Place]:
    """Calls what is set aside and waits for nothing, among the next `most` envelopes; the mailboxes that have work
    by it, and where to go on.
    """
    row = await hub.fetchrow(
        "SELECT passed_endpoint, passed_key, freed FROM find_forgotten($1, $2, $3)",
        after.endpoint_id,
        after.order_key,
        most,
    )
    if row is None:
        raise AssertionError("the statement returns a row")
    is_last = row["passed_endpoint"] is None
    return row["freed"], Place() if is_last else Place(row["passed_endpoint"], row["passed_key"])


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
