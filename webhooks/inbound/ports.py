"""What inbound is given by the composition root: where connections come from, and where events take effect."""

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from adapters.kit.port import Adapter, Connection
from config.database import Transaction
from normalizer.events import Event, ProviderEvent, Source


class Effect(StrEnum):
    """What became of one event of a provider's."""

    APPLIED = "applied"
    NOTHING_NEW = "nothing_new"
    ALREADY_SEEN = "already_seen"  # the same fact had its effect before: nothing was written
    UNMATCHED = "unmatched"  # no envelope yet: park and match again
    UNCONFIRMED = "unconfirmed"  # the provider could not be asked now: try again later


# Runs first inside the transaction of the effect; False: the fact is known, so nothing else may be written.
ClaimFact = Callable[[Transaction], Awaitable[bool]]


class ApplyEvent(Protocol):
    """Gives an event its effect. MUST run `claim` first in the transaction that writes the effect, MUST roll
    back and answer ALREADY_SEEN when it says no, and MUST write nothing for UNMATCHED and UNCONFIRMED.
    """

    async def __call__(
        self, tenant_id: UUID, connection_id: UUID, event: ProviderEvent, source: Source, claim: ClaimFact
    ) -> Effect: ...


class RecordEvents(Protocol):
    """One write, three records. MUST be called once per transaction, after the state's own statements."""

    async def record(self, tx: Transaction, events: Sequence[Event]) -> object: ...


class Sender(msgspec.Struct, frozen=True):
    """The connection behind a path, opened: whose it is, and how its provider speaks."""

    tenant_id: UUID
    connection_id: UUID
    adapter: Adapter
    connection: Connection


# The connection that receives under this path key, or None. A changed connection shows within three seconds.
FindSender = Callable[[str], Awaitable[Sender | None]]
# Tells the workers that messages wait. A hint: it may be lost, must not raise and must not block.
WakeWorkers = Callable[[], None]
# Counts a post for the metrics, by provider and verdict.
CountPost = Callable[[str, str], None]
