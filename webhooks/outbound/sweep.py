"""The backstop: finds from SQL alone what no wake-up told of, so losing Redis costs latency only.

Leases that ran out go back to pending, marked as possibly delivered; mailboxes with due work are named; work
that was written into a mailbox in the moment in which it was switched off or deleted is held or cancelled.
"""

import logging
from uuid import UUID

import msgspec

from config.clock import Clock
from config.database import Database
from normalizer.ids import Ids
from normalizer.vocabulary import LedgerType
from webhooks.outbound.facts import delivery_event
from webhooks.outbound.ports import RecordEvents

logger = logging.getLogger("countersign.deliverer")

PATIENCE = 20
_PAGE = 1000


class Swept(msgspec.Struct, frozen=True):
    """`oldest_due_s`: how long the longest-waiting due delivery has waited; the figure that shows a stall."""

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
    for row in await hub.fetch("SELECT endpoint_id, active, waited_s FROM ready_mailboxes()"):
        if row["active"]:
            ready.append(row["endpoint_id"])
            oldest_s = max(oldest_s, row["waited_s"])
        else:
            await _put_away(hub, row["endpoint_id"], deleted=row["active"] is None)
    return Swept(tuple(ready), expired, oldest_s)


async def give_up_poison(hub: Database, recorder: RecordEvents, ids: Ids, clock: Clock) -> int:
    """Exhausts deliveries whose lease ran out too often in a row: each may be what kills its deliverer."""
    rows = await hub.fetch(
        "SELECT tenant_id, id, endpoint_id, event_id FROM deliveries WHERE state = 'leased'"
        " AND lease_until < now() AND expiries >= $1 ORDER BY id LIMIT $2",
        PATIENCE,
        _PAGE,
    )
    for row in rows:
        async with hub.transaction(row["tenant_id"]) as tx:
            done = await tx.driver.execute(
                "UPDATE deliveries SET state = 'exhausted', lease_until = NULL, claim_id = NULL,"
                " possibly_delivered = true, finished_at = now(),"
                " last_error = 'the deliverer was lost each time it sent this'"
                " WHERE tenant_id = $1 AND id = $2 AND state = 'leased' AND lease_until < now()",
                row["tenant_id"],
                row["id"],
            )
            if done == "UPDATE 1":
                event = delivery_event(
                    LedgerType.DELIVERY_EXHAUSTED,
                    ids,
                    clock.now(),
                    tenant_id=row["tenant_id"],
                    delivery_id=row["id"],
                    endpoint_id=row["endpoint_id"],
                    event_id=row["event_id"],
                    facts={"leases_lost": PATIENCE + 1},
                )
                await recorder.record(tx, [event])
            await tx.commit()
    return len(rows)


async def _put_away(hub: Database, endpoint_id: UUID, *, deleted: bool) -> None:
    """Only while the endpoint is still switched off or gone: it may have come back since it was seen."""
    state = "cancelled" if deleted else "held"
    await hub.execute(
        "UPDATE deliveries d SET state = $2, finished_at = CASE WHEN $2 = 'cancelled' THEN now() END"
        " WHERE d.endpoint_id = $1 AND d.state = 'pending'"
        " AND NOT EXISTS (SELECT FROM webhook_endpoints e WHERE e.id = $1 AND e.active)",
        endpoint_id,
        state,
    )
