"""What a house is to be: where it lies, where it listens, and with which settings."""

from pathlib import Path

import msgspec

from config.settings import Settings


class HousePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Ports of 0 are chosen; sandboxes and the development services listen on the ports after the gateway's.
    `keep_sandboxes`: their state and credentials stay in the data folder. `environment` is for every process.
    """

    data_dir: Path
    port: int
    keep_sandboxes: bool
    settings: Settings
    environment: dict[str, str] = {}
