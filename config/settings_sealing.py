"""Settings of seals: who says what time it was, how much proof goes into a file, and how patiently it is tried.

The meaning of each stands in defaults.toml.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from config.secret import Secret

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Delays = Annotated[tuple[Annotated[float, msgspec.Meta(ge=0, le=604_800)], ...], msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class SealLevel(StrEnum):
    """PAdES: with a timestamp, with everything that proves it for decades, or the latter where it can be had."""

    B_T = "B-T"
    B_LTA = "B-LTA"
    AUTO = "auto"


class SealingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Without `tsa_urls` nothing is sealed in production; in development the process stamps for itself."""

    tsa_urls: tuple[str, ...] = ()
    tsa_username: str = ""
    tsa_password: Secret | None = None
    tsa_timeout_s: _Seconds = 10.0
    tsa_breaker_pause_s: _Seconds = 60.0
    trust_roots_file: Path | None = None
    level: SealLevel = SealLevel.AUTO
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = None
    sealers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    batch_size: _Count = 8
    lease_s: _Seconds = 300.0
    retry_delays_s: _Delays = (10.0, 60.0, 300.0, 900.0, 3600.0)
    notice_after_attempts: _Count = 3
    renew_before_days: Annotated[int, msgspec.Meta(ge=1, le=3653)] = 90
