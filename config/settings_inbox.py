"""Settings of what providers post: how large, how old, proved by what, how it is worked and how long it is kept.

The meaning of each stands in defaults.toml.
"""

from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_LongSeconds = Annotated[float, msgspec.Meta(gt=0, le=31_622_400)]
_Delays = Annotated[tuple[Annotated[float, msgspec.Meta(ge=0, le=604_800)], ...], msgspec.Meta(max_length=50)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Bytes = Annotated[int, msgspec.Meta(ge=1024, le=2**31)]
_Days = Annotated[int, msgspec.Meta(ge=17, le=36_525)]


class InboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    body_bytes: _Bytes = 26_214_400
    batch_size: _Count = 50
    batches_in_flight: _Count = 5
    lease_s: _Seconds = 60.0
    retry_delays_s: _Delays = (5.0, 60.0, 600.0)
    park_retry_delays_s: _Delays = (5.0, 30.0, 120.0, 600.0, 3600.0)
    stale_after_s: _LongSeconds = 1_382_400.0
    ahead_s: _Seconds = 300.0
    done_kept_days: _Days = 400
    client_certificate_header: Annotated[str, msgspec.Meta(max_length=100)] = ""
