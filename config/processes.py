"""Child processes that do not outlive us, and folders that belong to one of us at a time.

Every child leads a session of its own (a Ctrl-C at the terminal reaches only the supervisor, which stops its
children in order) and asks the kernel for a signal when its parent dies, so that even SIGKILL of the parent
leaves nothing running. The kernel sends that signal when the parent THREAD ends: children must be started
from the main thread. macOS has no such request: there the next start on the same folder ends what was left.
Must never signal a process that it cannot show to be ours: a pid file is believed only when the process's
command line names our folder.
"""

import contextlib
import ctypes
import fcntl
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from config.errors import ConfigError

_PR_SET_PDEATHSIG = 1
_PORTS = range(18_000, 32_000)
_TRIES = 50
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` that ties the child to the life of the calling (main) thread."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "children are started from the main thread: they die with the thread that started them"
        )
    if _LIBC is None:
        return None
    parent = os.getpid()
    prctl = _LIBC.prctl

    def tie() -> None:  # between fork and exec: nothing but system calls
        prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the request was made
            os._exit(1)

    return tie


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: IO[bytes] | int,
    death_signal: signal.Signals = signal.SIGTERM,
    user: int | None = None,
    stdin: int | None = subprocess.DEVNULL,
) -> "subprocess.Popen[bytes]":
    """Starts a child in its own session that dies with us; its output goes to `log`."""
    return subprocess.Popen(  # noqa: S603  (the command is composed by our own code)
        list(command),
        env=dict(env),
        stdin=stdin,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        preexec_fn=die_with_parent(death_signal),  # noqa: PLW1509  (main thread only, see above)
    )


def stop(child: "subprocess.Popen[bytes]", *, ask: signal.Signals, within_s: float) -> int:
    """Asks the child to stop, insists after `within_s`, ends what is left of its group; the exit status."""
    if child.poll() is None:
        child.send_signal(ask)
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            child.kill()
    status = child.wait()
    end_group(child.pid)
    return status


def end_group(leader: int) -> None:
    """Kills what a finished leader left in its process group (a killed master's workers keep serving)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def command_line(pid: int) -> str:
    """The process's command line with spaces between words; empty when there is no such process."""
    if _LIBC is not None:  # Linux; mypy would call the rest unreachable if it saw sys.platform
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(  # noqa: S603  (the command is composed by our own code)
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()


def end_leftover(pid_file: Path, folder: Path, *, ask: signal.Signals, within_s: float = 5.0) -> None:
    """Ends the process of a pid file that a killed predecessor left, if it is ours, and removes the file.

    Its own death signal is under way already in most cases; the caller holds the folder's lock.
    """
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        pid_file.unlink(missing_ok=True)
        return
    deadline = time.monotonic() + within_s
    asked = False
    while pid > 1 and str(folder) in command_line(pid):
        with contextlib.suppress(ProcessLookupError):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            elif not asked:
                os.kill(pid, ask)
                asked = True
        time.sleep(0.02)
    pid_file.unlink(missing_ok=True)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that was free a moment ago.

    Below those that outgoing connections are given by themselves: one of them would take it before its server does.
    """
    for port in (*(secrets.choice(_PORTS) for _ in range(_TRIES)), 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no TCP port of 127.0.0.1 is free")


def wait_until(is_ready: Callable[[], bool], child: "subprocess.Popen[bytes]", *, within_s: float) -> bool:
    """Polls until ready; False when the child ends or the time is over first."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_ready():
            return True
        if child.poll() is not None:
            return False
        time.sleep(0.005)
    return False


class FolderLock:
    """An exclusive lock on a data folder for the life of this process; children do not inherit it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._descriptor: int | None = None

    def take(self) -> Self:
        """Raises ConfigError when another process holds the folder."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            raise ConfigError(f"the data folder {self._path.parent} is used by process {holder}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor
        return self

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
