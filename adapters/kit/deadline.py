"""A deadline that can be laid aside: while a provider's id is being committed, no clock may interrupt.

Must never be shorter than what remained when it was laid aside.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")


class Deadline:
    """`async with Deadline(seconds)`: raises TimeoutError at its end."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    @property
    def has_passed(self) -> bool:
        return self._timeout.expired()

    async def run_outside(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs `work` to its end, whatever happens: neither the deadline nor a cancellation reaches it. A
        cancellation that came meanwhile is raised afterwards; the deadline goes on where it stopped.
        """
        loop = asyncio.get_running_loop()
        ends_at = self._timeout.when()
        remaining = None if ends_at is None else max(0.0, ends_at - loop.time())
        if not self._timeout.expired():
            self._timeout.reschedule(None)
        task = asyncio.ensure_future(work())
        cancellation: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError as error:
                cancellation = error
        if not self._timeout.expired() and remaining is not None:
            self._timeout.reschedule(loop.time() + remaining)
        if cancellation is not None:
            task.exception()  # retrieved; the one who cancelled no longer listens
            raise cancellation
        return task.result()
