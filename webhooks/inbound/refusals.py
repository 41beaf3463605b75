"""Counts refused posts by connection, minute, reason and network, so that a forger can make a number larger, no table.

Counts are gathered in memory and written once a second; a killed process loses the last second's count of
refusals, never a message. A minute that is over becomes one ledger entry (`record_refusals`, a job's work).
"""

import asyncio
import logging
from collections import Counter
from datetime import datetime
from itertools import groupby
from uuid import UUID

from config.clock import Clock
from config.database import Database
from config.errors import StoreUnavailable
from normalizer.canonical import Json
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.inbound.ports import RecordEvents, Sender

logger = logging.getLogger("countersign.inbound")

NOBODY = UUID(int=0)
_FLUSH_S = 1.0
_SETTLE_S = 5.0  # how late a gateway may write a minute's counts and still be in its one entry
_REASONS_PER_CONNECTION = 8
_SOURCES_PER_CONNECTION = 8
_OTHER = "other reasons"
_ELSEWHERE = "elsewhere"
_PAGE = 500


class Refusals:
    """In memory until the next flush. `count` never waits."""

    def __init__(self, hub: Database, clock: Clock) -> None:
        self._hub = hub
        self._clock = clock
        self._counts: Counter[tuple[UUID, UUID, datetime, str, str]] = Counter()
        self._reasons: dict[UUID, set[str]] = {}  # of this minute
        self._sources: dict[UUID, set[str]] = {}
        self._minute: datetime | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()  # while the store is slow, more than one

    def count(self, sender: Sender | None, reason: str, source: str = "") -> None:
        """`source`: the network that it came from, never an address."""
        tenant, connection = (sender.tenant_id, sender.connection_id) if sender else (NOBODY, NOBODY)
        minute = self._clock.now().replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute = minute
            self._reasons.clear()
            self._sources.clear()
        reason = _bounded(self._reasons, connection, reason[:200], _REASONS_PER_CONNECTION, _OTHER)
        source = _bounded(self._sources, connection, source[:50], _SOURCES_PER_CONNECTION, _ELSEWHERE)
        self._counts[(tenant, connection, minute, reason, source)] += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_S, self._start_flush)

    def _start_flush(self) -> None:
        self._timer = None
        flushing = asyncio.create_task(self.flush())
        self._flushing.add(flushing)
        flushing.add_done_callback(self._flushing.discard)

    async def flush(self) -> None:
        """Writes what was counted so far; while the store is away it stays counted."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        columns = list(zip(*counts, strict=True))
        try:
            await self._hub.execute(
                "SELECT count_refusals($1, $2, $3, $4, $5, $6)",
                *(list(column) for column in columns),
                list(counts.values()),
            )
        except StoreUnavailable as error:
            logger.warning("refusals stay in memory: %s", error)
            self._counts.update(counts)
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_FLUSH_S, self._start_flush)
        except Exception:  # it would be met again, and hold up what is counted later
            logger.exception("%d refusals could not be counted", counts.total())

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        while self._flushing:
            await asyncio.wait(set(self._flushing))
        await self.flush()
        if self._timer is not None:  # the store went first
            self._timer.cancel()


def _bounded(known: dict[UUID, set[str]], connection: UUID, word: str, most: int, other: str) -> str:
    """The word, or `other` once there are `most` of them."""
    words = known.setdefault(connection, set())
    if word not in words and len(words) >= most:
        return other
    words.add(word)
    return word


async def record_refusals(hub: Database, recorder: RecordEvents, ids: Ids, clock: Clock) -> int:
    """One ledger entry per connection and minute that is over; how many entries were made."""
    made = 0
    while True:
        async with hub.transaction() as tx:
            rows = await tx.driver.fetch("SELECT * FROM take_refusals($1, $2)", _PAGE, _SETTLE_S)
            if not rows:
                return made
            rows.sort(key=lambda row: (row["tenant_id"], row["connection_id"], row["minute"], row["reason"]))
            events = []
            for (tenant, connection, minute), group in groupby(
                rows, key=lambda row: (row["tenant_id"], row["connection_id"], row["minute"])
            ):
                reasons, sources = Counter[str](), Counter[str]()
                for row in group:
                    reasons[row["reason"]] += row["refused"]
                    sources[row["source"]] += row["refused"]
                events.append(_event(ids.new(), clock.now(), tenant, connection, minute, reasons, sources))
            await recorder.record(tx, events)
            await tx.commit()
        made += len(events)
        if len(rows) < _PAGE:
            return made


def _event(
    event_id: UUID,
    now: datetime,
    tenant: UUID,
    connection: UUID,
    minute: datetime,
    reasons: Counter[str],
    sources: Counter[str],
) -> Event:
    facts: dict[str, Json] = {
        "minute": minute.isoformat(),
        "refused": sum(reasons.values()),
        "reasons": [{"reason": reason, "refused": count} for reason, count in sorted(reasons.items())],
        "sources": [{"network": source, "refused": count} for source, count in sorted(sources.items())],
    }
    is_known = connection != NOBODY
    return Event(
        id=event_id,
        type=LedgerType.INBOUND_REFUSED,
        tenant_id=tenant if is_known else None,
        envelope_id=None,
        resource_type=ResourceType.CONNECTION if is_known else ResourceType.INBOUND,
        resource_id=print_id(Kind.CONNECTION, connection) if is_known else "unknown_path",
        occurred_at=now,
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts=facts,
    )
