"""The provider's dates, read in one place. Must never guess an offset: a date without one is no moment."""

import logging
from datetime import UTC, datetime

_log = logging.getLogger("countersign.adapters.adobe_sign")


def read_moment(text: str) -> datetime | None:
    """Aware, in UTC; None for what is absent or no moment (the latter with a warning)."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        _log.warning("date.unreadable", extra={"date": text[:40]})
        return None
    return moment.astimezone(UTC)


def write_moment(moment: datetime) -> str:
    """yyyy-MM-dd'T'HH:mm:ssZ, cut to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
