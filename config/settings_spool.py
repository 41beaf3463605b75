"""Settings of the patience with a blob store that is away, and of the spool that holds documents meanwhile."""

from pathlib import Path
from typing import Annotated

import msgspec

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class SpoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`most_files` or `most_bytes` of 0 switches the spool off. Without `folder` it is in the data folder, and in
    production off: a container's own folder may be gone with the container.
    """

    folder: Path | None = None
    most_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**40)] = 1_073_741_824
    most_files: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 1000
    store_timeout_s: _Seconds = 30.0
    store_pause_s: _Seconds = 30.0
