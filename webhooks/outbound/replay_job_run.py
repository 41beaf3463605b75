"""Carries replays out in slices: each slice is one transaction that takes deliveries back, writes their ledger
entries and moves the replay's place.

A worker that is lost in the middle leaves the slice undone and the place where it was: nothing is left out and
nothing taken twice. Any number of workers may run; a replay is worked on by one at a time (its row is locked).
The rate is kept by the database's clock: what was taken never exceeds rate x (time + 1 s). Must never touch an
endpoint's health: a replay is not a sign of it.
"""

import logging
from collections.abc import Mapping
from uuid import UUID

import asyncpg
import msgspec

from config.clock import Clock
from config.database import Database, Transaction
from config.errors import StoreUnavailable
from normalizer.canonical import Json
from normalizer.events import Event, Source, SourceKind
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.outbound.facts import delivery_event, replay_event
from webhooks.outbound.ports import RecordEvents, WakeMailboxes
from webhooks.outbound.replay_job import ReplayJob, ReplayState
from webhooks.outbound.replay_job_store import COLUMNS, selection, set_state, to_replay

logger = logging.getLogger("countersign.jobs")

PAGE = 200
_JOB = Source(kind=SourceKind.JOB)
_POSTPONED_S = 60
_DUE = (
    "SELECT tenant_id, id FROM replay_jobs WHERE state = 'running' AND next_at <= now()"
    " ORDER BY next_at, id LIMIT 100"
)
# Up to five seconds that a worker was late are made up for, and one second may be taken ahead.
_TAKE_UP = (
    f"SELECT {COLUMNS}, e.active, CASE WHEN j.rate_per_second IS NULL THEN $3::integer ELSE least($3::integer,"
    " greatest(1, floor(j.rate_per_second * least(6, extract(epoch FROM now() - j.next_at) + 1)))::integer)"
    " END AS budget"
    " FROM replay_jobs j LEFT JOIN webhook_endpoints e ON e.tenant_id = j.tenant_id AND e.id = j.endpoint_id"
    " WHERE j.tenant_id = $1 AND j.id = $2 AND j.state = 'running' AND j.next_at <= now()"
    " FOR UPDATE OF j SKIP LOCKED"
)
_MOVE_ON = (
    "UPDATE replay_jobs SET requeued = requeued + $3, passed_endpoint = $4, passed_sequence = $5,"
    " updated_at = now(), next_at = CASE WHEN rate_per_second IS NULL THEN now()"
    " ELSE greatest(next_at, now() - interval '5 s') + make_interval(secs => $3 / rate_per_second) END"
    " WHERE tenant_id = $1 AND id = $2"
)


class _Taken(msgspec.Struct, frozen=True):
    """`passed`: where the walk is now; deliveries that moved by themselves meanwhile are passed, not taken."""

    deliveries: list[asyncpg.Record]
    passed: tuple[UUID, int]
    is_last: bool


