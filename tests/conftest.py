"""Loads every module of tests/fixtures and shares one PostgreSQL between the workers of a run.

With xdist the controller starts the server before the workers and hands its address on; without, the first
test that needs it does. Nothing of it outlives the run.
"""

import gc
from pathlib import Path

import pytest

from tests.shared_postgres import SHARED

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


def pytest_collection_finish() -> None:
    """What was imported stays to the end: looking through it for cycles again and again took a fifth of the time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    SHARED.stop()
