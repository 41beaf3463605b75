"""One sandbox process per test module, and a fresh webhook receiver per test."""

from collections.abc import Iterator

import pytest
from sandbox_docusign_kit import Receiver, Sandbox


@pytest.fixture(scope="module")
def _process() -> Iterator[Sandbox]:
    sandbox = Sandbox(
        "--webhook-allow",
        "127.0.0.1",
        "--retry-schedule",
        "0.05,0.1",
        "--hourly-limit",
        "0",
        "--burst-limit",
        "0",
    )
    yield sandbox
    assert sandbox.stop() == 0


@pytest.fixture
def sandbox(_process: Sandbox) -> Iterator[Sandbox]:
    """The module's sandbox, without the faults and switches of the test before."""
    yield _process
    _process.control("DELETE", "/faults")
    _process.control(
        "POST", "/switches", has_consent=True, is_polling_limited=False, hourly_limit=0, burst_limit=0
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()
