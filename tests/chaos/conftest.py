"""One installation for the chaos tests of each test worker; what is acknowledged in it adds up over them."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from gateway.cli.callers import cli_caller
from gateway.composition import open_services
from gateway.routing.policy import Condition
from gateway.tenants.routing import PolicyInput, RuleInput, read_policy, set_policy
from tests.chaos.house import ChaosHouse, open_chaos
from tests.chaos.load import Load
from tests.chaos.receiver import Recorder
from tests.chaos.secrecy import find_leaks


class Stage(msgspec.Struct, frozen=True):
    """What a test works with. The load's acknowledgements add up over all tests of the worker."""

    house: ChaosHouse
    load: Load
    recorder: Recorder


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def stage() -> AsyncIterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="countersign-chaos-"))
    try:
        async with Recorder() as recorder, open_chaos(folder) as house:
            await _route_by_document_type(house)
            switches = f"{house.house.sandboxes['docusign'].url}/sandbox/switches"
            await house.client.post(switches, json={"hourly_limit": 0, "burst_limit": 0})
            load = Load(house)
            endpoint = await load.subscribe(recorder.url("main"))
            recorder.trust("main", endpoint["secret"])
            yield Stage(house, load, recorder)
            leaked = find_leaks(house, recorder)
            assert leaked == {}, "secrets where none belong"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _route_by_document_type(house: ChaosHouse) -> None:
    """A document type that is a provider's name goes to that provider."""
    development = house.house.development
    async with open_services(house.house.settings, name="chaos") as services:
        policy = await read_policy(services, development.tenant_id)
        rules = tuple(
            RuleInput(
                name=provider,
                when=Condition(document_types=(provider,)),
                connection_id=development.connection(provider),
            )
            for provider in development.connections
        )
        given = PolicyInput(version=policy.version, rules=rules)
        await set_policy(services, cli_caller(), development.tenant_id, given)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], pytestconfig: pytest.Config):
    """Prints a line past the capture: figures are for people, also when everything passes. A test worker has
    nobody to print to: there the line is kept with the test (`-rP` shows it).
    """

    def speak(line: str) -> None:
        if hasattr(pytestconfig, "workerinput"):
            print(line)
            return
        with capsys.disabled():
            print(f"\n{line}", end="", flush=True)

    return speak
