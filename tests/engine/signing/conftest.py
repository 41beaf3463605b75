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
    from config.settings import SignatureSettings
    from config.settings_signing import SigningSettings
    from tests.engine.signing.house import open_house
    from tests.gateway.world import make_settings, open_world

    settings = make_settings(
        store,
        redis_url,
        gateway_folder,
        signature=SignatureSettings(require_mfa_for_signatures=False),
        signing=SigningSettings(visits_per_minute=100_000, visits_burst=100_000),
    )
    async with open_world(settings) as world, open_house(world) as made:
        yield made
