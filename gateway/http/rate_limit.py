"""A token bucket per API key, in Redis. A busy key takes several tokens at once: one call for many requests.

Without Redis each process counts by itself with a quarter of the limit: slower for honest callers, and still
a limit. Must never let everything pass because a counter is away.
"""

import asyncio
import logging
import math
from dataclasses import dataclass
from importlib import resources

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from config.clock import Clock

logger = logging.getLogger("countersign.http")

_SCRIPT = resources.files("gateway.http").joinpath("token_bucket.lua").read_text()
_LOCAL_SHARE = 4
_AWAY_S = 5.0
_LOCAL_KEYS = 10_000
_LEASE = 16
_LEASE_S = 0.25


class Allowance(msgspec.Struct, frozen=True):
    """`wait_s`: seconds until there is a token again, 0 when there is one."""

    allowed: bool
    limit_per_minute: int
    remaining: int
    wait_s: float

    def headers(self) -> list[tuple[bytes, bytes]]:
        """RateLimit-Policy and RateLimit, as draft-ietf-httpapi-ratelimit-headers writes them."""
        return [
            (b"ratelimit-policy", f'"key";q={self.limit_per_minute};w=60'.encode()),
            (b"ratelimit", f'"key";r={self.remaining};t={math.ceil(self.wait_s)}'.encode()),
        ]


@dataclass(slots=True)
class _Lease:
    """Tokens that were taken and not spent yet. What is left at the end is lost: the limit errs downwards."""

    left: int
    remaining: int
    until: float
    is_shared: bool  # it had more than the token of who asked for it


class RateLimiter:
    def __init__(self, client: "redis.asyncio.Redis", clock: Clock, per_minute: int, burst: int) -> None:
        self._client = client
        self._script = client.register_script(_SCRIPT)
        self._clock = clock
        self._per_minute = per_minute
        self._burst = burst
        self._local: dict[str, tuple[float, float]] = {}
        self._leases: dict[str, _Lease] = {}
        self._asking: dict[str, asyncio.Event] = {}
        self._away_until = 0.0

    async def take(self, key: str, per_minute: int | None = None) -> Allowance:
        """One token of the key's bucket; `per_minute` overrides the default limit."""
        limit = per_minute or self._per_minute
        burst = min(self._burst, limit)
        while True:
            now = self._clock.monotonic()
            lease = self._leases.get(key)
            if lease is not None and lease.left > 0 and now < lease.until:
                lease.left -= 1
                return Allowance(True, limit, lease.remaining + lease.left, 0.0)
            if now < self._away_until:
                return self._take_locally(key, limit, burst)
            asked = self._asking.get(key)
            if asked is None or lease is None or not lease.is_shared or now >= lease.until:
                break
            # A busy key: who asks just now takes tokens for all of these.
            await asked.wait()
        asked = self._asking[key] = asyncio.Event()
        try:
            return await self._ask(key, limit, burst, lease, now)
        finally:
            asked.set()
            if self._asking.get(key) is asked:
                del self._asking[key]

    async def _ask(self, key: str, limit: int, burst: int, lease: _Lease | None, now: float) -> Allowance:
        try:
            # A key that spent its last lease in time is busy; one that did not pays for one request only.
            wanted = _LEASE if lease is not None and now < lease.until else 1
            taken, remaining, wait_ms = await self._script(
                keys=[f"rate:{key}"], args=[limit / 60, burst, wanted]
            )
        except (RedisError, OSError) as error:
            # Not every call waits for a Redis that is away.
            self._away_until = self._clock.monotonic() + _AWAY_S
            logger.warning("rate limits are counted locally: %s", type(error).__name__)
            return self._take_locally(key, limit, burst)
        if len(self._leases) >= _LOCAL_KEYS:
            self._leases.clear()
        left = max(0, int(taken) - 1)
        self._leases[key] = _Lease(left, int(remaining), now + _LEASE_S, is_shared=left > 0)
        return Allowance(bool(taken), limit, int(remaining) + left, wait_ms / 1000)

    def _take_locally(self, key: str, limit: int, burst: int) -> Allowance:
        limit, burst = max(1, limit // _LOCAL_SHARE), max(1, burst // _LOCAL_SHARE)
        rate, now = limit / 60, self._clock.monotonic()
        tokens, at = self._local.get(key, (float(burst), now))
        tokens = min(burst, tokens + (now - at) * rate)
        allowed = tokens >= 1
        if allowed:
            tokens -= 1
        if len(self._local) >= _LOCAL_KEYS:
            self._local.clear()
        self._local[key] = (tokens, now)
        return Allowance(allowed, limit, int(tokens), 0.0 if tokens >= 1 else (1 - tokens) / rate)
