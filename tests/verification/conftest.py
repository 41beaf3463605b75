"""A development authority per run, sealed and plainly signed files of it, and a verifier with real examiners."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.development.authority_keys import Authority, open_authority
from tests.verification.bench import Bench, open_bench
from tests.verification.papers import seal_paper, sign_paper


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return open_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def sealed(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return seal_paper(authority, tmp_path_factory.mktemp("sealed"))


@pytest.fixture(scope="session")
def signed(authority: Authority) -> bytes:
    return sign_paper(authority)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with open_bench(authority, tmp_path_factory.mktemp("bench")) as bench:
        yield bench
