"""Commands that the documents name exist: `countersign x y` parses, `make x` is a target."""

import argparse
import re
from pathlib import Path

import pytest

from gateway.cli.main import _parser
from tests.house.tree import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"(?:`|^|\$ )countersign ([a-z-]+)(?: ([a-z-]+))?", re.MULTILINE)
TARGET = re.compile(r"(?:`|^\$ )make ([a-z-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_exist(page: Path):
    unknown = [
        " ".join(filter(None, found))
        for found in COMMAND.findall(page.read_text(encoding="utf-8"))
        if not _exists(*found)
    ]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_targets_of_a_page_exist(page: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(TARGET.findall(page.read_text(encoding="utf-8"))) - targets == set()


def test_a_command_that_is_not_there_is_seen():
    assert not _exists("dance", "")
    assert not _exists("ledger", "dance")
    assert _exists("ledger", "verify")


def _exists(command: str, action: str) -> bool:
    commands = _choices(_parser())
    if command not in commands:
        return False
    actions = _choices(commands[command])
    return not action or not actions or action in actions


def _choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}
