"""Where time comes from.

Code asks the injected clock, never `datetime.now()` or `time.time()` itself. Leases, due times and ledger
entries do not use it: they take the database's clock, which all processes share.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable


@runtime_checkable
class Clock(Protocol):
    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never steps backwards."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class FixedClock:
    """Stands still until it is advanced: for tests and simulations."""

    def __init__(self, start: datetime | None = None) -> None:
        start = start or datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
        if start.tzinfo is None:
            msg = "a clock starts at an aware time"
            raise ValueError(msg)
        self._now = start.astimezone(UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta | float) -> None:
        """Moves both clocks forward; a number is seconds."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta(0):
            msg = "a clock only goes forward; use `jump_to` to simulate a step of the wall clock"
            raise ValueError(msg)
        self._now += step
        self._monotonic += step.total_seconds()

    def jump_to(self, moment: datetime) -> None:
        """Sets the wall clock alone, also backwards, as an operator or NTP would."""
        self._now = moment.astimezone(UTC)
