"""Takes kept messages up again on request: what failed, waits, was not understood, or had no effect.

What had its effect does not have it twice: its facts stay known. Each replayed message is a ledger entry.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from config.clock import Clock
from config.database import Database
from normalizer.errors import Conflict, NotFound
from normalizer.events import Actor, Source
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.inbound.facts import message_event
from webhooks.inbound.message import MessageState
from webhooks.inbound.ports import RecordEvents, WakeWorkers

PAGE = 500
# Not what is quarantined: that is released or dropped, which is another decision.
REPLAYABLE = (
    MessageState.PARKED,
    MessageState.UNPROCESSABLE,
    MessageState.DEAD,
    MessageState.DONE,
    MessageState.DROPPED,
)
_TAKE = "SELECT id, connection_id, previous FROM replay_messages($1, $2, $3, $4, $5, $6, $7)"


class ReplayFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a tenant's messages; `since` and `until` are times of receipt."""

    states: tuple[MessageState, ...] = (MessageState.PARKED, MessageState.UNPROCESSABLE, MessageState.DEAD)
    connection_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class ReplayedMessages(msgspec.Struct, frozen=True):
    """`is_complete` False: more are left; ask again."""

    messages: tuple[UUID, ...]
    is_complete: bool


class MessageReplay:
    """`database` is the app role: row-level security holds for what is replayed."""

    def __init__(
        self, database: Database, recorder: RecordEvents, ids: Ids, clock: Clock, wake: WakeWorkers
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._wake = wake

    async def replay_message(self, tenant_id: UUID, message_id: UUID, actor: Actor, source: Source) -> None:
        """Raises NotFound; Conflict while it still waits, is being processed, or is quarantined."""
        async with self._database.transaction(tenant_id) as tx:
            state = await tx.driver.fetchval(
                "SELECT state FROM inbox_messages WHERE tenant_id = $1 AND id = $2", tenant_id, message_id
            )
        if state is None:
            raise NotFound("message", print_id(Kind.MESSAGE, message_id))
        replayed = await self._take(tenant_id, message_id, ReplayFilter(states=REPLAYABLE), 1, actor, source)
        if not replayed.messages and state == MessageState.QUARANTINED:
            raise Conflict("The message is quarantined.", remedy="Release it or drop it.")
        if not replayed.messages:
            raise Conflict(f"The message is {state}: it is going to be processed anyway.")

    async def replay_messages(
        self, tenant_id: UUID, wanted: ReplayFilter, actor: Actor, source: Source
    ) -> ReplayedMessages:
        """A page at a time, oldest first."""
        return await self._take(tenant_id, None, wanted, PAGE, actor, source)

    async def _take(
        self,
        tenant_id: UUID,
        message_id: UUID | None,
        wanted: ReplayFilter,
        most: int,
        actor: Actor,
        source: Source,
    ) -> ReplayedMessages:
        states = [str(state) for state in wanted.states if state in REPLAYABLE]
        async with self._database.transaction(tenant_id) as tx:
            rows = await tx.driver.fetch(
                _TAKE,
                tenant_id,
                message_id,
                states,
                wanted.connection_id,
                wanted.since,
                wanted.until,
                most,
            )
            await self._recorder.record(
                tx,
                [
                    message_event(
                        LedgerType.INBOUND_REPLAYED,
                        self._ids.new(),
                        self._clock.now(),
                        tenant_id=tenant_id,
                        message_id=row["id"],
                        source=source,
                        actor=actor,
                        facts={
                            "previous_state": row["previous"],
                            "connection_id": print_id(Kind.CONNECTION, row["connection_id"]),
                        },
                    )
                    for row in rows
                ],
            )
            await tx.commit()
        if rows:
            self._wake()
        return ReplayedMessages(tuple(row["id"] for row in rows), is_complete=len(rows) < most)
