"""Access tokens: one per connection, fetched by one caller for all, renewed before they expire.

Twenty callers with an expired token cost one refresh, and share its failure too: a provider locks accounts
that knock again and again. A token is given up only by who used it, so that a late 401 for the old token
cannot throw away the new one. Must never log a token; the store keeps it where the connection's secrets are.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from datetime import datetime, timedelta
from typing import Protocol

from adapters.kit.port import Authorization
from config.clock import Clock

Authorize = Callable[[], Awaitable[Authorization]]


class TokenStore(Protocol):
    """`key` is "provider/connection/version". MAY be shared by processes; MUST keep tokens as secrets."""

    async def get(self, key: str) -> Authorization | None: ...

    async def put(self, key: str, authorization: Authorization) -> None: ...

    async def drop(self, key: str) -> None: ...


class MemoryTokenStore:
    def __init__(self) -> None:
        self._kept: dict[str, Authorization] = {}

    async def get(self, key: str) -> Authorization | None:
        return self._kept.get(key)

    async def put(self, key: str, authorization: Authorization) -> None:
        self._kept[key] = authorization

    async def drop(self, key: str) -> None:
        self._kept.pop(key, None)


class TokenCache:
    """A token is renewed `margin` before its end, but not before two thirds of its life are over."""

    def __init__(self, store: TokenStore, clock: Clock, margin: timedelta = timedelta(minutes=5)) -> None:
        self._store = store
        self._clock = clock
        self._margin = margin
        self._refreshes: dict[str, asyncio.Task[Authorization]] = {}
        self._given_up: dict[str, Authorization] = {}
        self._renew_at: dict[str, tuple[Authorization, datetime]] = {}

    async def get(self, key: str, authorize: Authorize) -> Authorization:
        """A usable authorization. Raises what `authorize` raises, to every caller that waits for it."""
        authorization = await self._store.get(key)
        if authorization is not None and self._is_usable(key, authorization):
            return authorization
        refresh = self._refreshes.get(key)
        if refresh is None:
            # Its own task, in an empty context: a caller that is cancelled must not fail the others, and
            # nothing of the first caller's (a transaction, a tenant) may leak into what all share.
            refresh = asyncio.get_running_loop().create_task(
                self._refresh(key, authorize), name=f"authorize {key}", context=Context()
            )
            self._refreshes[key] = refresh
            refresh.add_done_callback(lambda task: self._forget(key, task))
        return await asyncio.shield(refresh)

    async def invalidate(self, key: str, used: Authorization) -> None:
        """Gives up the token that a provider refused, unless it has been replaced already."""
        current = await self._store.get(key)
        if current == used:
            self._given_up[key] = used
            await self._store.drop(key)

    async def forget(self, key: str) -> None:
        """For changed credentials: what is kept, or being fetched with the old ones, is of no more use."""
        self._given_up.pop(key, None)
        self._refreshes.pop(key, None)
        await self._store.drop(key)

    async def aclose(self) -> None:
        refreshes = list(self._refreshes.values())
        for refresh in refreshes:
            refresh.cancel()
        await asyncio.gather(*refreshes, return_exceptions=True)

    async def _refresh(self, key: str, authorize: Authorize) -> Authorization:
        authorization = await authorize()
        if self._refreshes.get(key) is asyncio.current_task():
            now = self._clock.now()
            margin = min(self._margin, (authorization.expires_at - now) / 3)
            self._renew_at[key] = (authorization, authorization.expires_at - margin)
            self._given_up.pop(key, None)
            await self._store.put(key, authorization)
        return authorization

    def _is_usable(self, key: str, authorization: Authorization) -> bool:
        # A shared store may still hold the token that this process has just given up.
        if self._given_up.get(key) == authorization:
            return False
        ours, renew_at = self._renew_at.get(key, (None, authorization.expires_at))
        if ours != authorization:
            renew_at = authorization.expires_at - self._margin
        return self._clock.now() < renew_at

    def _forget(self, key: str, task: "asyncio.Task[Authorization]") -> None:
        if self._refreshes.get(key) is task:
            del self._refreshes[key]
        if not task.cancelled():
            task.exception()  # retrieved: its waiters may all have gone
