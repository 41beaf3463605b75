"""One embedded PostgreSQL per run, with a migrated template that every test's database is copied from."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from config.embedded import EmbeddedStores
from config.roles import LOGIN_ROLES
from config.secret import Secret
from gateway.migrations.run import migrate

TEMPLATE = "countersign_template"
_KEY = "countersign_postgres"


class SharedPostgres:
    """The run's server: started here, or adopted from the controller's hand-over."""

    def __init__(self) -> None:
        self._stores: EmbeddedStores | None = None
        self._urls: dict[str, str] = {}  # role to URL, with {database} to be filled in

    def start(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="countersign-tests-", dir=_fast_folder()))
        stores = EmbeddedStores(folder, for_tests=True, valkey=False)
        try:
            stores.start()
            self._stores = stores
            self._urls = {role: stores.role_url(role, "{database}").reveal() for role in LOGIN_ROLES}
            self._urls["postgres"] = stores.postgres.superuser_url("{database}").reveal()
            stores.postgres.run_script(f"CREATE DATABASE {TEMPLATE} OWNER countersign_owner;")
            asyncio.run(migrate(self.url("countersign_owner", TEMPLATE)))
            stores.postgres.run_script(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false;")
        except BaseException:
            stores.stop()
            shutil.rmtree(folder, ignore_errors=True)
            self._stores = None
            raise

    def ensure(self) -> None:
        """Starts the server unless somebody has."""
        if not self._urls:
            self.start()

    def hand_on(self, worker_input: dict[str, Any]) -> None:
        worker_input[_KEY] = self._urls

    def adopt(self, worker_input: dict[str, Any]) -> None:
        self._urls = worker_input[_KEY]

    def url(self, role: str, database: str) -> Secret:
        return Secret(self._urls[role].replace("{database}", database))

    def stop(self) -> None:
        if self._stores is not None:
            self._stores.stop()
            shutil.rmtree(self._stores.data_dir, ignore_errors=True)
            self._stores = None


def _fast_folder() -> str | None:
    """Memory, where there is plenty: copying a database makes a thousand files, a disk takes 20 times longer."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * 1024**3
    return str(memory) if roomy and os.access(memory, os.W_OK) else None


SHARED = SharedPostgres()


def worker_name() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")
