"""Dockerfile and what it builds: stages, user, hashes, and a wheel that holds every file the product reads."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gateway.cli.main import _parser
from tests.house.tree import LAYERS, ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]


def test_image_is_built_in_two_stages_on_one_pinned_base():
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", TEXT, re.MULTILINE)
    assert [name for _, name in stages] == ["build", "runtime"]
    assert len({base for base, _ in stages}) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", stages[0][0])


def test_image_runs_as_a_user_without_rights_and_checks_its_health():
    runtime = TEXT.partition(" AS runtime")[2]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", runtime, re.MULTILINE)
    assert "HEALTHCHECK" in runtime
    assert "/health" in runtime
    assert runtime.index("USER ") > runtime.index("COPY --from=build")


def test_command_of_the_image_exists():
    assert 'ENTRYPOINT ["countersign"]' in LINES
    found = re.search(r"^CMD \[(.*)\]$", TEXT, re.MULTILINE)
    assert found is not None
    assert _parser().parse_args(re.findall(r'"([^"]*)"', found[1])).command


def test_every_install_is_by_hash_or_without_an_index():
    commands = [part for line in LINES if line.startswith("RUN ") for part in line.split("&&")]
    installs = [part for part in commands if "-m pip " in part]
    assert len(installs) == 4
    assert all("--require-hashes" in one or ("--no-deps" in one and "--no-index" in one) for one in installs)


def test_no_file_of_the_deployment_names_a_registry():
    for path in (
        ROOT / "Dockerfile",
        ROOT / "deploy" / "compose.yaml",
        ROOT / "deploy" / "requirements-build.lock",
    ):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"--(extra-)?index-url|--trusted-host|--find-links", text)
        assert not re.search(r"(?:FROM|image:) \S+\.\S+/", text)


def test_build_lock_is_part_of_the_development_lock():
    build = (ROOT / "deploy" / "requirements-build.lock").read_text(encoding="utf-8")
    assert build.startswith("setuptools==")
    assert "--hash=sha256:" in build
    assert build in (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")


def test_context_holds_what_the_image_is_built_from_and_nothing_else():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    needed = {*LAYERS, "pyproject.toml", "README.md", "requirements.lock", "deploy/requirements-build.lock"}
    assert let_in == needed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built as the Dockerfile does, from a copy of what the context holds."""
    folder = tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(
        ["tar", "-cf", "-", "--exclude=__pycache__", *LAYERS, "pyproject.toml", "README.md"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    subprocess.run(["tar", "-xf", "-"], cwd=folder, input=listed.stdout, check=True, timeout=60)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
    ]
    command += ["--wheel-dir", str(folder / "wheels"), "."]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=110)
    (built,) = (folder / "wheels").glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


def test_wheel_holds_every_file_of_the_layers(wheel: set[str]):
    """Data files too: a migration that is left out is found at the customer's."""
    needed = {
        path.relative_to(ROOT).as_posix()
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and _belongs(path)
    }
    assert needed - wheel == set()


def _belongs(path: Path) -> bool:
    return "__pycache__" not in path.parts and path.suffix not in {".md", ".mako"} and path.name != "NOTICE"
