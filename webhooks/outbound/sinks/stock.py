"""Connections to brokers, kept between messages: each is used by one message at a time.

An endpoint has at most as many as it has messages under way. They belong to one revision of the endpoint: what
was made with former credentials, or to a former address, is closed and not used again. Idle ones end by
themselves. Must never hand a connection of one endpoint to another.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from webhooks.outbound.ending import end_tasks
from webhooks.outbound.mailbox import Route

logger = logging.getLogger("countersign.deliverer")

IDLE_S = 30.0
_GOODBYE_S = 2.0


class Link(Protocol):
    """A connection with its greetings made."""

    @property
    def is_usable(self) -> bool:
        """Nothing says that it has ended. MUST be cheap: it is asked before each use."""

    def abort(self) -> None:
        """Ends it at once, without a word. MUST NOT raise, and MAY be called twice."""

    async def close(self) -> None:
        """Ends it in order; `abort` follows when that takes too long."""


_L = TypeVar("_L", bound=Link)


class _Shelf(Generic[_L]):
    """`idle`: with the moment of its last use, oldest first."""

    __slots__ = ("closer", "idle", "revision")

    def __init__(self, revision: int) -> None:
        self.revision = revision
        self.idle: list[tuple[float, _L]] = []
        self.closer: asyncio.TimerHandle | None = None


class Stock(Generic[_L]):
    def __init__(self, open_: Callable[[Route], Awaitable[_L]], *, idle_s: float = IDLE_S) -> None:
        """`open_` raises what the sink puts into words."""
        self._open = open_
        self._idle_s = idle_s
        self._shelves: dict[UUID, _Shelf[_L]] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def use(self, route: Route) -> AsyncIterator[_L]:
        """A connection for this message alone; after any failure it is ended, not kept."""
        shelf = self._shelf(route)
        link = self._take(shelf) or await self._open(route)
        try:
            yield link
        except BaseException:  # cancelled too: half a message may be on the connection
            link.abort()
            self._part_with([link])  # what the library keeps running for it ends, too
            raise
        if self._shelves.get(route.endpoint_id) is shelf and link.is_usable:
            self._keep(route.endpoint_id, shelf, link)
        else:
            self._part_with([link])

    async def close(self) -> None:
        for endpoint_id in list(self._shelves):
            self._clear(endpoint_id)
        if self._goodbyes:
            await asyncio.wait(self._goodbyes)

    def _shelf(self, route: Route) -> _Shelf[_L]:
        shelf = self._shelves.get(route.endpoint_id)
        if shelf is None or shelf.revision != route.revision:
            self._clear(route.endpoint_id)
            shelf = self._shelves[route.endpoint_id] = _Shelf(route.revision)
        return shelf

    def _take(self, shelf: _Shelf[_L]) -> _L | None:
        """The one used last: those that are not needed grow old and end."""
        while shelf.idle:
            _, link = shelf.idle.pop()
            if link.is_usable:
                return link
            self._part_with([link])
        return None

    def _keep(self, endpoint_id: UUID, shelf: _Shelf[_L], link: _L) -> None:
        loop = asyncio.get_running_loop()
        shelf.idle.append((loop.time(), link))
        if shelf.closer is None:
            shelf.closer = loop.call_later(self._idle_s, self._clear_old, endpoint_id, shelf)

    def _clear_old(self, endpoint_id: UUID, shelf: _Shelf[_L]) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() - self._idle_s
        self._part_with([link for used_at, link in shelf.idle if used_at <= until])
        shelf.idle = [(used_at, link) for used_at, link in shelf.idle if used_at > until]
        shelf.closer = None
        if shelf.idle:
            shelf.closer = loop.call_at(shelf.idle[0][0] + self._idle_s, self._clear_old, endpoint_id, shelf)
        elif self._shelves.get(endpoint_id) is shelf:
            del self._shelves[endpoint_id]

    def _clear(self, endpoint_id: UUID) -> None:
        shelf = self._shelves.pop(endpoint_id, None)
        if shelf is None:
            return
        if shelf.closer is not None:
            shelf.closer.cancel()
        self._part_with([link for _, link in shelf.idle])
        shelf.idle = []

    def _part_with(self, links: list[_L]) -> None:
        for link in links:
            task = asyncio.get_running_loop().create_task(_say_goodbye(link))
            self._goodbyes.add(task)
            task.add_done_callback(self._goodbyes.discard)


async def _say_goodbye(link: Link) -> None:
    closing = asyncio.ensure_future(_close(link))
    await asyncio.wait([closing], timeout=_GOODBYE_S)
    link.abort()
    await end_tasks([closing])


async def _close(link: Link) -> None:
    with contextlib.suppress(Exception):  # it ends anyway, and a client library may raise anything
        await link.close()
