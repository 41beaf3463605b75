"""Forgets what has been kept long enough, tenant by tenant and page by page.

Attempts go first; events, the feed and deliveries that have ended well go together, later. Must never remove
a delivery that has not arrived, its event, or what the feed still promises.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from config.database import Database
from config.settings_endpoints import RetentionSettings

PAGE = 1000
_NIL = UUID(int=0)


async def reap_outbound(hub: Database, settings: RetentionSettings, *, page: int = PAGE) -> Mapping[str, int]:
    """How many rows of each kind were removed. Each page is a transaction of its own: it may end anywhere."""
    kept = timedelta(days=settings.event_days)
    removed = {"attempts": 0, "deliveries": 0, "feed": 0, "events": 0}
    for row in await hub.fetch("SELECT id FROM tenants ORDER BY id"):
        tenant_id = row["id"]
        removed["attempts"] += await _walk(
            hub, "reap_attempts", tenant_id, timedelta(days=settings.attempt_days), page
        )
        removed["deliveries"] += await _walk(hub, "reap_deliveries", tenant_id, kept, page)
        # The feed before its events, which stay as long as it speaks of them.
        removed["feed"] += await _reap_feed(hub, tenant_id, kept, page)
        removed["events"] += await _walk(hub, "reap_events", tenant_id, kept, page)
    return removed


async def _walk(hub: Database, function: str, tenant_id: UUID, kept: timedelta, page: int) -> int:
    removed, passed = 0, _NIL
    while True:
        row = await hub.fetchrow(
            f"SELECT removed, last FROM {function}($1, $2, $3, $4)",
            tenant_id, kept, passed, page,
        )  # fmt: skip
        if row is None or row["last"] is None:
            return removed
        removed += row["removed"]
        passed = row["last"]


async def _reap_feed(hub: Database, tenant_id: UUID, kept: timedelta, page: int) -> int:
    removed = 0
    while gone := await hub.fetchval("SELECT reap_feed($1, $2, $3)", tenant_id, kept, page):
        removed += gone
    return removed
