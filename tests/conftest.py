"""Loads every module of tests/fixtures and shares one PostgreSQL between the workers of a run.

With xdist the controller starts the server before the workers and hands its address on; without, the first
test that needs it does. Nothing of it outlives the run.
"""

import gc
import os
import sys
from pathlib import Path

import pytest

from tests.shared_postgres import SHARED

# Images of containers often forbid it; then each of the hundreds of processes that the tests start would compile
# every module again, and so would each worker, with every assertion of ours to be rewritten.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test of these takes as much as a few seconds: they come last, so that no worker is left with a long one.
SHORT = ("tests/adapters/", "tests/ledger/", "tests/normalizer/")

pytest_plugins = [
    f"tests.fixtures.{path.stem}"
    for path in sorted(Path(__file__).with_name("fixtures").glob("*.py"))
    if not path.stem.startswith("_")
]


def pytest_configure(config: pytest.Config) -> None:
    worker_input = getattr(config, "workerinput", None)
    if worker_input is not None:
        SHARED.adopt(worker_input)
    elif getattr(config.option, "dist", "no") != "no" and not config.option.collectonly:
        SHARED.start()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    SHARED.hand_on(node.workerinput)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Unless another way of sharing the tests out was asked for."""
    if config.option.dist != "load":
        return None
    from tests.scheduling import FilesTogether

    config.option.loadscopereorder = False  # by number of tests; ours is by time
    return FilesTogether(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.nodeid.startswith(SHORT))


def pytest_collection_finish() -> None:
    """What was imported stays to the end: looking through it for cycles again and again took a fifth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    SHARED.stop()
