"""One write, three records: the ledger entries and outbox events of what the caller's transaction changes.

Personal data is sealed, entries are appended and announcements put into the outbox in one round trip, when
the subjects' keys are known to this process. Everything exists when the transaction commits, and nothing
otherwise; after the commit the fan-out is woken, and a wake-up that is lost costs time only.
MUST be called once per transaction, after the state's own statements: the heads of the chains stay locked
until the commit. MUST never call out to a network.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import asyncpg

from config.database import Transaction
from ledger.append import columns_of
from ledger.entry import Draft, Entry, compose_draft, personal_of, tenant_of
from ledger.personal import SubjectKeys, ToSeal
from normalizer.canonical import canonical_bytes
from normalizer.events import Event
from normalizer.vocabulary import VOCABULARY

_RECORD = "SELECT seq, hash FROM record_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"


class Recorder:
    """Made at the composition root; `now` is the clock's, `wake` tells the deliverers that there is work."""

    def __init__(
        self, subjects: SubjectKeys, now: Callable[[], datetime], wake: Callable[[], Awaitable[None]]
    ) -> None:
        self._subjects = subjects
        self._now = now
        self._wake = wake

    async def record(self, tx: Transaction, events: Sequence[Event]) -> tuple[Entry, ...]:
        """Where each event stands in the ledger, in the order given.

        A transaction of a tenant records that tenant's events; one without a tenant (the hub role's) those of
        any, many at once. Raises ValueError for an event of another tenant, and for one whose type has a
        webhook name but that carries no announcement, or the other way round: nothing is recorded then.
        """
        if not events:
            return ()
        for event in events:
            _check(tx, event)
        personal = [personal_of(event) for event in events]
        sealed = await self._subjects.seal(
            tx,
            [
                ToSeal(tenant_of(event), event.id, values)
                for event, values in zip(events, personal, strict=True)
            ],
        )
        now = self._now()
        drafts = [compose_draft(event, values, now) for event, values in zip(events, sealed, strict=True)]
        announced = [place for place, event in enumerate(events) if event.announcement is not None]
        rows = await tx.driver.fetch(_RECORD, *columns_of(drafts), *_outbox_columns(events, announced))
        if announced:
            tx.on_commit(self._wake)
        return _entries(drafts, rows)


def _check(tx: Transaction, event: Event) -> None:
    if tx.tenant_id is not None and event.tenant_id != tx.tenant_id:
        raise ValueError(f"{event.type} belongs to another tenant than the transaction")
    has_name = VOCABULARY[event.type].webhook is not None
    if has_name and event.announcement is None:
        raise ValueError(f"{event.type} is announced by webhook: it needs an announcement")
    if event.announcement is not None and not has_name:
        raise ValueError(f"{event.type} has no webhook name: it cannot carry an announcement")
    if event.announcement is not None and event.tenant_id is None:
        raise ValueError(f"{event.type} is announced to a tenant, and has none")


def _outbox_columns(events: Sequence[Event], announced: Sequence[int]) -> tuple[list[object], ...]:
    """The announcements as the SQL function takes them: positions count from 1."""
    types: list[object] = []
    envelopes: list[object] = []
    bodies: list[object] = []
    for place in announced:
        event = events[place]
        word = VOCABULARY[event.type]
        if event.announcement is None or word.webhook is None:
            raise AssertionError("checked before")
        types.append(word.webhook)
        envelopes.append(event.envelope_id)
        bodies.append(canonical_bytes(event.announcement))
    return [place + 1 for place in announced], types, envelopes, bodies


def _entries(drafts: Sequence[Draft], rows: Sequence[asyncpg.Record]) -> tuple[Entry, ...]:
    return tuple(Entry(draft.chain_id, row[0], row[1]) for draft, row in zip(drafts, rows, strict=True))
