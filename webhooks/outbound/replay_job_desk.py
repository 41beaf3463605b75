"""What a tenant may do with replays: count, start, look, pause, resume, cancel. Each change is a ledger entry.

The work itself is a background job's (`replay_job_run.py`): here nothing is sent again.
"""

from collections.abc import Awaitable, Callable
from uuid import UUID

from config.clock import Clock
from config.database import Database, Transaction
from normalizer.canonical import Json
from normalizer.errors import Conflict
from normalizer.events import Actor, Source
from normalizer.ids import Ids
from normalizer.vocabulary import LedgerType
from webhooks.outbound import replay_job_store as rows
from webhooks.outbound.endpoint_store import read_endpoint
from webhooks.outbound.facts import replay_event
from webhooks.outbound.ports import RecordEvents
from webhooks.outbound.replay_job import (
    OPEN,
    ReplayCriteria,
    ReplayJob,
    ReplayProgress,
    ReplayState,
    Selected,
    criteria_facts,
    vet_criteria,
)

MOST_OPEN = 20


class ReplayJobDesk:
    """`database` is the app role's, so that row-level security stands behind every statement."""

    def __init__(self, database: Database, recorder: RecordEvents, ids: Ids, clock: Clock) -> None:
        self._database = database
        self._recorder = recorder
        self._ids = ids
        self._clock = clock

    async def count(self, tenant_id: UUID, wanted: ReplayCriteria) -> Selected:
        """What a replay would take back now; nothing is changed. Raises as `start` does."""
        vet_criteria(wanted)
        async with self._database.transaction(tenant_id) as tx:
            await _refuse_unless_on(tx, tenant_id, wanted)
            return await rows.count_selected(tx, tenant_id, wanted)

    async def start(
        self,
        tenant_id: UUID,
        wanted: ReplayCriteria,
        actor: Actor,
        source: Source,
        *,
        made: Callable[[Transaction, UUID], Awaitable[None]] | None = None,
    ) -> ReplayJob:
        """Raises ValidationFailed, NotFound, Conflict when the endpoint is off or too many replays are open.
        `made` is called in the transaction that makes it.
        """
        vet_criteria(wanted)
        replay_id = self._ids.new()
        async with self._database.transaction(tenant_id) as tx:
            await _refuse_unless_on(tx, tenant_id, wanted)
            if await rows.count_open(tx, tenant_id) >= MOST_OPEN:
                raise Conflict(
                    f"{MOST_OPEN} replays are open already.", remedy="Wait for one to end, or cancel one."
                )
            selected = (await rows.count_selected(tx, tenant_id, wanted)).total
            await rows.insert_replay(tx, tenant_id, replay_id, wanted, selected, actor)
            if made is not None:
                await made(tx, replay_id)
            started = await rows.read_replay(tx, tenant_id, replay_id)
            facts: dict[str, Json] = {"selected": selected, **criteria_facts(wanted)}
            await self._record(tx, LedgerType.REPLAY_STARTED, started, actor, source, facts)
            await tx.commit()
        return started

    async def read(self, tenant_id: UUID, replay_id: UUID) -> tuple[ReplayJob, ReplayProgress]:
        """Raises NotFound."""
        async with self._database.transaction(tenant_id) as tx:
            found = await rows.read_replay(tx, tenant_id, replay_id)
            return found, await rows.read_progress(tx, tenant_id, replay_id)

    async def list(
        self,
        tenant_id: UUID,
        *,
        limit: int = 100,
        before: UUID | None = None,
        only_open: bool = False,
        endpoint_id: UUID | None = None,
    ) -> list[ReplayJob]:
        """The newest first. `endpoint_id`: those of this endpoint alone; None: all, those of every endpoint too."""
        async with self._database.transaction(tenant_id) as tx:
            return await rows.list_replays(
                tx, tenant_id, limit=limit, before=before, only_open=only_open, endpoint_id=endpoint_id
            )

    async def pause(self, tenant_id: UUID, replay_id: UUID, actor: Actor, source: Source) -> ReplayJob:
        """What was taken back goes on its way. Raises NotFound, Conflict unless it runs."""
        return await self._move(
            tenant_id, replay_id, (ReplayState.RUNNING,), ReplayState.PAUSED, actor, source
        )

    async def resume(self, tenant_id: UUID, replay_id: UUID, actor: Actor, source: Source) -> ReplayJob:
        """Goes on where it stood. Raises NotFound, Conflict unless it is paused and its endpoint is on."""
        return await self._move(
            tenant_id, replay_id, (ReplayState.PAUSED,), ReplayState.RUNNING, actor, source
        )

    async def cancel(self, tenant_id: UUID, replay_id: UUID, actor: Actor, source: Source) -> ReplayJob:
        """Takes nothing more back; what was taken back goes on its way. Raises NotFound, Conflict at its end."""
        return await self._move(tenant_id, replay_id, OPEN, ReplayState.CANCELLED, actor, source)

    async def _move(
        self,
        tenant_id: UUID,
        replay_id: UUID,
        allowed: tuple[ReplayState, ...],
        state: ReplayState,
        actor: Actor,
        source: Source,
    ) -> ReplayJob:
        async with self._database.transaction(tenant_id) as tx:
            before = await rows.read_replay(tx, tenant_id, replay_id, lock=True)
            if before.state not in allowed:
                raise Conflict(
                    f"The replay is {before.state.value}: it cannot become {state.value}.",
                    remedy="One that runs can be paused, one that is paused goes on; else start a new one.",
                )
            if state is ReplayState.RUNNING:
                await _refuse_unless_on(tx, tenant_id, before.criteria)
            await rows.set_state(tx, tenant_id, replay_id, state)
            after = await rows.read_replay(tx, tenant_id, replay_id)
            type_ = LedgerType.REPLAY_ENDED if state is ReplayState.CANCELLED else LedgerType.REPLAY_CHANGED
            facts: dict[str, Json] = {
                "state": state.value,
                "selected": after.selected,
                "requeued": after.requeued,
            }
            await self._record(tx, type_, after, actor, source, facts)
            await tx.commit()
        return after

    async def _record(
        self,
        tx: Transaction,
        type_: LedgerType,
        replay: ReplayJob,
        actor: Actor,
        source: Source,
        facts: dict[str, Json],
    ) -> None:
        event = replay_event(
            type_,
            self._ids,
            self._clock.now(),
            tenant_id=replay.tenant_id,
            replay_id=replay.id,
            actor=actor,
            source=source,
            facts=facts,
        )
        await self._recorder.record(tx, [event])


async def _refuse_unless_on(tx: Transaction, tenant_id: UUID, wanted: ReplayCriteria) -> None:
    if wanted.endpoint_id is None:
        return
    endpoint = await read_endpoint(tx, tenant_id, wanted.endpoint_id)
    if not endpoint.active:
        why = f" ({endpoint.disabled_reason})" if endpoint.disabled_reason else ""
        raise Conflict(
            f"The endpoint is switched off{why}: nothing could be sent to it.",
            remedy="Switch it on first; what it holds is then sent without a replay.",
        )
