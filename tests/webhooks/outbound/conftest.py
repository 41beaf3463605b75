"""Fixtures of the outbound tests."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.store import Store
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, serve


@pytest_asyncio.fixture
async def hub(store: Store, redis_url) -> AsyncIterator[Hub]:
    made = Hub(store, redis_url)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with serve() as made:
        yield made
