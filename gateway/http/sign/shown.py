"""Keeps what was put before a recipient: once for each version of it."""

from engine.ceremony.consent import note_shown
from engine.ceremony.visit import Visit


async def note_once(visit: Visit, kind: str, item: str, sha256: str) -> None:
    """Asks the database only for what the visit has not found there."""
    shown = (kind, item, sha256)
    if not any((one.kind, one.item, one.sha256) == shown for one in visit.ceremony.views):
        await note_shown(visit.engine, visit.envelope, visit.recipient.id, [shown])
