"""Settings of what is done to documents: limits of their examination, and how often stored bytes are checked.

The meaning of each stands in defaults.toml.
"""

from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Bytes = Annotated[int, msgspec.Meta(ge=1024 * 1024, le=2**33)]


class DocumentSettings(msgspec.Struct, frozen=True, kw_only=True):
    pages: _Count = 2000
    page_side_inches: Annotated[float, msgspec.Meta(gt=1, le=1000)] = 200.0
    file_bytes: _Bytes = 104_857_600
    stream_bytes: _Bytes = 67_108_864
    image_pixels: Annotated[int, msgspec.Meta(ge=1_000_000, le=2**31)] = 150_000_000
    memory_bytes: _Bytes = 536_870_912
    cpu_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 20
    wall_s: _Seconds = 60.0
    examiners: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    inline_wait_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 3.0
    verify_every_days: Annotated[int, msgspec.Meta(ge=1, le=3653)] = 30
    verify_batch: _Count = 200
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_530)] = 3653
