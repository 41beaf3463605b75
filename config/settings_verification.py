"""Settings of verification and of certificates: whom it trusts, whom it asks, and when an end is announced.

The meaning of each stands in defaults.toml.
"""

from pathlib import Path
from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=300)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=10_000)]


class VerificationSettings(msgspec.Struct, frozen=True, kw_only=True):
    trust_roots_file: Path | None = None
    ask_revocation: bool = True
    revocation_timeout_s: _Seconds = 10.0
    file_bytes: Annotated[int, msgspec.Meta(ge=1024, le=2**31)] = 52_428_800
    public_per_minute: _Count = 10
    public_in_flight: _Count = 4


class CertificateSettings(msgspec.Struct, frozen=True, kw_only=True):
    alarm_days: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=1, le=3653)], ...], msgspec.Meta(max_length=10)
    ] = (
        60,
        30,
        7,
    )
    file_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1_048_576)] = 65_536
    pkcs11_library: Path | None = None
    csc_hosts: tuple[str, ...] = ()
    csc_timeout_s: _Seconds = 30.0
