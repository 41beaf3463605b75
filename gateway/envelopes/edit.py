"""What every change of a draft shares: the lock, the check that it is a draft, the record, the commit."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from config.database import Transaction
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.store import lock_envelope
from gateway.services import Caller, Services
from normalizer.errors import InvalidTransition
from normalizer.events import Event
from normalizer.status import EDITABLE


class Editing:
    """An open change: `events` collects what is to be recorded with it."""

    def __init__(self, tx: Transaction, envelope: StoredEnvelope) -> None:
        self.tx = tx
        self.envelope = envelope
        self.events: list[Event] = []

    def record(self, events: Sequence[Event]) -> None:
        self.events.extend(events)


@asynccontextmanager
async def edit_draft(services: Services, caller: Caller, envelope_id: UUID) -> AsyncIterator[Editing]:
    """Locks the draft, and commits with the recorded events when the block ends well.

    Raises NotFound, InvalidTransition when it is no draft any more. Nothing is written when the block raises.
    """
    async with services.database.transaction(caller.tenant_id) as tx:
        envelope = await lock_envelope(tx, caller.tenant_id, envelope_id)
        if envelope.status not in EDITABLE:
            raise InvalidTransition(
                envelope.status, "edited", f"An envelope that is {envelope.status} cannot be edited."
            )
        editing = Editing(tx, envelope)
        yield editing
        # The version tells a sender at the same moment that what was read is not what stands there now.
        await tx.driver.execute(
            "UPDATE envelopes SET version = version + 1, updated_at = clock_timestamp()"
            " WHERE tenant_id = $1 AND id = $2",
            caller.tenant_id,
            envelope_id,
        )
        await services.recorder.record(tx, editing.events)
        await tx.commit()
