"""The stores that start with Countersign when no URLs are set: a real PostgreSQL and a real Valkey.

One data folder belongs to one process at a time (a lock on the folder); passwords are random, made once and
kept there with mode 0600. Stopping is the reverse of starting; whoever also supervises the gateway's own
processes must stop those first and the stores last.
Must be used from the main thread: the servers die with the thread that started them.
"""

import json
import logging
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from config.embedded_postgres import PostgresServer, start_postgres
from config.embedded_valkey import ValkeyServer, start_valkey
from config.errors import ConfigError
from config.processes import FolderLock
from config.roles import APP, HUB, LOGIN_ROLES, OWNER
from config.secret import Secret

logger = logging.getLogger("countersign.embedded")

_PASSWORD_NAMES = ("postgres", *LOGIN_ROLES, "valkey")


class EmbeddedStores:
    """`async with EmbeddedStores(folder) as stores` (or plain `with`) runs both servers for the block."""

    def __init__(self, data_dir: Path, *, for_tests: bool = False, valkey: bool = True) -> None:
        self.data_dir = data_dir.absolute()
        self._for_tests = for_tests
        self._with_valkey = valkey
        self._lock = FolderLock(self.data_dir)
        self._passwords: dict[str, Secret] = {}
        self._postgres: PostgresServer | None = None
        self._valkey: ValkeyServer | None = None

    def start(self) -> Self:
        """Blocks until both answer: 0.1 s, or about a second when the cluster has to be created."""
        _make_private_folder(self.data_dir)
        self._lock.take()
        try:
            self._passwords = _keep_passwords(self.data_dir / "passwords.json")
            self._postgres = start_postgres(self.data_dir, self._passwords, for_tests=self._for_tests)
            if self._with_valkey:
                self._valkey = start_valkey(
                    self.data_dir, self._passwords["valkey"], for_tests=self._for_tests
                )
        except BaseException:  # Ctrl-C too: no server may be left behind
            self.stop()
            raise
        logger.info("embedded stores started in %s", self.data_dir)
        return self

    def stop(self) -> None:
        if self._valkey is not None:
            self._valkey.stop()
        if self._postgres is not None:
            self._postgres.stop()
        self._valkey = self._postgres = None
        self._lock.release()

    def revive(self) -> list[str]:
        """Starts again, on its old port, a store that has died; the names of those. Call it every second."""
        revived = []
        if self._postgres is not None and not self._postgres.is_running():
            self._postgres.start(port=self._postgres.port)
            revived.append("postgres")
        if self._valkey is not None and not self._valkey.is_running():
            self._valkey.start(port=self._valkey.port)
            revived.append("valkey")
        for name in revived:
            logger.warning("embedded %s had ended and was started again", name)
        return revived

    @property
    def postgres(self) -> PostgresServer:
        if self._postgres is None:
            raise RuntimeError("the embedded PostgreSQL is not running")
        return self._postgres

    @property
    def valkey(self) -> ValkeyServer:
        if self._valkey is None:
            raise RuntimeError("the embedded Valkey is not running")
        return self._valkey

    @property
    def database_owner_url(self) -> Secret:
        return self.role_url(OWNER)

    @property
    def database_url(self) -> Secret:
        return self.role_url(APP)

    @property
    def database_hub_url(self) -> Secret:
        return self.role_url(HUB)

    @property
    def redis_url(self) -> Secret:
        return self.valkey.url()

    def role_url(self, role: str, database: str = "countersign") -> Secret:
        return self.postgres.url(role, self._passwords[role], database)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        # Not in a thread: the servers would die with it. Nothing else runs yet that a second could hurt.
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _make_private_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"the data folder {folder} cannot be written")


def _keep_passwords(path: Path) -> dict[str, Secret]:
    """The folder's passwords; made on the first start."""
    try:
        stored = json.loads(path.read_text())
    except FileNotFoundError:
        stored = {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read") from error
    if path.exists() and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others; restrict it to mode 0600")
    missing = [name for name in _PASSWORD_NAMES if name not in stored]
    if missing:
        stored |= {name: secrets.token_urlsafe(32) for name in missing}
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as passwords:
            json.dump(stored, passwords)
        unfinished.rename(path)
    return {name: Secret(stored[name]) for name in _PASSWORD_NAMES}
