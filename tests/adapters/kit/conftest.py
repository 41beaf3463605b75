"""Fixtures of the executor's tests."""

from collections.abc import AsyncIterator

import pytest

from tests.adapters.kit.fake_provider import Bench, open_bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with open_bench() as opened:
        yield opened
