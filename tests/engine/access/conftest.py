"""`gate`: an engine with one envelope in flight, on a fresh database."""

from pathlib import Path

import pytest_asyncio

from tests.engine.access.gate import Gate, open_gate
from tests.fixtures.store import Store


@pytest_asyncio.fixture
async def gate(store: Store, tmp_path: Path) -> Gate:
    return await open_gate(store, tmp_path)
