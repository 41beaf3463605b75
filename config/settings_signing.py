"""Settings of what signers do: limits of requests, pictures and files, and what they may.

The meaning of each stands in defaults.toml.
"""

from pathlib import Path
from typing import Annotated

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Bytes = Annotated[int, msgspec.Meta(ge=1024, le=2**28)]


class SigningSettings(msgspec.Struct, frozen=True, kw_only=True):
    visits_per_minute: _Count = 600
    visits_burst: _Count = 200
    image_bytes: _Bytes = 2_097_152
    image_pixels: Annotated[int, msgspec.Meta(ge=10_000, le=100_000_000)] = 16_000_000
    attachment_bytes: _Bytes = 10_485_760
    demonstrate_access: bool = True
    allow_delegation: bool = True
    extra_fonts_folder: Path | None = None
