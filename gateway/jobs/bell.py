"""Asks the workers to look for work: coalesced, in a thread, and never in the way of an answer.

A mark in Redis says that a call of the kind waits already; the worker takes the mark away when it begins, so
what comes later rings again. A mark whose call was lost fades. (RQ's own unique job ids last until a job has
ended, and for ever when its worker was killed.)
Must never raise: a bell that Redis does not hear is made up for by the scheduler's next tick.
"""

import asyncio
import logging
from typing import Final

import redis
import redis.asyncio
from redis.exceptions import RedisError
from rq import Queue

from config.errors import ConfigError
from config.queue import job_queue, open_job_redis
from config.secret import Secret
from config.settings import Settings

logger = logging.getLogger("countersign.jobs")

INBOX: Final = "gateway.jobs.entry.process_inbox"
WORK: Final = "gateway.jobs.entry.work"
_FORGET_S = 10  # a call that no worker took by then is forgotten; the next tick rings again
_TIMEOUT_S = 2.0
_REST_S = 0.02


def ring(queue: Queue, entry: str) -> bool:
    """Blocking. False when a call of this kind waits already. Raises RedisError."""
    if not queue.connection.set(_mark(entry), "1", nx=True, ex=_FORGET_S):
        return False
    # No time-out: RQ's alarm would hit whichever task is running.
    queue.enqueue_call(entry, timeout=-1, result_ttl=0, failure_ttl=60, ttl=_FORGET_S)
    return True


async def answer(client: "redis.asyncio.Redis", entry: str) -> None:
    """The worker has begun: whatever happens from here on rings again."""
    try:
        await client.delete(_mark(entry))
    except (RedisError, OSError, TimeoutError) as error:
        logger.warning("a mark stays until it fades (%s)", type(error).__name__)


def _mark(entry: str) -> str:
    return f"countersign:bell:{entry}"


class JobBell:
    """For an event loop: `ring_inbox` returns at once; a task does the rest."""

    def __init__(self, settings: Settings) -> None:
        if settings.redis.url is None:
            raise ConfigError("REDIS_URL is not set")
        self._url: Secret = settings.redis.url
        self._redis: redis.Redis | None = None
        self._wanted: set[str] = set()
        self._ringing: asyncio.Task[None] | None = None

    def ring_inbox(self) -> None:
        self._ring(INBOX)

    def ring_work(self) -> None:
        self._ring(WORK)

    def _ring(self, entry: str) -> None:
        self._wanted.add(entry)
        if self._ringing is None:
            self._ringing = asyncio.create_task(self._ring_all())

    async def _ring_all(self) -> None:
        try:
            while self._wanted:
                entry = self._wanted.pop()
                try:
                    await asyncio.to_thread(self._enqueue, entry)
                except (RedisError, OSError, TimeoutError) as error:
                    logger.warning("a bell was lost (%s); the next tick rings again", type(error).__name__)
                await asyncio.sleep(_REST_S)  # a burst rings fifty times a second, not once per message
        finally:
            self._ringing = None

    def _enqueue(self, entry: str) -> None:
        if self._redis is None:
            self._redis = open_job_redis(self._url)
            # The worker waits on such a client without an end; a gateway's thread must not.
            self._redis.connection_pool.connection_kwargs["socket_timeout"] = _TIMEOUT_S
        ring(job_queue(self._redis), entry)

    async def aclose(self) -> None:
        if self._ringing is not None:
            await asyncio.wait({self._ringing})
        if self._redis is not None:
            self._redis.close()
