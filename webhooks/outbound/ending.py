"""Ends tasks for certain: a library may swallow a cancellation that meets its own time-out, so it is repeated."""

import asyncio
import logging
from collections.abc import Iterable

logger = logging.getLogger("countersign.deliverer")

_REPEAT_S = 0.5


async def end_tasks(tasks: Iterable["asyncio.Task[object]"]) -> None:
    """Cancels until every task has ended; their failures are logged, also of those that had ended before."""
    all_of_them = set(tasks)
    left = {task for task in all_of_them if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_REPEAT_S)
    for task in all_of_them:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a task had failed", exc_info=error)
