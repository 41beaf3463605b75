"""Reads the inbox for people: what came in, how it was proved, where it is, and why, in words.

Must never return a body or a header: those hold personal data; `masked.py` shows what may be seen of a body.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

import msgspec

from config.database import Database
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.inbound.message import Difference, MessageState, Verification

_COLUMNS = (
    "id, connection_id, provider, received_at, last_received_at, encode(body_sha256, 'hex') AS body_sha256,"
    " body_bytes, key_index, state, next_at, failures, waits, error, duplicates, replays, provider_ref,"
    " provider_event, events, effects, finished_at, verdict::text AS verdict, verified_at, envelope_id,"
    " findings::text AS findings, released_at"
)
_verdict = msgspec.json.Decoder(Verification)
_findings = msgspec.json.Decoder(tuple[Difference, ...])


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """`next_at`: when it is looked at next; None: never by itself. `duplicates`: how often the same bytes came
    again. `effects`: how many of its `events` had an effect, now or before. `findings`: in what it contradicts what
    was sent.
    """

    id: UUID
    connection_id: UUID
    provider: str
    received_at: datetime
    last_received_at: datetime
    body_sha256: str
    body_bytes: int
    key_index: int
    state: MessageState
    next_at: datetime | None
    failures: int
    waits: int
    error: str
    duplicates: int
    replays: int
    provider_ref: str
    provider_event: str
    events: int
    effects: int
    finished_at: datetime | None
    verdict: Verification
    verified_at: datetime | None
    envelope_id: UUID | None
    findings: tuple[Difference, ...]
    released_at: datetime | None

    @property
    def explanation(self) -> str:
        return explain(self)


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Empty: all. `before`: only older ids than this, for the next page."""

    states: tuple[MessageState, ...] = ()
    connection_id: UUID | None = None
    provider_ref: str = ""
    before: UUID | None = None
    limit: int = 100


async def list_messages(database: Database, tenant_id: UUID, wanted: MessageFilter) -> list[Message]:
    """Newest first."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            f"SELECT {_COLUMNS} FROM inbox_messages WHERE tenant_id = $1"
            " AND ($2::text[] = '{}' OR state = ANY ($2)) AND ($3::uuid IS NULL OR connection_id = $3)"
            " AND ($4 = '' OR provider_ref = $4) AND ($5::uuid IS NULL OR id < $5) ORDER BY id DESC LIMIT $6",
            tenant_id,
            [str(state) for state in wanted.states],
            wanted.connection_id,
            wanted.provider_ref,
            wanted.before,
            wanted.limit,
        )
    return [_message(dict(row)) for row in rows]


async def read_message(database: Database, tenant_id: UUID, message_id: UUID) -> Message:
    """Raises NotFound, also for another tenant's message."""
    async with database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(
            f"SELECT {_COLUMNS} FROM inbox_messages WHERE tenant_id = $1 AND id = $2", tenant_id, message_id
        )
    if row is None:
        raise NotFound("message", print_id(Kind.MESSAGE, message_id))
    return _message(dict(row))


def _message(row: Mapping[str, Any]) -> Message:
    columns = {
        **row, "verdict": _verdict.decode(row["verdict"]), "findings": _findings.decode(row["findings"])
    }  # fmt: skip
    return msgspec.convert(columns, Message)


def explain(message: Message) -> str:
    """Where the message is, why, and what moves it."""
    match message.state:
        case MessageState.RECEIVED if not message.failures and not message.waits:
            return "It is kept and waits for a worker."
        case MessageState.RECEIVED:
            return f"{message.error} It is tried again at {_moment(message.next_at)}."
        case MessageState.PROCESSING:
            return f"A worker has it until {_moment(message.next_at)} at the latest."
        case MessageState.DONE if message.effects:
            return "It had its effect."
        case MessageState.DONE:
            return message.error or "It told nothing new."
        case MessageState.PARKED if message.next_at is not None:
            return f"{message.error} The next look is at {_moment(message.next_at)}."
        case MessageState.PARKED:
            return f"{message.error} It is kept until the envelope is known, or until it is replayed."
        case MessageState.UNPROCESSABLE:
            return f"It is authentic and cannot be understood: {message.error} Replay it after an update."
        case MessageState.DEAD:
            return f"{message.error} It is not tried again; replay it when the cause is gone."
        case MessageState.QUARANTINED:
            return (
                f"It is authentic and contradicts what was sent: {message.error} It had no effect. Release it, and the"
                " provider is asked; or drop it."
            )
        case MessageState.DROPPED:
            return f"An administrator gave it up. {message.error}".strip()
    assert_never(message.state)


def _moment(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "no time"
