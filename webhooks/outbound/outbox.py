"""The outbox: events that were committed with the change they tell of, waiting to be fanned out.

The contract of an insert: `record_events` (SQL) writes one `outbox_events` and one `outbox_pending` row per
announced event in the transaction that changes the state; `data` is the exact JSON object of the webhook's
`data`; `created_at` is the database's clock at the insert. Nobody else writes either table, and only
`webhooks.record` and the fan-out import this module.
"""

import msgspec

from config.database import Database


class Waiting(msgspec.Struct, frozen=True):
    """How many events wait to be fanned out, and how long the oldest has waited."""

    events: int
    oldest_s: float


async def count_waiting(hub: Database) -> Waiting:
    """Counts up to 10,000: more is "a lot" to whoever asks."""
    row = await hub.fetchrow(
        "SELECT count(*)::integer AS events,"
        " coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::double precision AS oldest_s"
        " FROM (SELECT created_at FROM outbox_pending ORDER BY created_at LIMIT 10000) w"
    )
    return Waiting(events=row["events"], oldest_s=row["oldest_s"]) if row else Waiting(0, 0.0)
