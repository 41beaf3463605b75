"""Makes a recurring job due now, because there is something for it to do. A hint: the schedule comes anyway."""

import asyncio
import logging

from config.database import Database
from config.errors import StoreUnavailable
from gateway.jobs.bell import JobBell

logger = logging.getLogger("countersign.jobs")

_DUE = "UPDATE schedules SET due_at = clock_timestamp() WHERE name = ANY($1) AND due_at > clock_timestamp()"


class JobWaker:
    """For an event loop: a call returns at once, and a burst costs one statement."""

    def __init__(self, hub: Database, bell: JobBell) -> None:
        self._hub = hub
        self._bell = bell
        self._wanted: set[str] = set()
        self._waking: asyncio.Task[None] | None = None

    def __call__(self, kind: str) -> None:
        """`kind` as in gateway/jobs/kinds.py; one that does not recur is waited for by nobody."""
        self._wanted.add(kind)
        if self._waking is None:
            self._waking = asyncio.create_task(self._wake_all())

    async def aclose(self) -> None:
        if self._waking is not None:
            await asyncio.wait({self._waking})

    async def _wake_all(self) -> None:
        try:
            while self._wanted:
                kinds, self._wanted = sorted(self._wanted), set()
                try:
                    await self._hub.execute(_DUE, kinds)
                except StoreUnavailable as error:
                    logger.warning("a job was not woken (%s); its schedule comes", error)
                self._bell.ring_work()
        finally:
            self._waking = None
