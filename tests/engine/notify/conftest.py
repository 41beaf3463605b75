"""`desk`: an engine on a fresh database."""

from pathlib import Path

import pytest_asyncio

from tests.engine.notify.desk import Desk, open_desk
from tests.fixtures.store import Store


@pytest_asyncio.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    return await open_desk(store, tmp_path)
