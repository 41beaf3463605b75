"""Rings a bell for many who ask at once with one ring: a wake-up says that there is work, not how much.

Whoever asks is not kept waiting. Must never drop the last request: one that comes while a ring is on its way
is followed by another ring.
"""

import asyncio
from collections.abc import Awaitable, Callable


class Coalesced:
    """Call it like the bell itself; `aclose` lets the ring that is on its way finish."""

    def __init__(self, ring: Callable[[], Awaitable[None]]) -> None:
        self._ring = ring
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        self._asked = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while self._asked:
            self._asked = False
            await self._ring()
