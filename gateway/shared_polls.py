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

    async def claim_poll(self, key: str, min_interval_s: float) -> bool:
        if not await super().claim_poll(key, min_interval_s):
            return False
        try:
            taken = await self._redis.set(
                _PREFIX + key, b"1", nx=True, px=max(1, math.ceil(min_interval_s * 1000))
            )
        except (RedisError, OSError):
            return True
        return taken is not None

    async def free_poll(self, key: str) -> None:
        await super().free_poll(key)
        try:
            await self._redis.delete(_PREFIX + key)
        except (RedisError, OSError):
            return  # it ends by itself
