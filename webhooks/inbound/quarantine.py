"""An administrator decides about a message: released, the provider's own answer has the effect; dropped, nothing has.

Both are ledger entries. Must never give a released message an effect of its own: only what the provider answers when it
is asked counts, within the limits of its polling.
"""

from collections.abc import Sequence
from uuid import UUID

from config.clock import Clock
from config.database import Database, Transaction
from normalizer.canonical import Json
from normalizer.errors import Conflict, NotFound
from normalizer.events import Actor, Source
from normalizer.ids import Ids, Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.inbound.facts import message_event
from webhooks.inbound.message import MessageState
from webhooks.inbound.ports import RecordEvents, WakeWorkers

_STATE = "SELECT state FROM inbox_messages WHERE tenant_id = $1 AND id = $2"
_DROPPABLE = (
    MessageState.QUARANTINED,
    MessageState.PARKED,
    MessageState.UNPROCESSABLE,
    MessageState.DEAD,
)


class QuarantineDesk:
    """`database` is the app role: row-level security holds for what is decided."""

    def __init__(
        self, database: Database, recorder: RecordEvents, ids: Ids, clock: Clock, wake: WakeWorkers
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._ids = ids
        self._clock = clock
        self._wake = wake

    async def release(
        self,
        tenant_id: UUID,
        message_id: UUID,
        actor: Actor,
        source: Source,
        *,
        reason: str,
        accepting: Sequence[str] = (),
    ) -> None:
        """`accepting`: codes of differences that hold back no further message about the same envelope. Raises
        NotFound; Conflict when the message is not quarantined.
        """
        async with self._database.transaction(tenant_id) as tx:
            connection = await tx.driver.fetchval(
                "SELECT release_message($1, $2, $3)", tenant_id, message_id, list(accepting)
            )
            if connection is None:
                raise await _refusal(tx, tenant_id, message_id, (MessageState.QUARANTINED,))
            facts: dict[str, Json] = {
                "connection_id": print_id(Kind.CONNECTION, connection),
                "reason": reason,
                "accepted": tuple(sorted(accepting)),
            }
            await self._record(tx, LedgerType.INBOUND_RELEASED, message_id, facts, actor, source)
            await tx.commit()
        self._wake()

    async def drop(
        self, tenant_id: UUID, message_id: UUID, actor: Actor, source: Source, *, reason: str
    ) -> None:
        """Raises NotFound; Conflict for a message that has had its turn or still waits for it."""
        async with self._database.transaction(tenant_id) as tx:
            row = await tx.driver.fetchrow("SELECT * FROM drop_message($1, $2)", tenant_id, message_id)
            if row is None or row["previous"] is None:
                raise await _refusal(tx, tenant_id, message_id, _DROPPABLE)
            facts: dict[str, Json] = {
                "connection_id": print_id(Kind.CONNECTION, row["connection"]),
                "previous_state": row["previous"],
                "reason": reason,
            }
            await self._record(tx, LedgerType.INBOUND_DROPPED, message_id, facts, actor, source)
            await tx.commit()

    async def _record(
        self,
        tx: Transaction,
        kind: LedgerType,
        message_id: UUID,
        facts: dict[str, Json],
        actor: Actor,
        source: Source,
    ) -> None:
        assert tx.tenant_id is not None  # noqa: S101 - the transaction was opened for one
        event = message_event(
            kind,
            self._ids.new(),
            self._clock.now(),
            tenant_id=tx.tenant_id,
            message_id=message_id,
            source=source,
            actor=actor,
            facts=facts,
        )
        await self._recorder.record(tx, [event])


async def _refusal(
    tx: Transaction, tenant_id: UUID, message_id: UUID, possible: Sequence[MessageState]
) -> NotFound | Conflict:
    state = await tx.driver.fetchval(_STATE, tenant_id, message_id)
    if state is None:
        return NotFound("message", print_id(Kind.MESSAGE, message_id))
    words = " or ".join(str(one) for one in possible)
    return Conflict(f"The message is {state}; this is for one that is {words}.")
