"""Lock files and what must not be installed."""

import importlib.util
import re

import pytest

from tests.house.tree import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
ENTRY = re.compile(r"^[A-Za-z0-9._-]+(\[[\w,-]+\])?==[^\s;]+")


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_file_is_pinned_and_hashed(name: str):
    entries = _entries((ROOT / name).read_text(encoding="utf-8"))
    assert entries
    loose = [
        entry.splitlines()[0] for entry in entries if not ENTRY.match(entry) or "--hash=sha256:" not in entry
    ]
    assert loose == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_host(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_what_runs_in_production_is_locked_for_development_too():
    production = {_name(entry) for entry in _entries((ROOT / LOCKS[0]).read_text(encoding="utf-8"))}
    development = {_name(entry) for entry in _entries((ROOT / LOCKS[1]).read_text(encoding="utf-8"))}
    assert production - development == set()


def test_advanced_alchemy_is_not_importable():
    """Litestar imports it when it is there: four times slower to start, twice the memory."""
    assert importlib.util.find_spec("advanced_alchemy") is None


def test_the_official_client_is_no_dependency_of_production():
    names = {_name(entry) for entry in _entries((ROOT / LOCKS[0]).read_text(encoding="utf-8"))}
    assert "docusign-esign" not in names
    assert "fastapi" not in names


def _entries(text: str) -> list[str]:
    joined = text.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _name(entry: str) -> str:
    return re.split(r"[=\[ ;]", entry, maxsplit=1)[0].lower().replace("_", "-")
