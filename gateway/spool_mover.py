"""Moves documents out of the spool as soon as the blob store takes them, in every process that has a spool: the
folder may be this machine's alone. Processes on one folder take turns by the files' locks.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.blobs import BlobStore
from gateway.metrics import SPOOLED

logger = logging.getLogger("countersign.blobs")


@asynccontextmanager
async def moving_spooled(blobs: BlobStore, *, every_s: float = 5.0) -> AsyncIterator[None]:
    if not blobs.has_spool:
        yield
        return
    mover = asyncio.create_task(_keep_moving(blobs, every_s))
    try:
        yield
    finally:
        mover.cancel()
        await asyncio.wait({mover})


async def _keep_moving(blobs: BlobStore, every_s: float) -> None:
    while True:
        try:
            moved = await blobs.move_spooled()
            SPOOLED.set(await asyncio.to_thread(blobs.spooled))
        except OSError as error:
            logger.warning("the spool cannot be read (%s)", type(error).__name__)
        except Exception:  # an end of this task would be noticed by nobody, and no document be moved any more
            logger.exception("the spool could not be moved")
        else:
            if moved:
                logger.warning("%d documents were moved from the spool into the blob store", moved)
        await asyncio.sleep(every_s)
