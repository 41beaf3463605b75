"""The import contracts catch what they are there for: each injected violation breaks the contract named.

A copy of the tree is changed, never the tree itself. One file per contract and copy, all in one run of the
linter each, since building the graph is what takes the time.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import LAYERS, ROOT, provider_folders

LAYERING = "The eight layers"
PROVIDERS = "Providers know nothing of each other"
TRANSLATE = "Adapters translate: no database, queue or web framework"
SANS_IO = "Operations are sans-IO"
SANDBOX = "A sandbox shares no code with its adapter"
NOBODY = "Nobody imports a sandbox"
PURE = "The language and the rules do no I/O"
ORACLE = "The official DocuSign client is a test oracle"
APPEND = "Only record and the engine append to the ledger"
OUTBOX = "Only record and fan-out touch the outbox"

# (a file of the copy, what is imported there, the contract that must break)
VIOLATIONS = (
    ("ledger/entry.py", "import webhooks.record", LAYERING),
    ("config/clock.py", "import normalizer.ids", LAYERING),
    ("normalizer/ids.py", "import config.clock", LAYERING),
    ("webhooks/record.py", "import gateway.services", LAYERING),
    ("adapters/docusign/mapping.py", "import adapters.adobe_sign.mapping", PROVIDERS),
    ("adapters/docusign/tabs.py", "import sqlalchemy", TRANSLATE),
    ("adapters/adobe_sign/reports.py", "import redis", TRANSLATE),
    ("adapters/kit/executor.py", "import config.database", TRANSLATE),
    ("adapters/docusign/operations.py", "import asyncio", SANS_IO),
    ("adapters/docusign/recipients.py", "import httpx", SANS_IO),
    ("adapters/docusign/__init__.py", "import aiohttp", SANS_IO),
    ("adapters/adobe_sign/uploads.py", "import tenacity", SANS_IO),
    ("adapters/adobe_sign/happenings.py", "import asyncio", SANS_IO),
    ("adapters/docusign/sandbox/oauth.py", "import adapters.docusign.wire", SANDBOX),
    ("adapters/docusign/sandbox/pages.py", "import adapters.docusign.tabs", SANDBOX),
    ("adapters/adobe_sign/sandbox/world.py", "import adapters.adobe_sign.answers", SANDBOX),
    ("adapters/adobe_sign/sandbox/oauth.py", "import normalizer.ids", SANDBOX),
    ("gateway/services.py", "import adapters.docusign.sandbox", NOBODY),
    ("adapters/adobe_sign/mapping.py", "import adapters.adobe_sign.sandbox.world", NOBODY),
    ("normalizer/envelope.py", "import asyncio", PURE),
    ("compliance/__init__.py", "import httpx", PURE),
    ("gateway/app.py", "import docusign_esign", ORACLE),
    ("adapters/docusign/wire.py", "import docusign_esign", ORACLE),
    ("gateway/envelopes/void.py", "import ledger.append", APPEND),
    ("webhooks/outbound/pump.py", "import ledger.append", APPEND),
    ("gateway/envelopes/send.py", "import webhooks.outbound.outbox", OUTBOX),
)


def test_every_contract_has_an_injected_violation():
    assert {name for _, _, name in VIOLATIONS} == set(_contracts())


def test_every_provider_folder_is_in_the_contract_of_independence():
    contract = _contracts()[PROVIDERS]
    assert sorted(contract["modules"]) == [f"adapters.{folder.name}" for folder in provider_folders()]


@pytest.fixture(scope="module")
def clean_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("house")
    for layer in LAYERS:
        shutil.copytree(
            ROOT / layer,
            copy / layer,
            ignore=lambda _, names: {name for name in names if not _is_code(name)},
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_the_tree_as_it_is_keeps_every_contract(clean_copy: Path):
    assert _broken(clean_copy) == {}


def test_each_injected_violation_breaks_its_contract(clean_copy: Path):
    originals: dict[Path, str] = {}
    for name, statement, _ in VIOLATIONS:
        path = clean_copy / name
        originals.setdefault(path, path.read_text(encoding="utf-8"))
        path.write_text(f"{path.read_text(encoding='utf-8')}\n{statement}\n", encoding="utf-8")
    try:
        broken = _broken(clean_copy)
    finally:
        for path, text in originals.items():
            path.write_text(text, encoding="utf-8")
    missed = [
        f"{name}: {statement} ({contract})"
        for name, statement, contract in VIOLATIONS
        if not _is_reported(broken.get(contract, ""), name, statement)
    ]
    assert missed == []


def _is_reported(report: str, name: str, statement: str) -> bool:
    importer = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    imported = statement.removeprefix("import ")
    return re.search(rf"{re.escape(importer)} -> {re.escape(imported)}\b", report) is not None


def _broken(folder: Path) -> dict[str, str]:
    """What the linter says of each broken contract, by the contract's name."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "250"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout
    assert "Contracts:" in said, said + done.stderr
    names = re.findall(r"^(.+) BROKEN(?: \(.*\))?$", said, flags=re.MULTILINE)
    assert bool(done.returncode) is bool(names)
    _, _, details = said.partition("Broken contracts")
    parts = (
        re.split(rf"^({'|'.join(map(re.escape, names))})\n-+$", details, flags=re.MULTILINE)[1:]
        if names
        else []
    )
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _contracts() -> dict[str, dict[str, list[str]]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {contract["name"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}


def _is_code(name: str) -> bool:
    return name.endswith(".py") or ("." not in name and name != "__pycache__")
