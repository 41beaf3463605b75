"""`house`: a gateway whose signers need nothing but their link, so that a test begins where the ceremony does."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio

from config.secret import Secret

if TYPE_CHECKING:
    from tests.engine.signing.house import House
    from tests.fixtures.store import Store


@pytest_asyncio.fixture
async def house(store: "Store", redis_url: Secret, gateway_folder: Path) -> AsyncIterator["House"]:
    from tests.engine.signing.house import open_easy_house

    async with open_easy_house(store, redis_url, gateway_folder) as made:
        yield made
