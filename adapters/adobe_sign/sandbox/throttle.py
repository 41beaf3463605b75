"""Two of the provider's throttles, both off by default: calls per minute, and identical GETs per window.

An early retry of a throttled call starts the waiting time again, as the provider does for newer accounts.
"""

import math


class Throttle:
    """Counts calls; answers with the seconds to wait, 0 when the call may pass."""

    def __init__(self) -> None:
        self._calls: list[float] = []
        self._blocked_until = 0.0
        self._gets: dict[str, list[float]] = {}

    def clear(self) -> None:
        self._calls.clear()
        self._gets.clear()
        self._blocked_until = 0.0

    def wait_for_call(self, now: float, per_minute: int) -> int:
        if per_minute <= 0:
            return 0
        self._calls = [at for at in self._calls if at > now - 60]
        if now < self._blocked_until or len(self._calls) >= per_minute:
            self._blocked_until = now + (60 - (now - self._calls[0]) if self._calls else 60)
            return max(1, math.ceil(self._blocked_until - now))
        self._calls.append(now)
        return 0

    def wait_for_get(self, key: str, now: float, threshold: int, window_s: float) -> int:
        if threshold <= 0:
            return 0
        seen = [at for at in self._gets.get(key, []) if at > now - window_s]
        self._gets[key] = seen
        if len(seen) >= threshold:
            return max(1, math.ceil(seen[0] + window_s - now))
        seen.append(now)
        return 0
