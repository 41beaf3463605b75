"""Turns committed events into deliveries: one SQL function, one round trip per batch.

Endpoints are matched by tenant and type, each gets its next sequence numbers without a gap, and an endpoint
that is switched off gets its deliveries held. Only one fan-out runs at a time over all processes; the others
are told to come back. Must never run inside a business transaction: those never wait for an endpoint's
counter.
"""

import asyncio
import logging
from uuid import UUID

import msgspec

from config.database import Database
from config.errors import StoreUnavailable
from webhooks.outbound.outbox import Waiting, count_waiting

logger = logging.getLogger("countersign.deliverer")

BATCH_EVENTS = 500
_LONG_BATCH_S = 0.5
_NOBODY = UUID(int=0)

__all__ = ["BATCH_EVENTS", "FanOuts", "FannedOut", "Waiting", "count_waiting", "fan_out"]


class FannedOut(msgspec.Struct, frozen=True):
    """`busy`: another process is at it. `is_last`: nothing was left when this batch was taken. `passed`: the tenant
    whose turn was last.
    """

    events: int
    deliveries: int
    mailboxes: tuple[UUID, ...]
    busy: bool
    is_last: bool
    passed: UUID = _NOBODY


async def fan_out(hub: Database, max_events: int = BATCH_EVENTS, after: UUID = _NOBODY) -> FannedOut:
    """At most so many events, fewer where they are costly. `after`: the tenant whose turn was last."""
    row = await hub.fetchrow(
        "SELECT events, deliveries, mailboxes, passed, more, unasked FROM fan_out($1, $2)", max_events, after
    )
    if row is None or row["events"] < 0:
        return FannedOut(events=0, deliveries=0, mailboxes=(), busy=True, is_last=False, passed=after)
    for endpoint_id in row["unasked"]:
        # What was said is in the endpoint's health: it may quote the filter or the event.
        logger.warning("endpoint.filter_failed", extra={"endpoint_id": str(endpoint_id)})
    return FannedOut(
        events=row["events"],
        deliveries=row["deliveries"],
        mailboxes=tuple(row["mailboxes"]),
        busy=False,
        is_last=not row["more"],
        passed=row["passed"],
    )


class FanOuts:
    """One after the other, in batches whose size follows what they take: a batch that the store never lets end would
    stop everybody's. Each begins with the tenant behind the one whose turn was last.
    """

    def __init__(self, hub: Database) -> None:
        self._hub = hub
        self.batch_events = BATCH_EVENTS
        self._passed = _NOBODY

    async def next(self) -> FannedOut:
        """Raises StoreUnavailable, also when the batch took too long; the next one is smaller then."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        try:
            fanned = await fan_out(self._hub, self.batch_events, self._passed)
        except StoreUnavailable:
            self.batch_events = max(1, self.batch_events // 4)
            raise
        self._passed = fanned.passed
        if loop.time() - started_at > _LONG_BATCH_S:
            self.batch_events = max(1, self.batch_events // 2)
        elif not fanned.busy:
            self.batch_events = min(BATCH_EVENTS, self.batch_events * 2)
        return fanned
