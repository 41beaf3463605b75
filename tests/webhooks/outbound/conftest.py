"""Fixtures of the outbound tests."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.fixtures.store import Store
from tests.normalizer.announced import faults_of_everything_announced
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, serve


@pytest_asyncio.fixture
async def hub(store: Store, redis_url) -> AsyncIterator[Hub]:
    made = Hub(store, redis_url)
    yield made
    # Events of envelopes are made up here; those of endpoints and deliveries are what tenants get.
    assert await faults_of_everything_announced(store.hub, "endpoint", "delivery") == []
    await made.close()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with serve() as made:
        yield made
