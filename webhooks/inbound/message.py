"""A kept message: its states, as it is claimed by a worker, and what became of it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from normalizer.canonical import Json

TABLE = "inbox_messages"


class MessageState(StrEnum):
    RECEIVED = "received"  # waits for a worker, or for its next try
    PROCESSING = "processing"
    DONE = "done"
    PARKED = "parked"  # authentic, and about no envelope that we know yet
    UNPROCESSABLE = "unprocessable"  # authentic, and not what the provider documents
    DEAD = "dead"  # failed on our side as often as is tried
    QUARANTINED = "quarantined"  # authentic, and contradicts what was sent: a person decides
    DROPPED = "dropped"  # given up by a person


IN_PROCESS = "in_process"  # the scheme of the engine's own reports, which nobody posts


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How a message was found authentic. `key_index`: which of the connection's keys matched. `network`: the allowed
    one it came from; `certificate`: the SHA-256 or subject that was asked for and shown. `account`: whose the
    connection was at the provider then.
    """

    scheme: str = ""
    key_index: int = 0
    reason: str = ""
    client_address: str = ""
    network: str = ""
    certificate: str = ""
    account: str = ""

    @property
    def facts(self) -> dict[str, Json]:
        """As the ledger keeps it."""
        return {
            "scheme": self.scheme,
            "key": self.key_index + 1,
            "reason": self.reason,
            "client_address": self.client_address,
            "network": self.network,
            "certificate": self.certificate,
        }


class Difference(msgspec.Struct, frozen=True):
    """In what a message contradicts what was sent: a code, and words without personal data."""

    code: str
    problem: str


class ClaimedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`body` is vault ciphertext. `failures` count against the retry delays, `waits` against those of parked
    and unconfirmed messages. `is_recorded`: the ledger knows that it came. `is_released`: the provider's own answer
    decides about it.
    """

    tenant_id: UUID
    id: UUID
    connection_id: UUID
    provider: str
    received_at: datetime
    body: bytes
    body_sha256: bytes
    body_bytes: int
    failures: int
    waits: int
    error: str
    events: int
    effects: int
    verdict: Verification
    is_recorded: bool
    is_released: bool


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What to write about a message. `delay_s`: seconds until the next look; None: never by itself."""

    message: ClaimedMessage
    state: MessageState
    delay_s: float | None = None
    failures: int
    waits: int
    error: str = ""
    provider_ref: str = ""
    provider_event: str = ""
    events: int = 0
    effects: int = 0
    envelope_id: UUID | None = None
    findings: tuple[Difference, ...] = ()
