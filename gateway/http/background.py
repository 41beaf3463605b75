"""Work that goes on after its caller has been answered, and that a graceful stop waits for."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
logger = logging.getLogger("countersign.http")
_running: set[asyncio.Task[Any]] = set()


async def finish_within(work: Coroutine[Any, Any, T], seconds: float) -> T | None:
    """The result, or None when it takes longer; the work goes on either way, also when the caller leaves."""
    task = asyncio.create_task(work)
    _running.add(task)
    task.add_done_callback(_finished)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return task.result() if done else None


async def drain(seconds: float) -> None:
    """Waits for what is still running; what does not end in time is settled by the sweep."""
    if _running:
        await asyncio.wait(set(_running), timeout=seconds)


def _finished(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        logger.error("work in the background failed", exc_info=task.exception())
