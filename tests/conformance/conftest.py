"""Every provider folder that the registry finds goes through the whole suite; nothing is listed here."""

import importlib
from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.kit.port import Adapter
from adapters.kit.registry import adapters
from tests.conformance.hand import Hand
from tests.conformance.sandbox_process import SandboxProcess
from tests.conformance.stage import Desk, Stage, connect, open_stage


@pytest.fixture(scope="session", params=sorted(adapters()))
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def adapter(provider: str) -> Adapter:
    return adapters()[provider]


@pytest.fixture(scope="session")
def sandbox(adapter: Adapter) -> Iterator[SandboxProcess]:
    with SandboxProcess(adapter.sandbox.module) as running:
        yield running


@pytest.fixture
def hand(provider: str, sandbox: SandboxProcess) -> Hand:
    made: Hand = importlib.import_module(f"tests.conformance.providers.{provider}").ProviderHand(sandbox.url)
    return made


@pytest.fixture
def desk(adapter: Adapter, sandbox: SandboxProcess) -> Desk:
    return Desk(adapter, connect(adapter, sandbox))


@pytest.fixture
async def stage(adapter: Adapter, sandbox: SandboxProcess, hand: Hand) -> AsyncIterator[Stage]:
    async with open_stage(adapter, sandbox, hand) as opened:
        yield opened
