"""`cli`: the command line on the test's own stores."""

from pathlib import Path

import pytest

from config.secret import Secret
from tests.fixtures.store import Store
from tests.gateway.cli.command import CommandLine


@pytest.fixture
def cli(store: Store, redis_url: Secret, gateway_folder: Path, tmp_path: Path) -> CommandLine:
    return CommandLine(
        {
            "DATABASE_URL": store.app_url.reveal(),
            "DATABASE_OWNER_URL": store.owner_url.reveal(),
            "DATABASE_HUB_URL": store.hub_url.reveal(),
            "REDIS_URL": redis_url.reveal(),
            "COUNTERSIGN_DATA_DIR": str(gateway_folder),
        },
        tmp_path,
    )
