"""Fixtures of the background jobs' tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from config.settings import Settings
from tests.fixtures.store import Store
from tests.gateway.jobs.processes import Processes
from tests.webhooks.inbound.house import House, open_house, serve, settings_of


@pytest.fixture
def settings(store: Store, redis_url, gateway_folder: Path) -> Settings:
    return settings_of(store, redis_url, gateway_folder)


@pytest_asyncio.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with open_house(settings) as made:
        yield made


@pytest_asyncio.fixture
async def gateway(house: House) -> AsyncIterator[House]:
    async with serve(house):
        yield house


@pytest.fixture
def processes(settings: Settings):
    made = Processes(settings)
    yield made
    made.stop_all()
