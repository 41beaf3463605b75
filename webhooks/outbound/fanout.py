"""Turns committed events into deliveries: one SQL function, one round trip per batch.

Endpoints are matched by tenant and type, each gets its next sequence numbers without a gap, and an endpoint
that is switched off gets its deliveries held. Only one fan-out runs at a time over all processes; the others
are told to come back. Must never run inside a business transaction: those never wait for an endpoint's
counter.
"""

from uuid import UUID

import msgspec

from config.database import Database
from webhooks.outbound.outbox import Waiting, count_waiting

BATCH_EVENTS = 500

__all__ = ["BATCH_EVENTS", "FannedOut", "Waiting", "count_waiting", "fan_out"]


class FannedOut(msgspec.Struct, frozen=True):
    """`busy`: another process is at it. `is_last`: nothing was left when this batch was taken."""

    events: int
    deliveries: int
    mailboxes: tuple[UUID, ...]
    busy: bool
    is_last: bool


async def fan_out(hub: Database, max_events: int = BATCH_EVENTS) -> FannedOut:
    row = await hub.fetchrow("SELECT events, deliveries, mailboxes FROM fan_out($1)", max_events)
    if row is None or row["events"] < 0:
        return FannedOut(events=0, deliveries=0, mailboxes=(), busy=True, is_last=False)
    return FannedOut(
        events=row["events"],
        deliveries=row["deliveries"],
        mailboxes=tuple(row["mailboxes"]),
        busy=False,
        is_last=row["events"] < max_events,
    )
