"""Rate limits as the provider counts them: per clock hour, per 30 seconds, and per polled envelope."""

import time

from .refusals import Refusal
from .settings import Settings

_BURST_WINDOW_S = 30
_POLLING_WINDOW_S = 900


class Limits:
    """Counts the calls of the one account; a limit of 0 counts without refusing."""

    def __init__(self, settings: Settings) -> None:
        self._hourly_limit = settings.hourly_limit
        self._burst_limit = settings.burst_limit
        self.is_polling_limited = settings.is_polling_limited
        self._hour = 0
        self._hourly = 0
        self._window = 0
        self._burst = 0
        self._polled: dict[str, float] = {}

    def change(self, *, hourly_limit: int, burst_limit: int) -> None:
        self._hourly_limit, self._burst_limit = hourly_limit, burst_limit
        self._hourly = self._burst = 0

    def count(self) -> None:
        """Counts one call and refuses it when a window is used up."""
        self._roll()
        self._hourly += 1
        self._burst += 1
        if self._hourly_limit and self._hourly > self._hourly_limit:
            raise Refusal("hourly-limit")
        if self._burst_limit and self._burst > self._burst_limit:
            raise Refusal("burst-limit")

    def poll(self, envelope_id: str) -> None:
        """Refuses a second look at one envelope within 15 minutes, when the rule is switched on."""
        if not self.is_polling_limited:
            return
        now = time.monotonic()
        before = self._polled.get(envelope_id)
        if before is not None and now - before < _POLLING_WINDOW_S:
            raise Refusal("polling-limit")
        self._polled[envelope_id] = now

    def headers(self) -> dict[str, str]:
        self._roll()
        hourly, burst = self._hourly_limit or 3000, self._burst_limit or 500
        return {
            "X-RateLimit-Limit": str(hourly),
            "X-RateLimit-Remaining": str(max(0, hourly - self._hourly)),
            "X-RateLimit-Reset": str((self._hour + 1) * 3600),
            "X-BurstLimit-Limit": str(burst),
            "X-BurstLimit-Remaining": str(max(0, burst - self._burst)),
        }

    def _roll(self) -> None:
        now = int(time.time())
        if now // 3600 != self._hour:
            self._hour, self._hourly = now // 3600, 0
        if now // _BURST_WINDOW_S != self._window:
            self._window, self._burst = now // _BURST_WINDOW_S, 0
