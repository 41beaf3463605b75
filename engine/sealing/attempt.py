"""How what waits for seals or signatures is worked off: a batch side by side, and every failure with an outcome.

What is missing puts a piece off, to be tried again for ever. Must never leave a file behind that nobody uses, nor
remove one that a commit without an answer may have put to use.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from config.errors import StoreUnavailable
from engine.engine import Engine
from engine.sealing.errors import SealingFailed, SealTrouble
from engine.sealing.files import forget_files
from engine.sealing.sealer import Sealer

C = TypeVar("C")
logger = logging.getLogger("countersign.sealing")


class Stale(Exception):
    """Somebody else has the piece of work, or its envelope has ended."""


async def work_off(sealer: Sealer, claims: Sequence[C], work: Callable[[C], Awaitable[bool]]) -> int:
    """How many came to their end. Raises what one of them raised, when all have ended."""
    room = asyncio.Semaphore(sealer.most_at_once)

    async def take(claim: C) -> bool:
        async with room:
            return await work(claim)

    ended = await asyncio.gather(*(take(claim) for claim in claims), return_exceptions=True)
    failed = [one for one in ended if isinstance(one, BaseException)]
    for error in failed[1:]:  # one is raised, and the others would never be heard of
        logger.error("a piece of work failed beside another", exc_info=error)
    if failed:
        raise failed[0]
    return ended.count(True)


async def attempt(
    engine: Engine,
    tenant_id: UUID,
    work: Awaitable[None],
    *,
    files: Callable[[], Sequence[str]],
    put_off: Callable[[SealingFailed], Awaitable[None]],
) -> str:
    """Why it came to nothing, in a word; empty when it came to its end. `files`: the keys of what `work` has stored,
    which goes when it came to nothing. Raises what `put_off` raises.
    """
    try:
        await work
    except Stale:
        trouble = "stale"
    except SealingFailed as error:
        trouble = error.trouble.value
        await put_off(error)
    except StoreUnavailable as error:
        trouble = "database_unavailable"  # the lease runs out, and another run finds the piece
        if error.outcome_unknown:
            return trouble  # the files may be in use
    except Exception:  # whatever it is, it is this piece's alone
        trouble = SealTrouble.INTERNAL.value
        logger.exception("a piece of work failed inside")
        await put_off(SealingFailed(SealTrouble.INTERNAL, "an error inside; see the log"))
    else:
        return ""
    await forget_files(engine.blobs, tenant_id, files())
    return trouble
