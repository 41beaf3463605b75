"""Ends tasks for certain: a library may swallow a cancellation that meets its own time-out, so it is repeated."""

import asyncio
import logging
from collections.abc import Iterable

logger = logging.getLogger("countersign.deliverer")

_REPEAT_S = 0.5


async def end_tasks(tasks: Iterable["asyncio.Task[object]"]) -> None:
    """Cancels until every task has ended; their failures are logged."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_REPEAT_S)
        for task in done:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("a task had failed", exc_info=error)
