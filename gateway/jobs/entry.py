"""What RQ calls: sync functions without arguments, each a thin step into the worker's one event loop.

They are found by name, so they reach the worker's runtime through this module; nothing else does.
Must never raise: attempts and dead letters are SQL's, and RQ keeps no truth of ours.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from config.errors import StoreUnavailable
from config.settings import Settings
from gateway.composition import open_services
from gateway.jobs.bell import INBOX, WORK, answer
from gateway.jobs.inbox import make_processor
from gateway.jobs.kinds import schedules
from gateway.jobs.run_jobs import run_due
from gateway.jobs.store import set_schedules
from gateway.services import Services

logger = logging.getLogger("countersign.jobs")

_LONGEST_S = 4000.0  # longer than any kind of job may take: what hangs past it is given up to its lease


class Runtime:
    """One event loop for the life of the process, with the services opened once inside it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._context = open_services(settings, name="countersign worker")
        self._services: Services | None = None
        self.is_stopping = False

    def open(self) -> None:
        """Raises ConfigError, StoreUnavailable."""
        self._services = self._runner.run(self._context.__aenter__())
        self._runner.run(set_schedules(self._services.hub, schedules(self._settings)))

    def run(self, name: str, work: Callable[[Services], Awaitable[object]]) -> None:
        if self._services is None:
            raise RuntimeError("the runtime is not open")
        self._runner.run(self._guard(name, work, self._services))

    async def _guard(
        self, name: str, work: Callable[[Services], Awaitable[object]], services: Services
    ) -> None:
        await answer(services.redis, name)
        try:
            async with asyncio.timeout(_LONGEST_S):
                await work(services)
        except StoreUnavailable as error:
            logger.warning("the store is away (%s); the next tick tries again", error)
        except Exception:  # RQ keeps no failures of ours; a lease settles the rest
            logger.exception("a call of the queue failed")

    def close(self) -> None:
        try:
            if self._services is not None:
                self._runner.run(self._context.__aexit__(None, None, None))
        finally:
            self._runner.close()


_runtime: Runtime | None = None


def set_runtime(runtime: Runtime | None) -> None:
    global _runtime  # noqa: PLW0603 - RQ finds functions, not objects
    _runtime = runtime


def process_inbox() -> None:
    """Messages wait."""
    _run(INBOX, lambda services: make_processor(services).process_due(is_stopping=_is_stopping))


def work() -> None:
    """A tick: schedules may be due, jobs may wait."""
    _run(WORK, lambda services: run_due(services, is_stopping=_is_stopping))


def _is_stopping() -> bool:
    return _runtime is not None and _runtime.is_stopping


def _run(name: str, call: Callable[[Services], Awaitable[object]]) -> None:
    if _runtime is None:
        logger.error("%s was called outside a worker", name)
        return
    _runtime.run(name, call)
