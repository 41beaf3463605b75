"""deploy/roles.sql: the statements of config/roles.py, and a run of it by psql on a real server."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from config.embedded import EmbeddedStores
from config.embedded_postgres import binary
from config.roles import APP, HUB, LEDGER, OWNER, roles_script
from config.secret import Secret
from tests.house.tree import ROOT

SQL = ROOT / "deploy" / "roles.sql"
PASSWORDS = {OWNER: "owner", APP: "app", HUB: "hub"}


def test_statements_are_those_of_the_configuration():
    written = SQL.read_text(encoding="utf-8")
    statements = [
        _normal(line) for line in written.splitlines() if line and not line.startswith(("--", "\\"))
    ]
    ours = roles_script({role: Secret(f"the {word} password") for role, word in PASSWORDS.items()})
    expected = [
        _normal(re.sub(r"E'the (\w+) password'", r":'\1_password'", line))
        for line in ours.strip().splitlines()
    ]
    assert statements[: len(expected)] == expected


@pytest.fixture
def server() -> Iterator[EmbeddedStores]:
    folder = Path(tempfile.mkdtemp(prefix="countersign-tests-"))
    try:
        with EmbeddedStores(folder, for_tests=True, valkey=False) as stores:
            yield stores
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_roles_script_makes_roles_that_can_log_in_and_a_database_of_the_owners(server: EmbeddedStores):
    passwords = {word: f"a-new-password-of-{word}" for word in PASSWORDS.values()}
    for _ in range(2):  # it may run again
        _run(server, passwords)
    for role, word in PASSWORDS.items():
        url = server.postgres.superuser_url("countersign").reveal()
        own = re.sub(r"//[^@]*@", f"//{role}:{passwords[word]}@", url)
        connection = await asyncpg.connect(own)
        row = await connection.fetchrow(
            "SELECT rolsuper, rolbypassrls, (SELECT pg_get_userbyid(datdba) FROM pg_database"
            " WHERE datname = current_database()) AS owner FROM pg_roles WHERE rolname = current_user"
        )
        await connection.close()
        assert row is not None
        assert (row["rolsuper"], row["rolbypassrls"], row["owner"]) == (False, role == HUB, OWNER)


async def test_roles_script_leaves_the_ledgers_role_without_a_log_in(server: EmbeddedStores):
    _run(server, {word: f"a-new-password-of-{word}" for word in PASSWORDS.values()})
    connection = await asyncpg.connect(server.postgres.superuser_url("postgres").reveal())
    assert await connection.fetchval("SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", LEDGER) is False
    await connection.close()


def test_roles_script_without_a_password_does_nothing(server: EmbeddedStores):
    with pytest.raises(subprocess.CalledProcessError, match=r"exit status [12]"):
        _run(server, {"owner": "x", "app": "y"})


def _run(server: EmbeddedStores, passwords: dict[str, str]) -> None:
    psql = binary("psql")
    parts = re.match(
        r"postgres(?:ql)?://(?P<user>[^:]+):(?P<password>[^@]+)@(?P<host>[^:/]+):(?P<port>\d+)",
        server.postgres.superuser_url("postgres").reveal(),
    )
    assert parts is not None
    subprocess.run(
        ["sh", str(ROOT / "deploy" / "roles.sh")],
        env={
            "PATH": f"{psql.parent}{os.pathsep}{os.environ['PATH']}",
            "PGHOST": parts["host"],
            "PGPORT": parts["port"],
            "PGUSER": parts["user"],
            "PGPASSWORD": parts["password"],
            "ROLES_SQL": str(SQL),
            **{f"POSTGRES_{word.upper()}_PASSWORD": text for word, text in passwords.items()},
        },
        check=True,
        capture_output=True,
        timeout=60,
    )


def _normal(statement: str) -> str:
    return " ".join(statement.partition("--")[0].split())
