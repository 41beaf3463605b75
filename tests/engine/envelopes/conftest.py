"""`desk`: an engine with one tenant, whose clock the test moves."""

from collections.abc import AsyncIterator

import pytest_asyncio

from config.settings import Settings
from tests.engine.envelopes.desk import Desk, open_desk


@pytest_asyncio.fixture
async def desk(gateway_settings: Settings) -> AsyncIterator[Desk]:
    async with open_desk(gateway_settings) as opened:
        yield opened