class ReplayRunner:
    """`hub` works across tenants; every statement names its own."""

    def __init__(
        self, hub: Database, recorder: RecordEvents, ids: Ids, clock: Clock, wake: WakeMailboxes
    ) -> None:
        self._hub = hub
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._wake = wake

    async def run_due(self, *, for_s: float = 5.0, page: int = PAGE) -> int:
        """Slices of every replay that is due, in turns, until none is or the time is over; how many deliveries
        were taken back. Raises StoreUnavailable.
        """
        ends_at = self._clock.monotonic() + for_s
        total = 0
        while True:
            worked = False
            for row in await self._hub.fetch(_DUE):
                taken = await self._try_slice(row["tenant_id"], row["id"], page)
                total += taken or 0
                worked = worked or taken is not None
                if self._clock.monotonic() >= ends_at:
                    return total
            if not worked:
                return total

    async def _try_slice(self, tenant_id: UUID, replay_id: UUID, page: int) -> int | None:
        try:
            return await self._slice(tenant_id, replay_id, page)
        except StoreUnavailable:
            raise
        except Exception:  # whatever it is, it must not keep other tenants' replays waiting
            logger.exception("a slice of replay %s failed", replay_id)
            await self._hub.execute(
                "UPDATE replay_jobs SET next_at = now() + make_interval(secs => $3)"
                " WHERE tenant_id = $1 AND id = $2",
                tenant_id,
                replay_id,
                _POSTPONED_S,
            )
            return None

    async def _slice(self, tenant_id: UUID, replay_id: UUID, page: int) -> int | None:
        """How many were taken back; None when another worker has the replay or it runs no longer."""
        async with self._hub.transaction(tenant_id) as tx:
            row = await tx.driver.fetchrow(_TAKE_UP, tenant_id, replay_id, page)
            if row is None:
                return None
            replay = to_replay(row)
            if replay.criteria.endpoint_id is not None and not row["active"]:
                await self._stand_still(tx, replay, is_deleted=row["active"] is None)
                await tx.commit()
                return 0
            taken = await self._take_back(tx, replay, row)
            if taken.deliveries:
                await self._recorder.record(tx, [self._replayed(replay, one) for one in taken.deliveries])
            await tx.driver.execute(_MOVE_ON, tenant_id, replay_id, len(taken.deliveries), *taken.passed)
            if taken.is_last:
                await self._end(tx, replay, len(taken.deliveries))
            await tx.commit()
        mailboxes = {one["endpoint_id"] for one in taken.deliveries}
        if mailboxes:
            await self._wake(sorted(mailboxes))
        return len(taken.deliveries)

    async def _take_back(self, tx: Transaction, replay: ReplayJob, row: asyncpg.Record) -> _Taken:
        text, arguments = selection(replay.tenant_id, replay.criteria)
        first = len(arguments) + 1
        walked = await tx.driver.fetch(
            "WITH picked AS MATERIALIZED ("
            f"SELECT d.tenant_id, d.id, d.endpoint_id, d.sequence, d.event_id, d.state{text} AND e.active"
            f" AND (d.endpoint_id, d.sequence) > (${first}::uuid, ${first + 1}::bigint)"
            f" AND d.created_at <= ${first + 2} ORDER BY d.endpoint_id, d.sequence LIMIT ${first + 3}"
            "), moved AS ("
            "UPDATE deliveries d SET state = 'pending', due_at = now(), attempt = 0, throttled = 0, expiries = 0,"
            " replays = d.replays + 1, finished_at = NULL FROM picked p"
            " WHERE d.tenant_id = p.tenant_id AND d.id = p.id AND d.state = p.state RETURNING d.id"
            "), kept AS ("
            "INSERT INTO replay_items (tenant_id, replay_id, delivery_id, previous)"
            f" SELECT p.tenant_id, ${first + 4}::uuid, p.id, p.state FROM picked p JOIN moved m ON m.id = p.id"
            ") SELECT p.id, p.endpoint_id, p.sequence, p.event_id, p.state AS previous, m.id IS NOT NULL AS taken"
            " FROM picked p LEFT JOIN moved m ON m.id = p.id ORDER BY p.endpoint_id, p.sequence",
            *arguments, row["passed_endpoint"], row["passed_sequence"], replay.created_at, row["budget"],
            replay.id,
        )  # fmt: skip
        passed = (row["passed_endpoint"], row["passed_sequence"])
        if walked:
            passed = (walked[-1]["endpoint_id"], walked[-1]["sequence"])
        return _Taken([one for one in walked if one["taken"]], passed, len(walked) < row["budget"])

    def _replayed(self, replay: ReplayJob, row: asyncpg.Record) -> Event:
        return delivery_event(
            LedgerType.DELIVERY_REPLAYED,
            self._ids,
            self._clock.now(),
            tenant_id=replay.tenant_id,
            delivery_id=row["id"],
            endpoint_id=row["endpoint_id"],
            event_id=row["event_id"],
            actor=replay.actor,
            source=_JOB,
            facts={"previous_state": row["previous"], "replay_id": print_id(Kind.REPLAY, replay.id)},
        )

    async def _end(self, tx: Transaction, replay: ReplayJob, last: int) -> None:
        await set_state(tx, replay.tenant_id, replay.id, ReplayState.DONE)
        facts: dict[str, Json] = {
            "state": ReplayState.DONE.value,
            "selected": replay.selected,
            "requeued": replay.requeued + last,
        }
        await self._record(tx, LedgerType.REPLAY_ENDED, replay, facts)

    async def _stand_still(self, tx: Transaction, replay: ReplayJob, *, is_deleted: bool) -> None:
        """Nothing can be sent to its endpoint: it waits to be resumed, or is over with a deleted one."""
        state = ReplayState.CANCELLED if is_deleted else ReplayState.PAUSED
        reason = "its endpoint was deleted" if is_deleted else "its endpoint was switched off"
        await set_state(tx, replay.tenant_id, replay.id, state, reason)
        type_ = LedgerType.REPLAY_ENDED if is_deleted else LedgerType.REPLAY_CHANGED
        facts: dict[str, Json] = {
            "state": state.value,
            "reason": reason,
            "selected": replay.selected,
            "requeued": replay.requeued,
        }
        await self._record(tx, type_, replay, facts)

    async def _record(
        self, tx: Transaction, type_: LedgerType, replay: ReplayJob, facts: Mapping[str, Json]
    ) -> None:
        event = replay_event(
            type_,
            self._ids,
            self._clock.now(),
            tenant_id=replay.tenant_id,
            replay_id=replay.id,
            source=_JOB,
            facts=facts,
        )
        await self._recorder.record(tx, [event])
