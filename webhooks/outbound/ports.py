"""What the outbound hub is given by the composition root."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID

from config.database import Transaction
from normalizer.events import Event


class RecordEvents(Protocol):
    """One write, three records. MUST be called once per transaction, after the state's own statements."""

    async def record(self, tx: Transaction, events: Sequence[Event]) -> object: ...


# Writes into the transaction that does something what it was done to, for whoever asks for the same again.
NoteDone = Callable[[Transaction, UUID], Awaitable[None]]

# Tells the deliverers that these mailboxes have work. A hint: it may be lost, and must not raise.
WakeMailboxes = Callable[[Sequence[UUID]], Awaitable[None]]
