"""Keeps a lease alive while its holder works.

Must never disturb the work: a renewal that fails is logged and tried again, and at worst the lease runs out and
somebody else does the work once more.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from config.errors import StoreUnavailable

logger = logging.getLogger("countersign.leases")


@asynccontextmanager
async def renewed(renew: Callable[[], Awaitable[bool]], lease_s: float) -> AsyncIterator[None]:
    """Renews every third of `lease_s` as long as the body runs. `renew` answers whether the lease is still held;
    after False nobody asks again, and the body learns of it when it writes its result.
    """
    renewing = asyncio.create_task(_keep(renew, lease_s / 3))
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait({renewing})


async def _keep(renew: Callable[[], Awaitable[bool]], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            if not await renew():
                return
        except StoreUnavailable:
            logger.warning("a lease could not be renewed: the store is away")
        except Exception:  # an end of this task would be noticed by nobody, and the work be done twice
            logger.exception("a lease could not be renewed")
