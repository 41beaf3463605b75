"""What inbound is given by the composition root: where connections come from, and where events take effect."""

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from adapters.kit.port import Adapter, Connection
from config.database import Transaction
from normalizer.events import Event, ProviderEvent, Source
from webhooks.inbound.message import Difference


class Effect(StrEnum):
    """What became of one event of a provider's."""

    APPLIED = "applied"
    NOTHING_NEW = "nothing_new"
    ALREADY_SEEN = "already_seen"  # the same fact had its effect before: nothing was written
    UNMATCHED = "unmatched"  # no envelope yet: park and match again
    UNCONFIRMED = "unconfirmed"  # the provider could not be asked now: try again later
    QUARANTINED = "quarantined"  # it contradicts what was sent: nothing was written


class Happened(msgspec.Struct, frozen=True):
    """The effect, on which envelope, and in what the event contradicts what was sent."""

    effect: Effect
    envelope_id: UUID | None = None
    differences: tuple[Difference, ...] = ()


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the message that an event came in. `account`: the connection's at the provider. `is_own`: the
    in-process engine's, with nothing to compare. `is_doubtful`: old, or released: only what the provider answers
    when it is asked may take effect. `is_released`: an administrator has seen its differences.
    """

    account: str = ""
    is_own: bool = False
    is_doubtful: bool = False
    is_released: bool = False


# Runs first inside the transaction of the effect; False: the fact is known, so nothing else may be written.
ClaimFact = Callable[[Transaction], Awaitable[bool]]


class ApplyEvent(Protocol):
    """Gives an event its effect. MUST run `claim` first in the transaction that writes the effect, MUST roll
    back and answer ALREADY_SEEN when it says no, and MUST write nothing for UNMATCHED, UNCONFIRMED and QUARANTINED.
    """

    async def __call__(
        self,
        tenant_id: UUID,
        connection_id: UUID,
        event: ProviderEvent,
        source: Source,
        trust: Trust,
        claim: ClaimFact,
    ) -> Happened: ...


class RecordEvents(Protocol):
    """One write, three records. MUST be called once per transaction, after the state's own statements."""

    async def record(self, tx: Transaction, events: Sequence[Event]) -> object: ...


class ClientCertificate(msgspec.Struct, frozen=True):
    """What the client showed to our own proxy: SHA-256 of the DER in hexadecimal, and the subject by RFC 4514."""

    sha256: str
    subject: str


class Client(msgspec.Struct, frozen=True):
    """Who posts, as far as the connection tells: nothing here that a client can write itself."""

    address: str = ""
    certificate: ClientCertificate | None = None


class SenderRules(msgspec.Struct, frozen=True, kw_only=True):
    """From where a connection takes messages, and with which certificate; empty: no rule. Networks are CIDR."""

    networks: tuple[str, ...] = ()
    certificate_sha256: tuple[str, ...] = ()
    certificate_subject: str = ""


class Sender(msgspec.Struct, frozen=True):
    """The connection behind a path, opened: whose it is, how its provider speaks, and what else is asked of it."""

    tenant_id: UUID
    connection_id: UUID
    adapter: Adapter
    connection: Connection
    rules: SenderRules = SenderRules()


# The connection that receives under this path key, or None. A changed connection shows within three seconds.
FindSender = Callable[[str], Awaitable[Sender | None]]
# Tells the workers that messages wait. A hint: it may be lost, must not raise and must not block.
WakeWorkers = Callable[[], None]
# Counts a post for the metrics, by provider and verdict.
CountPost = Callable[[str, str], None]
