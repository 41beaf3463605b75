"""The backstop: finds from SQL alone what no wake-up told of, so losing Redis costs latency only.

Leases that ran out go back to pending, marked as possibly delivered; mailboxes with due work are named; work
that was written into a mailbox in the moment in which it was switched off or deleted is held or cancelled.
"""

import logging
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from config.errors import StoreUnavailable
from normalizer.events import Event
from webhooks.outbound.claims import set_blocked_aside
from webhooks.outbound.health_report import Reporter
from webhooks.outbound.settle import exhausted_event, is_operational, mail_exhausted

logger = logging.getLogger("countersign.deliverer")

PATIENCE = 20
_PAGE = 1000
# Due for longer than this, a mailbox's first ones may be waiting for others of their envelopes.
_LATE_S = 1.0
_LATE_MAILBOXES = 20
_LATE_PAGE = 256


class Swept(msgspec.Struct, frozen=True):
    """`oldest_due_s`: how long the longest-waiting due delivery has waited that may go; the figure that shows a
    stall.
    """

    mailboxes: tuple[UUID, ...]
    expired: int
    oldest_due_s: float


async def sweep(hub: Database) -> Swept:
    expired = 0
    while True:
        rows = await hub.fetch("SELECT endpoint_id, id FROM expire_leases($1, $2)", _PAGE, PATIENCE)
        expired += len(rows)
        if len(rows) < _PAGE:
            break
    if expired:
        logger.warning("deliveries.recovered", extra={"deliveries": expired})
    ready: list[UUID] = []
    oldest_s = 0.0
    for row in await _ready_mailboxes(hub):
        if row["active"] and row["blocked"]:
            continue  # its breaker is open: it waits as it should, and is named when its pause is over
        if row["active"]:
            ready.append(row["endpoint_id"])
            oldest_s = max(oldest_s, row["waited_s"])
        else:
            await hub.fetchval("SELECT put_away($1)", row["endpoint_id"])
    return Swept(tuple(ready), expired, oldest_s)


async def _ready_mailboxes(hub: Database) -> list[asyncpg.Record]:
    """What waits for another of its envelope is set aside first where it would show as late."""
    while True:
        rows = await hub.fetch("SELECT endpoint_id, active, waited_s, blocked FROM ready_mailboxes()")
        late = [row for row in rows if row["active"] and not row["blocked"] and row["waited_s"] > _LATE_S]
        late.sort(key=_waited, reverse=True)
        first = [row["endpoint_id"] for row in late[:_LATE_MAILBOXES]]
        if not first or not await set_blocked_aside(hub, first, most=_LATE_PAGE):
            return rows


def _waited(row: asyncpg.Record) -> float:
    return float(row["waited_s"])


async def give_up_poison(hub: Database, reporter: Reporter) -> int:
    """Exhausts deliveries whose lease ran out too often in a row: each may be what kills its deliverer."""
    rows = await hub.fetch(
        "SELECT d.tenant_id, d.id, d.endpoint_id, d.event_id, d.sequence, d.order_key, o.type, o.envelope_id"
        " FROM deliveries d JOIN outbox_events o ON o.tenant_id = d.tenant_id AND o.id = d.event_id"
        " WHERE d.state = 'leased' AND d.lease_until < now() AND d.expiries >= $1 ORDER BY d.id LIMIT $2",
        PATIENCE,
        _PAGE,
    )
    given_up = 0
    for row in rows:
        try:
            given_up += await _give_up(hub, reporter, row)
        except StoreUnavailable:
            raise
        except Exception:  # one tenant's trouble must not keep the others' poison
            logger.exception("delivery %s could not be given up", row["id"])
    return given_up


async def _give_up(hub: Database, reporter: Reporter, row: asyncpg.Record) -> bool:
    async with hub.transaction(row["tenant_id"]) as tx:
        # An endpoint's health before its deliveries, as completions do.
        await tx.driver.execute(
            "SELECT FROM endpoint_health WHERE endpoint_id = $1 FOR NO KEY UPDATE", row["endpoint_id"]
        )
        done = await tx.driver.execute(
            "UPDATE deliveries SET state = 'exhausted', lease_until = NULL, claim_id = NULL,"
            " possibly_delivered = true, finished_at = now(),"
            " last_error = 'the deliverer was lost each time it sent this'"
            " WHERE tenant_id = $1 AND id = $2 AND state = 'leased' AND lease_until < now()",
            row["tenant_id"],
            row["id"],
        )
        if done == "UPDATE 1":
            if row["order_key"] is not None:
                await tx.driver.execute(
                    "SELECT call_next(ARRAY[$1::uuid], ARRAY[$2::uuid])", row["endpoint_id"], row["order_key"]
                )
            if not is_operational(row["type"]):
                await mail_exhausted(tx, reporter, {row["endpoint_id"]})
            await reporter.recorder.record(tx, [_poison_event(reporter, row)])
        await tx.commit()
    return done == "UPDATE 1"


def _poison_event(reporter: Reporter, row: asyncpg.Record) -> Event:
    return exhausted_event(
        reporter,
        tenant_id=row["tenant_id"],
        delivery_id=row["id"],
        endpoint_id=row["endpoint_id"],
        event_id=row["event_id"],
        event_type=row["type"],
        envelope_id=row["envelope_id"],
        sequence=row["sequence"],
        facts={"leases_lost": PATIENCE + 1},
    )
