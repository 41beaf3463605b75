"""Every provider folder that the registry finds goes through the whole suite; nothing is listed here."""

import importlib
from collections.abc import AsyncIterator, Iterator
from types import ModuleType

import pytest

from adapters.kit.port import Adapter
from adapters.kit.registry import adapters
from config.settings import Settings
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
def sandbox(adapter: Adapter) -> Iterator[SandboxProcess | None]:
    """None: the provider runs in this process."""
    if adapter.sandbox is None:
        yield None
        return
    with SandboxProcess(adapter.sandbox.module) as running:
        yield running


@pytest.fixture(scope="session")
def own_file(provider: str) -> ModuleType:
    return importlib.import_module(f"tests.conformance.providers.{provider}")


@pytest.fixture
def hand(own_file: ModuleType, sandbox: SandboxProcess | None) -> Hand:
    made: Hand = own_file.ProviderHand(sandbox.url if sandbox else "")
    return made


@pytest.fixture(autouse=True)
def is_fit(own_file: ModuleType, request: pytest.FixtureRequest) -> None:
    """A test that asks what this kind of provider cannot answer is skipped by name, with the reason."""
    reason = getattr(own_file.ProviderHand, "unfit", {}).get(request.function.__name__)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def desk(adapter: Adapter, sandbox: SandboxProcess | None) -> Desk:
    return Desk(adapter, connect(adapter, sandbox))


@pytest.fixture
def in_process_settings(sandbox: SandboxProcess | None, request: pytest.FixtureRequest) -> Settings | None:
    """A fresh database, for a provider that has no other place to be."""
    return None if sandbox else request.getfixturevalue("gateway_settings")


@pytest.fixture
async def stage(
    adapter: Adapter,
    sandbox: SandboxProcess | None,
    hand: Hand,
    own_file: ModuleType,
    in_process_settings: Settings | None,
) -> AsyncIterator[Stage]:
    opened = (
        open_stage(adapter, sandbox, hand)
        if sandbox
        else own_file.open_in_process(adapter, in_process_settings, hand)
    )
    async with opened as stage:
        yield stage
