"""One write, three records: the ledger entries and outbox events of what the caller's transaction changes.

Personal data is sealed, entries are appended and announcements put into the outbox in one round trip, when
the subjects' keys are known to this process. Everything exists when the transaction commits, and nothing
otherwise; after the commit the fan-out is woken, and a wake-up that is lost costs time only.
MUST be called once per transaction, after the state's own statements: the heads of the chains stay locked
until the commit. MUST never call out to a network.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

from config.database import Transaction
from ledger.append import append, columns_of, entries_of
from ledger.entry import Entry, compose_draft, personal_of, tenant_of
from ledger.personal import SubjectKeys, ToSeal
from normalizer.canonical import canonical_bytes
from normalizer.events import Event
from normalizer.vocabulary import VOCABULARY

_RECORD = "SELECT seqs, hashes FROM record_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"


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
            _check(tx.tenant_id, event)
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
        if all(event.announcement is None for event in events):
            return await append(tx, drafts)
        row = await tx.driver.fetchrow(_RECORD, *columns_of(drafts), *_announcements_of(events))
        tx.on_commit(self._wake)
        return entries_of(drafts, row)

    def prepare(self, tenant_id: UUID, events: Sequence[Event]) -> tuple[list[object], ...] | None:
        """The arguments of record_events, for an SQL function that changes state and records in one statement;
        None when a subject's key is not at hand, and `record` must do it. After its success: `announced`.
        """
        for event in events:
            _check(tenant_id, event)
        sealed = self._subjects.seal_known(
            [ToSeal(tenant_of(event), event.id, personal_of(event)) for event in events]
        )
        if sealed is None:
            return None
        now = self._now()
        drafts = [compose_draft(event, values, now) for event, values in zip(events, sealed, strict=True)]
        return (*columns_of(drafts), *_announcements_of(events))

    async def announced(self) -> None:
        """Wakes the fan-out, as a commit after `record` does."""
        await self._wake()


def _check(tenant_id: UUID | None, event: Event) -> None:
    if tenant_id is not None and event.tenant_id != tenant_id:
        raise ValueError(f"{event.type} belongs to another tenant than the transaction")
    has_name = VOCABULARY[event.type].webhook is not None
    if has_name and event.announcement is None:
        raise ValueError(f"{event.type} is announced by webhook: it needs an announcement")
    if event.announcement is not None and not has_name:
        raise ValueError(f"{event.type} has no webhook name: it cannot carry an announcement")
    if event.announcement is not None and event.tenant_id is None:
        raise ValueError(f"{event.type} is announced to a tenant, and has none")


def _announcements_of(events: Sequence[Event]) -> tuple[list[object], ...]:
    """Types, envelopes and exact bytes as the SQL function takes them: null where nothing is announced."""
    return (
        [None if event.announcement is None else VOCABULARY[event.type].webhook for event in events],
        [event.envelope_id for event in events],
        [None if event.announcement is None else canonical_bytes(event.announcement) for event in events],
    )
