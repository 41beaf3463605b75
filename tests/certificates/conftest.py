"""A gateway whose development authority issues the tests' certificates, and stamps."""

from pathlib import Path
from typing import Any

import pytest

from engine.development.authority_keys import Authority, open_authority
from tests.gateway.world import make_settings


@pytest.fixture(scope="session")
def certified_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certified")


@pytest.fixture(scope="session")
def authority(certified_folder: Path) -> Authority:
    return open_authority(certified_folder / "authority")


@pytest.fixture
def gateway_settings(store: Any, redis_url: Any, certified_folder: Path) -> Any:
    return make_settings(store, redis_url, certified_folder)
