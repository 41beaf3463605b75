"""How many authentic messages a connection may bring per minute and process; a burst may use them all at once.

Only authentic messages are counted: a forger who knows the path cannot use up the provider's share.
Counted in memory, because a shared counter would cost each message a round trip.
"""

from uuid import UUID

from config.clock import Clock

_MOST = 10_000


class Throttle:
    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._capacity = float(per_minute)
        self._clock = clock
        self._buckets: dict[UUID, tuple[float, float]] = {}  # tokens, and when they were counted

    def take(self, connection_id: UUID) -> float:
        """0 when the message may pass, else seconds until one may."""
        rate, now = self._capacity / 60, self._clock.monotonic()
        tokens, at = self._buckets.get(connection_id, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - at) * rate)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) / rate
        if len(self._buckets) >= _MOST:
            self._buckets.clear()
        self._buckets[connection_id] = (tokens if wait_s else tokens - 1, now)
        return wait_s
