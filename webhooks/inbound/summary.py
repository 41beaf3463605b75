"""Counts of the inbox for people: what needs somebody, what came lately and what was refused, by connection.

What has ended well is counted for the asked time only: there are millions of it.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database
from webhooks.inbound.message import MessageState

# Told however old they are; an index leads to each.
TROUBLE = (
    MessageState.PARKED,
    MessageState.UNPROCESSABLE,
    MessageState.DEAD,
    MessageState.QUARANTINED,
)
_MESSAGES = (
    "SELECT connection_id, state, count(*) AS messages, min(received_at) AS oldest,"
    " COALESCE(sum(duplicates) FILTER (WHERE id >= $2), 0)::bigint AS duplicates FROM inbox_messages"
    " WHERE tenant_id = $1 AND (id >= $2 OR state IN ('parked', 'unprocessable', 'dead', 'quarantined'))"
    " GROUP BY 1, 2 ORDER BY 1, 2"
)
_REFUSED = (
    "SELECT connection_id, sum(refused)::bigint AS refused FROM inbound_refusals"
    " WHERE tenant_id = $1 AND minute >= $2 GROUP BY 1"
)
_REFUSALS = (
    "SELECT connection_id, minute, reason, source, refused FROM inbound_refusals"
    " WHERE tenant_id = $1 AND minute >= $2 ORDER BY minute DESC, refused DESC LIMIT $3"
)
_CAME = (
    "SELECT event_type, seq FROM ledger_entries WHERE tenant_id = $1 AND chain_id = $2"
    " AND position(convert_to($3, 'UTF8') IN body) > 0 ORDER BY seq"
)


class StateCount(msgspec.Struct, frozen=True):
    """`duplicates`: how often the same bytes came again, of what came in the asked time."""

    state: MessageState
    messages: int
    duplicates: int
    oldest: datetime | None


class ConnectionCount(msgspec.Struct, frozen=True):
    connection_id: UUID
    states: tuple[StateCount, ...]
    refused: int


class Refusal(msgspec.Struct, frozen=True):
    """`source`: a network, never an address. `connection_id` None: no connection was under the path."""

    connection_id: UUID | None
    minute: datetime
    reason: str
    source: str
    refused: int


class Consequence(msgspec.Struct, frozen=True):
    """An entry in the envelope's ledger that a message caused."""

    event_type: str
    sequence: int


async def summarize_inbox(database: Database, tenant_id: UUID, since: datetime) -> list[ConnectionCount]:
    """Trouble of any age, everything else since then; connections about which there is nothing are left out."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_MESSAGES, tenant_id, _first_id(since))
        refused = {
            row["connection_id"]: row["refused"] for row in await tx.driver.fetch(_REFUSED, tenant_id, since)
        }
    states: dict[UUID, list[StateCount]] = {}
    for row in rows:
        one = StateCount(MessageState(row["state"]), row["messages"], row["duplicates"], row["oldest"])
        states.setdefault(row["connection_id"], []).append(one)
    return [
        ConnectionCount(connection, tuple(states.get(connection, ())), refused.get(connection, 0))
        for connection in sorted(states.keys() | refused.keys())
    ]


async def list_refusals(database: Database, tenant_id: UUID, since: datetime, limit: int) -> list[Refusal]:
    """Newest first; the nil UUID is the tenant of paths that lead to no connection."""
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_REFUSALS, tenant_id, since, limit)
    return [
        msgspec.convert(
            {**row, "connection_id": row["connection_id"] if row["connection_id"].int else None}, Refusal
        )
        for row in rows
    ]


async def what_came_of(
    database: Database, tenant_id: UUID, envelope_id: UUID | None, printed_id: str
) -> list[Consequence]:
    """In the order of the envelope's chain; empty when the message is about no envelope."""
    if envelope_id is None:
        return []
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(_CAME, tenant_id, f"env:{envelope_id}", printed_id)
    return [Consequence(row["event_type"], row["seq"]) for row in rows]


def _first_id(since: datetime) -> UUID:
    """Below every id made from then on: ids begin with their millisecond."""
    return UUID(int=int(since.timestamp() * 1000) << 80)
