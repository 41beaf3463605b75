"""Keeps each account within what its provider allows: a call without budget is not sent, it is Throttled.

The provider's own headers (calls remaining, seconds to the reset) overrule the adapter's declared defaults; a
Throttled answer's time is honoured exactly, never early, plus jitter: some providers start the time anew for
an early retry. The store is a port, so that several processes can share one budget.
Must never make a caller wait: it answers at once with the seconds that are missing.
"""

import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import msgspec

from adapters.kit.port import Limits
from config.clock import Clock

_HOUR_S = 3600.0
_SAME_WINDOW_S = 5.0  # headers count whole seconds, and answers travel
_MOST_OBJECTS = 50_000
_LONGEST_POLL_S = 60.0  # more than a call and what is written of it may take


class LimiterStore(Protocol):
    """Shared by all processes that use an account. Times are seconds from now, so that clocks may differ."""

    async def take(self, key: str, limits: Limits) -> float:
        """Takes one call from the budget and returns 0, or takes nothing and returns the seconds to wait."""
        ...

    async def told(self, key: str, remaining: int, reset_s: float) -> None:
        """The provider says that so many calls remain for so long."""
        ...

    async def hold(self, key: str, seconds: float) -> None:
        """No call passes for so long."""
        ...

    async def claim_poll(self, key: str, for_s: float) -> bool:
        """Whether the object is marked by nobody; if so, it is marked for so long."""
        ...

    async def mark_poll(self, key: str, for_s: float) -> None:
        """Marks the object from now for so long; 0 takes the mark away."""
        ...


class Limiter:
    """`jitter` gives a number from 0 to 1."""

    def __init__(self, store: LimiterStore, jitter: Callable[[], float] = random.random) -> None:
        self._store = store
        self._jitter = jitter

    async def take(self, key: str, limits: Limits) -> float:
        return await self._store.take(key, limits)

    async def told(self, key: str, remaining: int, reset_s: float) -> None:
        await self._store.told(key, max(0, remaining), max(0.0, reset_s))

    async def throttled(self, key: str, retry_after_s: float) -> float:
        """Holds the account; returns the seconds to tell the caller: the provider's, plus up to a tenth."""
        seconds = retry_after_s + self._jitter() * max(1.0, retry_after_s * 0.1)
        if key:  # without a key one object is throttled, not the account
            await self._store.hold(key, seconds)
        return seconds

    async def begin_poll(self, key: str, min_interval_s: float) -> bool:
        """Whether nobody polls this object, or has done so within the interval. `end_poll` says what came of it;
        a process that dies between the two keeps the object for a minute.
        """
        return min_interval_s <= 0 or await self._store.claim_poll(key, min(_LONGEST_POLL_S, min_interval_s))

    async def end_poll(self, key: str, min_interval_s: float, *, counts: bool) -> None:
        if min_interval_s > 0:
            await self._store.mark_poll(key, min_interval_s if counts else 0.0)


class _Budget(msgspec.Struct):
    burst_tokens: float
    burst_at: float
    hour_left: float
    hour_ends: float


class MemoryLimiterStore:
    """For one process: a token bucket for bursts, a fixed window for the hour."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._budgets: dict[str, _Budget] = {}
        self._told: dict[str, tuple[int, float]] = {}
        self._held: dict[str, float] = {}
        self._polled: OrderedDict[str, float] = OrderedDict()

    async def take(self, key: str, limits: Limits) -> float:
        now = self._clock.monotonic()
        budget = self._budgets.get(key)
        if budget is None:
            budget = self._budgets[key] = _Budget(
                burst_tokens=limits.burst_calls,
                burst_at=now,
                hour_left=limits.calls_per_hour,
                hour_ends=now + _HOUR_S,
            )
        held_until = self._held.get(key)
        if held_until is not None:
            if now < held_until:
                return held_until - now
            del self._held[key]
        if now >= budget.hour_ends:
            budget.hour_left, budget.hour_ends = limits.calls_per_hour, now + _HOUR_S
        told = self._told.pop(key, None)
        if told is not None:
            # Answers overtake each other, so a late one may show more calls than are left: within one window
            # the smaller number holds.
            remaining, ends = told
            is_new_window = abs(ends - budget.hour_ends) > _SAME_WINDOW_S
            budget.hour_left = remaining if is_new_window else min(budget.hour_left, remaining)
            budget.hour_ends = ends
        rate = limits.burst_calls / limits.burst_window_s
        budget.burst_tokens = min(
            float(limits.burst_calls), budget.burst_tokens + (now - budget.burst_at) * rate
        )
        budget.burst_at = now
        if budget.hour_left < 1:
            return max(0.001, budget.hour_ends - now)
        if budget.burst_tokens < 1:
            return (1 - budget.burst_tokens) / rate
        budget.hour_left -= 1
        budget.burst_tokens -= 1
        return 0.0

    async def told(self, key: str, remaining: int, reset_s: float) -> None:
        self._told[key] = (remaining, self._clock.monotonic() + reset_s)

    async def hold(self, key: str, seconds: float) -> None:
        until = self._clock.monotonic() + seconds
        self._held[key] = max(self._held.get(key, 0.0), until)

    async def claim_poll(self, key: str, for_s: float) -> bool:
        if self._polled.get(key, 0.0) > self._clock.monotonic():
            return False
        self._mark(key, for_s)
        return True

    async def mark_poll(self, key: str, for_s: float) -> None:
        self._mark(key, for_s)

    def _mark(self, key: str, for_s: float) -> None:
        self._polled.pop(key, None)
        if for_s <= 0:
            return
        self._polled[key] = self._clock.monotonic() + for_s
        if len(self._polled) > _MOST_OBJECTS:
            self._polled.popitem(last=False)
