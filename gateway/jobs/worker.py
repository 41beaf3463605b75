"""The worker process: RQ's SimpleWorker around one persistent event loop. Any number of them may run.

Asked to stop, it ends the call that is under way and takes no other. Must survive a Redis that goes away:
it waits for it, four seconds at a time at most.
"""

import logging
import signal
import time

import redis
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import BaseDeathPenalty

from config.errors import ConfigError
from config.queue import job_queue, open_job_redis
from config.settings import Settings
from gateway.jobs.entry import Runtime, set_runtime

logger = logging.getLogger("countersign.jobs")

_PAUSE_S = 1.0
_WORKER_TTL_S = 30  # how long it listens at a stretch; a dead peer is noticed after it


class _NoAlarm(BaseDeathPenalty):  # type: ignore[misc]  # RQ is untyped here
    """SIGALRM would hit whichever task is running: times are bounded by asyncio.timeout inside."""

    def setup_death_penalty(self) -> None:
        """No alarm."""

    def cancel_death_penalty(self) -> None:
        """None was set."""


class LoopWorker(SimpleWorker):  # type: ignore[misc]  # RQ is untyped here
    death_penalty_class = _NoAlarm
    max_connection_wait_time = 4.0
    log_result_lifespan = False
    runtime: Runtime

    @property
    def was_asked_to_stop(self) -> bool:
        return self._shutdown_requested_date is not None

    def handle_warm_shutdown_request(self) -> None:
        self.runtime.is_stopping = True  # the call that is under way takes nothing new
        # RQ ends its wait by an exception, which is swallowed when the signal comes while a line is being logged.
        self._stop_requested = True


class _Stopped(BaseException):
    """A signal while no worker of RQ's was there to take it."""


def run(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT, then ends what is under way and returns. Raises ConfigError,
    StoreUnavailable when it cannot start.
    """
    if settings.redis.url is None:
        raise ConfigError("a worker needs REDIS_URL")
    logging.getLogger("rq").setLevel(logging.WARNING)
    runtime = Runtime(settings)
    connection = open_job_redis(settings.redis.url)
    try:
        _take_signals()
        runtime.open()
        set_runtime(runtime)
        logger.info("worker.started")
        while not _work(runtime, connection):
            _take_signals()
            time.sleep(_PAUSE_S)
    except _Stopped:
        pass  # asked to by a signal, wherever it stood
    finally:
        set_runtime(None)
        runtime.close()
        connection.close()
    logger.info("worker.stopped")


def _work(runtime: Runtime, connection: redis.Redis) -> bool:
    """One life of RQ's worker; True when it ended because it was asked to."""
    worker: LoopWorker | None = None
    try:
        worker = LoopWorker(
            [job_queue(connection)],
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=_WORKER_TTL_S,
            log_job_description=False,
        )
        worker.runtime = runtime
        worker.work(logging_level="WARNING")
    except (RedisError, OSError) as error:
        logger.warning("Redis is away (%s); trying again", type(error).__name__)
    return worker is not None and worker.was_asked_to_stop


def _take_signals() -> None:
    """Until RQ's worker takes them over, and between two of its lives."""

    def stop(signum: int, _: object) -> None:
        raise _Stopped(signum)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
