"""A kept message: its states, as it is claimed by a worker, and what became of it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

TABLE = "inbox_messages"


class MessageState(StrEnum):
    RECEIVED = "received"  # waits for a worker, or for its next try
    PROCESSING = "processing"
    DONE = "done"
    PARKED = "parked"  # authentic, and about no envelope that we know yet
    UNPROCESSABLE = "unprocessable"  # authentic, and not what the provider documents
    DEAD = "dead"  # failed on our side as often as is tried


class ClaimedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """`body` is vault ciphertext. `failures` count against the retry delays, `waits` against those of parked
    and unconfirmed messages.
    """

    tenant_id: UUID
    id: UUID
    connection_id: UUID
    provider: str
    received_at: datetime
    body: bytes
    body_sha256: bytes
    failures: int
    waits: int
    error: str
    events: int
    effects: int


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
