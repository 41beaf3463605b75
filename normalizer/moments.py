"""Whether a time that somebody wrote can be asked for: it has an offset, and lies where a database can count."""

from datetime import UTC, datetime

from normalizer.errors import Finding

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def vet_moment(where: str, time: datetime | None) -> list[Finding]:
    """What is wrong with it; nothing with none."""
    if time is None:
        return []
    if time.tzinfo is None:
        return [Finding(where, "A time without an offset.", "Write 2026-11-22T10:00:00Z.")]
    if not _FIRST <= time < _LAST:
        return [Finding(where, "A time between the years 1970 and 9000.")]
    return []
