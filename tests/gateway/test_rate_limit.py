"""The rate limiter's leases: a busy key's calls take tokens for each other, and lose none."""

import asyncio

import redis.asyncio

from config.clock import SystemClock
from config.secret import Secret
from gateway.http.rate_limit import RateLimiter

PER_MINUTE = 600


async def test_calls_of_a_busy_key_share_one_lease_and_lose_no_token(redis_url: Secret) -> None:
    client = redis.asyncio.Redis.from_url(redis_url.reveal())
    limiter = RateLimiter(client, SystemClock(), per_minute=PER_MINUTE, burst=PER_MINUTE)
    await client.delete("rate:busy")
    for _ in range(2):  # one that pays for itself, one that takes sixteen
        await limiter.take("busy")
    answers = await asyncio.gather(*(limiter.take("busy") for _ in range(15 + 16)))
    left = float((await client.hget("rate:busy", "tokens")) or 0)
    await client.aclose()
    assert all(answer.allowed for answer in answers)
    # Sixteen once more, and not sixteen for each who found the lease used up.
    assert left >= PER_MINUTE - 1 - 16 - 16


async def test_calls_at_once_get_no_more_than_there_is(redis_url: Secret) -> None:
    client = redis.asyncio.Redis.from_url(redis_url.reveal())
    limiter = RateLimiter(client, SystemClock(), per_minute=60, burst=20)
    await client.delete("rate:greedy")
    answers = await asyncio.gather(*(limiter.take("greedy") for _ in range(60)))
    answers += await asyncio.gather(*(limiter.take("greedy") for _ in range(60)))
    await client.aclose()
    assert 20 <= sum(answer.allowed for answer in answers) <= 22  # a second gives one more
    assert not answers[-1].allowed
