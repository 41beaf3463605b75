"""Redis or Valkey: connections for wake-ups and for background jobs, and the wake-up itself.

The truth is in PostgreSQL. A lost wake-up costs latency (a sweep finds the work), so a failure to wake is
logged and swallowed; everything here must be safe to lose. Jobs are JSON and carry ids only.
"""

import asyncio
import logging
from collections.abc import Iterable

import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from config.errors import ConfigError
from config.secret import Secret

logger = logging.getLogger("countersign.queue")

_WAIT_SLICE_S = 5.0  # one blocking call at most: a dead peer is noticed after it


def open_redis(url: Secret, *, timeout_s: float = 2.0, connections: int = 20) -> "redis.asyncio.Redis":
    """A client that connects on demand and fails fast. Close it with `aclose()`."""
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url.reveal(),
            max_connections=connections,
            timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_timeout=_WAIT_SLICE_S + timeout_s,
        )
    except ValueError as error:
        raise ConfigError("REDIS_URL cannot be read; expected redis://:password@host:port/0") from error
    return redis.asyncio.Redis.from_pool(pool)


def open_job_redis(url: Secret) -> redis.Redis:
    """The blocking client that RQ works with. RQ waits on it, so it has no read time-out of ours."""
    try:
        return redis.Redis.from_url(url.reveal(), socket_connect_timeout=5, retry=Retry(NoBackoff(), 1))
    except ValueError as error:
        raise ConfigError("REDIS_URL cannot be read; expected redis://:password@host:port/0") from error


def job_queue(connection: redis.Redis, name: str = "countersign") -> Queue:
    """The queue of background jobs. No time-out of RQ's: its alarm hits whichever task is running."""
    return Queue(name, connection=connection, serializer=JSONSerializer, default_timeout=-1)


class Wake:
    """Named places where sleepers wait for work: a set of what is ready, and a list that wakes one sleeper.

    The set makes a second wake of the same thing free; the list is capped, so that wakes nobody waits for do
    not pile up.
    """

    _PENDING_WAKES = 64

    def __init__(self, client: "redis.asyncio.Redis", name: str) -> None:
        self._client = client
        self._ready = f"countersign:ready:{name}"
        self._bell = f"countersign:wake:{name}"

    async def wake(self, *members: str) -> bool:
        """Marks the members as ready and wakes one sleeper; False when Redis did not take it."""
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                if members:
                    pipe.sadd(self._ready, *members)
                pipe.lpush(self._bell, "1")
                pipe.ltrim(self._bell, 0, self._PENDING_WAKES - 1)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("a wake-up was lost (%s); the sweep will find the work", type(error).__name__)
            return False
        return True

    async def take_ready(self, limit: int = 256) -> set[str]:
        """Takes up to `limit` members out of the ready set; empty when Redis is away."""
        try:
            taken = await self._client.spop(self._ready, limit)
        except (RedisError, OSError, TimeoutError) as error:
            logger.warning("the ready set cannot be read (%s)", type(error).__name__)
            return set()
        members = taken if isinstance(taken, Iterable) and not isinstance(taken, bytes | str) else ()
        # Whatever somebody else has put there is no reason to lose the rest.
        return {
            member.decode(errors="replace") if isinstance(member, bytes) else member for member in members
        }

    async def wait_for_wake(self, timeout_s: float) -> bool:
        """Waits for a wake-up; False after `timeout_s`, and also, after that time, when Redis is away."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while (left := deadline - loop.time()) > 0:
            try:
                # Redis reads 0 as "for ever".
                if await self._client.brpop([self._bell], timeout=max(0.01, min(left, _WAIT_SLICE_S))):
                    return True
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("cannot wait for wake-ups (%s)", type(error).__name__)
                await asyncio.sleep(max(0.0, deadline - loop.time()))
        return False
