"""Settings of how endpoints fare: when a breaker opens, when a failing one is told of, and what is kept how long."""

from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    breaker_failures: _Count = 5
    breaker_failing_s: _Seconds = 30.0
    breaker_pause_s: _Seconds = 10.0
    breaker_longest_pause_s: _Seconds = 600.0
    failing_failures: _Count = 5
    failing_s: _Seconds = 120.0
    disabled_after_days: _Days = 5
    exhausted_mail_every_s: _Seconds = 3600.0


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True):
    attempt_days: _Days = 30
    event_days: _Days = 90
