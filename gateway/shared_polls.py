"""How often one object may be looked at, shared by all processes: a provider does not care which of ours asked.

The mark lies in Redis and runs out by itself. Without Redis each process remembers its own looks, which costs a
look too many and loses nothing. Budgets of calls stay with the process: the provider's headers correct them.
"""

import math

import redis.asyncio
from redis.exceptions import RedisError

from adapters.kit.limiter import MemoryLimiterStore
from config.clock import Clock

_PREFIX = "countersign:polled:"


class SharedPolls(MemoryLimiterStore):
    """A LimiterStore whose `claim_poll` holds for every process on the same Redis."""

    def __init__(self, clock: Clock, redis: "redis.asyncio.Redis") -> None:
        super().__init__(clock)
        self._redis = redis

    async def claim_poll(self, key: str, for_s: float) -> bool:
        if not await super().claim_poll(key, for_s):
            return False
        try:
            taken = await self._redis.set(_PREFIX + key, b"1", nx=True, px=_milliseconds(for_s))
        except (RedisError, OSError):
            return True
        if taken is None:  # another process has it, and it alone says when it ends
            self._mark(key, 0)
        return taken is not None

    async def mark_poll(self, key: str, for_s: float) -> None:
        self._mark(key, for_s)
        try:
            if for_s > 0:
                await self._redis.set(_PREFIX + key, b"1", px=_milliseconds(for_s))
            else:
                await self._redis.delete(_PREFIX + key)
        except (RedisError, OSError):
            return  # what stands there ends by itself


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
