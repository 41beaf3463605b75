"""Waits for a feed to grow: one statement for all who wait in this process, and no connection held by any.

Whoever waits costs a future; while anybody does, the heads of their feeds are read a few times a second. The
feed is the truth: who was not woken finds the events with the next question.
"""

import asyncio
import logging
from uuid import UUID

from config.database import Database
from config.errors import StoreUnavailable
from webhooks.outbound.ending import end_tasks

logger = logging.getLogger("countersign.feed")

_EVERY_S = 0.2
_HEADS = "SELECT tenant_id, next_seq - 1 AS head FROM event_feed_heads WHERE tenant_id = ANY($1)"


class FeedWatch:
    """Made at the composition root; `hub` reads the heads of any tenant, and nothing else of it."""

    def __init__(self, hub: Database) -> None:
        self._hub = hub
        self._waiting: dict[asyncio.Future[bool], tuple[UUID, int]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_closed = False

    async def wait_past(self, tenant_id: UUID, seq: int, timeout_s: float) -> bool:
        """True as soon as the tenant's feed has a number above `seq`; False after the time, or at the close."""
        if self._is_closed or timeout_s <= 0:
            return False
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[future] = (tenant_id, seq)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="feed watch")
        try:
            return await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(future, None)

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    async def aclose(self) -> None:
        """Sends everybody home."""
        self._is_closed = True
        for future in self._waiting:
            _answer(future, grown=False)
        if self._looking is not None:
            await end_tasks([self._looking])

    async def _look(self) -> None:
        while self._waiting:
            tenants = list({tenant_id for tenant_id, _ in self._waiting.values()})
            try:
                heads = {row["tenant_id"]: row["head"] for row in await self._hub.fetch(_HEADS, tenants)}
            except StoreUnavailable as error:
                logger.warning("the feeds' heads cannot be read (%s)", type(error).__name__)
                heads = {}
            for future, (tenant_id, seq) in list(self._waiting.items()):
                if heads.get(tenant_id, 0) > seq:
                    _answer(future, grown=True)
            await asyncio.sleep(_EVERY_S)


def _answer(future: asyncio.Future[bool], *, grown: bool) -> None:
    if not future.done():
        future.set_result(grown)
