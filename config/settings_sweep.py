"""Settings of what the gateway asks providers by itself: changes, webhook configurations, idle credentials.

Their meaning stands in defaults.toml.
"""

from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=604_800)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]


class SweepSettings(msgspec.Struct, frozen=True, kw_only=True):
    every_s: _Seconds = 900.0
    overlap_s: _Seconds = 1800.0
    look_back_s: _Seconds = 86_400.0
    grace_s: _Seconds = 300.0
    pages: _Count = 20
    lease_s: _Seconds = 300.0
    webhooks_every_s: _Seconds = 3600.0
    repair_webhooks: bool = True
    keep_alive_days: Annotated[int, msgspec.Meta(ge=1, le=30)] = 30
    findings_kept_days: _Days = 365
