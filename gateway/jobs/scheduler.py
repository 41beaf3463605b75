"""The scheduler process: rings the bell once a second, and nothing else. Any number of them may run.

RQ's CronScheduler, with three changes: its calls are JSON and coalesced, it outlives an outage of Redis, and
it decides nothing: what is due stands in SQL and is claimed there, so two schedulers fire once.
"""

import logging
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError
from rq.cron import CronJob, CronScheduler
from rq.exceptions import StopRequested
from rq.utils import now

from config.errors import ConfigError
from config.queue import job_queue, open_job_redis
from config.settings import Settings
from gateway.jobs.bell import WORK, ring

logger = logging.getLogger("countersign.jobs")

_TICK_S = 1
_TIMEOUT_S = 5.0


class Ticker(CronScheduler):  # type: ignore[misc]  # RQ is untyped here
    """Redis away is a warning, not an end: the tick after its return makes up for all that were missed."""

    _is_stopping = False

    def _request_stop(self, signum: int, frame: Any) -> None:
        # The exception alone may be swallowed, when the signal comes while a line is being logged.
        self._is_stopping = True
        super()._request_stop(signum, frame)

    def enqueue_jobs(self) -> list[CronJob]:
        if self._is_stopping:
            raise StopRequested
        # RQ's own enqueuing pickles and keeps a history of every tick: neither is wanted.
        moment = now()
        due = [job for job in self._cron_jobs if job.should_run()]
        for job in due:
            job.set_enqueue_time(moment)
            self._survive(lambda: ring(job_queue(self.connection), WORK))
        return []

    def heartbeat(self) -> None:
        self._survive(super().heartbeat)

    def register_birth(self) -> None:
        self._survive(super().register_birth)

    def register_death(self, pipeline: Any = None) -> None:
        self._survive(lambda: super(Ticker, self).register_death(pipeline))

    def _survive(self, step: Callable[[], object]) -> None:
        try:
            step()
        except (RedisError, OSError) as error:
            logger.warning("a tick was lost: Redis is away (%s)", type(error).__name__)


def run(settings: Settings) -> None:
    """Ticks until SIGTERM or SIGINT. Raises ConfigError without REDIS_URL."""
    if settings.redis.url is None:
        raise ConfigError("a scheduler needs REDIS_URL")
    logging.getLogger("rq").setLevel(logging.WARNING)
    connection = open_job_redis(settings.redis.url)
    connection.connection_pool.connection_kwargs["socket_timeout"] = _TIMEOUT_S
    try:
        ticker = Ticker(connection, logging_level=logging.WARNING)
        ticker.register(_tick, job_queue(connection).name, interval=_TICK_S, job_timeout=-1)
        logger.info("scheduler.started")
        ticker.start()
        logger.info("scheduler.stopped")
    finally:
        connection.close()


def _tick() -> None:
    """For RQ's list, which wants a function: what is rung for stands in `enqueue_jobs`, by its name.

    The work itself is not imported here: with it come the libraries of every kind of job.
    """
