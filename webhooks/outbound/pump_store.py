"""The pump's patience with its store: everything it asks for may be asked again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from config.errors import StoreUnavailable

logger = logging.getLogger("countersign.deliverer")

_T = TypeVar("_T")
STORE_PAUSE_S = 0.5


async def with_store(call: Callable[[], Awaitable[_T]]) -> _T:
    """Repeats until the store answers. Safe for all of ours: a claim, completion or fan-out whose answer was lost
    is fenced by its claim id, its leases run out, and what was told is not told again.
    """
    while True:
        try:
            return await call()
        except StoreUnavailable:
            logger.warning("the store is away; trying again", exc_info=True)
            await asyncio.sleep(STORE_PAUSE_S)
