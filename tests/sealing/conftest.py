"""Fixtures of the sealing tests: a development authority per run."""

import pytest

from engine.development.authority_keys import Authority, open_authority
from engine.sealing.signing import SealTools
from tests.sealing.authority import local_tools


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def tools(authority: Authority) -> SealTools:
    return local_tools(authority)
