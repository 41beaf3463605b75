"""When a delivery is tried again, and when it is given up.

`design`: 3 retries, exponential. `standard`: 10 attempts over 75 hours. `custom`: the tenant's own list.
Every delay varies by a fifth both ways, so that a receiver that comes back is not met by everybody at once.
A delivery that is given up is kept and can be replayed: the short schedule loses nothing.
Source: the design documents (webhook configuration); Standard Webhooks 1.0.0, operational considerations.
"""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import msgspec

from config.settings import DeliverySettings
from normalizer.errors import Finding, ValidationFailed

LONGEST_LIST = 20
LONGEST_DELAY_S = 604_800
# An endpoint that answers 429 burns no attempt; after so many of them it does, or it would never end.
THROTTLE_LIMIT = 100
_HINTED = frozenset({429, 502, 503, 504})


class RetryProfile(StrEnum):
    DESIGN = "design"
    STANDARD = "standard"
    CUSTOM = "custom"


class Verdict(StrEnum):
    SUCCEEDED = "succeeded"
    RETRY = "retry"
    EXHAUSTED = "exhausted"
    GONE = "gone"  # the endpoint says that it is gone: switch it off, keep what waits


class Decision(msgspec.Struct, frozen=True):
    """`attempt` and `throttled` are the delivery's counters after this try; `delay_s` counts from now."""

    verdict: Verdict
    attempt: int
    throttled: int
    delay_s: float = 0.0
    reason: str = ""


class Schedule:
    """One endpoint's delays, from its profile and the settings."""

    __slots__ = ("_cap_s", "_delays_s", "_jitter")

    def __init__(self, profile: RetryProfile, custom_s: Sequence[int], settings: DeliverySettings) -> None:
        self._delays_s: tuple[float, ...]
        match profile:
            case RetryProfile.DESIGN:
                self._delays_s = settings.default_schedule_delays_s
            case RetryProfile.STANDARD:
                self._delays_s = settings.standard_schedule_delays_s
            case RetryProfile.CUSTOM:
                self._delays_s = tuple(float(delay) for delay in custom_s)
        self._jitter = settings.jitter
        self._cap_s = settings.retry_after_cap_s

    @property
    def attempts(self) -> int:
        return len(self._delays_s) + 1

    def decide(
        self,
        *,
        attempt: int,
        throttled: int,
        status: int | None,
        hint_s: float | None = None,
        instruction: str = "",
        random_unit: float | None = None,
    ) -> Decision:
        """What follows a try. `attempt`: counted attempts before it; `status` None: no complete answer.

        `instruction` is the answer's webhook-delivery header: `disable` or `abort-message`.
        """
        if status is not None and 200 <= status <= 299:
            return Decision(Verdict.SUCCEEDED, attempt + 1, throttled)
        if status == 410 or (status is not None and instruction == "disable"):
            return Decision(Verdict.GONE, attempt + 1, throttled, reason="the endpoint said that it is gone")
        if status is not None and instruction == "abort-message":
            return Decision(
                Verdict.EXHAUSTED, attempt + 1, throttled, reason="the endpoint asked to stop this message"
            )
        counted = attempt + 1
        if status == 429 and throttled < THROTTLE_LIMIT:
            counted, throttled = attempt, throttled + 1
        if counted >= self.attempts:
            return Decision(
                Verdict.EXHAUSTED, counted, throttled, reason=f"all {self.attempts} attempts failed"
            )
        delay = self._vary(self._delay_after(max(counted, 1)), random_unit)
        if hint_s is not None and status in _HINTED:
            delay = max(delay, min(hint_s, self._cap_s))
        return Decision(Verdict.RETRY, counted, throttled, delay)

    def _delay_after(self, attempts: int) -> float:
        if not self._delays_s:
            return 1.0  # a throttled delivery of a schedule without retries
        return self._delays_s[min(attempts, len(self._delays_s)) - 1]

    def _vary(self, delay_s: float, random_unit: float | None) -> float:
        unit = random.random() if random_unit is None else random_unit  # noqa: S311 - spreads load only
        return delay_s * (1 + self._jitter * (2 * unit - 1))


def read_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header: a number or an HTTP date. None when absent or unreadable."""
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else float(10**9)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def vet_custom_delays(profile: RetryProfile, delays_s: Sequence[int]) -> tuple[int, ...]:
    """The custom list, vetted. Raises ValidationFailed; a list belongs to `custom` only."""
    problem = ""
    if profile is not RetryProfile.CUSTOM:
        if delays_s:
            problem = "a retry_schedule needs retry_profile custom"
    elif not 1 <= len(delays_s) <= LONGEST_LIST:
        problem = f"a custom retry_schedule has 1 to {LONGEST_LIST} delays"
    elif any(not 1 <= delay <= LONGEST_DELAY_S for delay in delays_s):
        problem = f"a delay is 1 to {LONGEST_DELAY_S} seconds"
    if problem:
        raise ValidationFailed(problem.capitalize() + ".", (Finding("/retry_schedule", problem),))
    return tuple(delays_s)
