"""One sandbox process per test module; every test starts from a reset one."""

from collections.abc import Iterator

import pytest
from adobe_sandbox_kit import Api, Receiver, Running


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running("--webhook-allow", "127.0.0.1", "--processing-seconds", "0")
    try:
        yield server
    finally:
        code, errors = server.stop()
    assert (code, errors) == (0, "")


@pytest.fixture
def api(running: Running) -> Iterator[Api]:
    client = Api(running)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    try:
        yield listening
    finally:
        listening.close()
