"""Fixtures of the tests of providers' webhooks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from config.settings import Settings
from tests.fixtures.store import Store
from tests.normalizer.announced import faults_of_everything_announced
from tests.webhooks.inbound.house import House, open_house, serve, settings_of


@pytest.fixture
def settings(store: Store, redis_url, gateway_folder: Path) -> Settings:
    return settings_of(store, redis_url, gateway_folder)


@pytest_asyncio.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    """Services without HTTP."""
    async with open_house(settings) as made:
        hub = made.services.hub
        yield made
        # The providers' lifecycles, in whatever order: webhooks are what the catalogue says.
        assert await faults_of_everything_announced(hub) == []


@pytest_asyncio.fixture
async def gateway(house: House) -> AsyncIterator[House]:
    """The application behind a real server."""
    async with serve(house):
        yield house
