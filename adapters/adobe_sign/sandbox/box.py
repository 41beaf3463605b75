"""The sandbox as one object: the world, its clock and timers, the faults, the log of requests.

Everything runs on one event loop and every change is made between two awaits, so there are no locks.
"""

import asyncio
import collections
import heapq
import itertools
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from adapters.adobe_sign.sandbox import options as defaults
from adapters.adobe_sign.sandbox.faults import Faults
from adapters.adobe_sign.sandbox.keeper import Keeper
from adapters.adobe_sign.sandbox.options import Options
from adapters.adobe_sign.sandbox.throttle import Throttle
from adapters.adobe_sign.sandbox.world import (
    AccessToken,
    Agreement,
    Notification,
    RefreshToken,
    Webhook,
    World,
)

_SCOPE_WORDS = ("agreement", "webhook", "user", "library", "widget", "workflow")
ALL_SCOPES = [f"{word}_{verb}" for word in _SCOPE_WORDS for verb in ("read", "write")] + [
    "agreement_send",
    "agreement_sign",
    "agreement_retention",
    "webhook_retention",
    "user_login",
]
_KEY_LIFE = timedelta(days=3650)
READ_SCOPES = [scope for scope in ALL_SCOPES if scope.endswith("_read")]


class LoggedRequest(msgspec.Struct, frozen=True):
    """One API call as `/sandbox/requests` shows it."""

    operation: str
    method: str
    path: str
    status: int
    at: datetime


class LoggedAttempt(msgspec.Struct, frozen=True):
    """One delivery attempt as `/sandbox/deliveries` shows it."""

    webhook_id: str
    notification_id: str
    event: str
    attempt: int
    status: int
    ok: bool
    reason: str
    at: datetime


class Sandbox:
    """State and services that every endpoint shares."""

    def __init__(self, options: Options, keeper: Keeper, base_url: str) -> None:
        self.options = options
        self._started_with = msgspec.structs.replace(options)
        self.keeper = keeper
        self.base_url = base_url
        self.world = keeper.load()
        self.faults = Faults()
        self.throttle = Throttle()
        self.requests: collections.deque[LoggedRequest] = collections.deque(maxlen=2000)
        self.attempts: collections.deque[LoggedAttempt] = collections.deque(maxlen=2000)
        self.stopping = asyncio.Event()
        self.on_due: Callable[[Agreement], None] = lambda _: None
        self.on_queued: Callable[[Webhook], None] = lambda _: None
        self.late: list[tuple[Webhook, Notification]] = []
        self.held_back: list[tuple[str, Notification]] = []
        self._timers: list[tuple[float, int, str]] = []
        self._order = itertools.count()
        self._dirty = False
        self._seed()

    def now(self) -> datetime:
        """The sandbox's clock: real time moved by `/sandbox/clock`."""
        return datetime.now(UTC) + timedelta(seconds=self.world.clock_offset_s)

    def new_id(self, prefix: str = "CBJCHBCAABAA") -> str:
        return prefix + secrets.token_urlsafe(24)

    def user_id(self, email: str) -> str:
        return "CBJCHBCAABAA" + uuid.uuid5(uuid.NAMESPACE_URL, email.lower()).hex

    def changed(self, agreement: Agreement) -> None:
        agreement.version += 1
        self._dirty = True

    def mark_dirty(self) -> None:
        self._dirty = True

    def flush(self) -> None:
        """Write the snapshot if anything changed since the last one."""
        if self._dirty:
            self.keeper.save(self.world)
            self._dirty = False

    def wake_at(self, due: datetime, agreement: Agreement) -> None:
        heapq.heappush(self._timers, (due.timestamp(), next(self._order), agreement.id))

    def settle(self) -> None:
        """Do everything that is due: finish processing, expire, remind."""
        now = self.now().timestamp()
        while self._timers and self._timers[0][0] <= now:
            agreement = self.world.agreements.get(heapq.heappop(self._timers)[2])
            if agreement is not None:
                self.on_due(agreement)

    async def pause(self, seconds: float) -> None:
        """Wait, but not past the end of the server."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    def reset(self) -> None:
        """Forget everything except the seeded credentials and templates; options are those of the start."""
        self.options = msgspec.structs.replace(self._started_with)
        self.world = World()
        self.faults.clear()
        self.throttle.clear()
        self.requests.clear()
        self.attempts.clear()
        self.late.clear()
        self.held_back.clear()
        self._timers.clear()
        self._seed()

    def _seed(self) -> None:
        for token, scopes in (
            (defaults.REFRESH_TOKEN, ALL_SCOPES),
            (defaults.READ_ONLY_REFRESH_TOKEN, READ_SCOPES),
        ):
            known = self.world.refresh_tokens.get(token)
            if known is None:
                self.world.refresh_tokens[token] = RefreshToken(
                    client_id=defaults.CLIENT_ID, scopes=scopes, last_used=self.now()
                )
        key = AccessToken(expires=self.now() + _KEY_LIFE, client_id=defaults.CLIENT_ID, scopes=ALL_SCOPES)
        self.world.access_tokens.setdefault(defaults.INTEGRATION_KEY, key)
        self._dirty = True
        for agreement in self.world.agreements.values():
            self.wake_at(self.now(), agreement)
