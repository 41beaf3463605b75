"""Tries a filter out before it is stored: on an event that is given, or on the tenant's last ones.

Reads only. What it says is what the fan-out would do with these events, but for their types: an endpoint's `events`
are asked before its filter.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database
from webhooks.outbound.filters import Explanation, explain, vet_filter

LAST_EVENTS = 20


class Tried(msgspec.Struct, frozen=True):
    event_id: UUID
    type: str
    occurred_at: datetime
    explanation: Explanation


def try_filter(given: Mapping[str, object], type_: str, data: Mapping[str, object]) -> Explanation:
    """Raises ValidationFailed when the filter cannot be understood."""
    return explain(vet_filter(given), type_, msgspec.json.encode(data))


async def try_on_last_events(database: Database, tenant_id: UUID, given: Mapping[str, object]) -> list[Tried]:
    """The newest event first. Raises ValidationFailed as try_filter."""
    filter_ = vet_filter(given)
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT id, type, occurred_at, data FROM outbox_events WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2",
            tenant_id,
            LAST_EVENTS,
        )
    return [
        Tried(row["id"], row["type"], row["occurred_at"], explain(filter_, row["type"], row["data"]))
        for row in rows
    ]
