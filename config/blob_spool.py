"""Holds documents in a folder of this machine while the blob store is away; a job moves them when it is back.

What lies here is encrypted already, in the object's own form: moving is copying bytes. A file has its last name
only once it is on the disk; a reader finds it until the store has it. Whoever moves, removes or finishes a file
holds its lock, so that two processes on the folder take turns.
Bounded by bytes and by files. Must never be the only copy of what has been in the store.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from config.errors import StoreUnavailable

_NAME = re.compile(r"[0-9a-f-]{36}_[0-9a-f]{2}_[0-9a-f]{30}")
_UNFINISHED = ".part"
_LOOK_EVERY = 4 * 1024 * 1024


class SpoolFull(Exception):
    """The folder holds as much as it may."""


class Spool:
    def __init__(self, folder: Path, *, most_bytes: int, most_files: int) -> None:
        self._folder = folder
        self._most_bytes, self._most_files = most_bytes, most_files

    def begin(self, key: str) -> "Keeping":
        """Raises SpoolFull; OSError when the folder cannot be written."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files, size = self.measure()
        if files >= self._most_files or size >= self._most_bytes:
            raise SpoolFull
        return Keeping(self, self._folder / key.replace("/", "_"))

    def check_room(self) -> None:
        """Raises SpoolFull."""
        if self.measure()[1] > self._most_bytes:
            raise SpoolFull

    def measure(self) -> tuple[int, int]:
        """(files, bytes), unfinished ones too."""
        sizes = []
        for entry in self._entries():
            with contextlib.suppress(FileNotFoundError):
                sizes.append(entry.stat().st_size)
        return len(sizes), sum(sizes)

    def open(self, key: str) -> BinaryIO | None:
        try:
            return (self._folder / key.replace("/", "_")).open("rb")
        except FileNotFoundError:
            return None

    def waiting(self) -> list[str]:
        """Keys of what is held, oldest first; removes what a process that died left unfinished."""
        found: list[tuple[float, str]] = []
        for entry in self._entries():
            if entry.name.endswith(_UNFINISHED):
                self._sweep(Path(entry.path))
            elif _NAME.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    found.append((entry.stat().st_mtime, entry.name.replace("_", "/")))
        return [key for _, key in sorted(found)]

    @contextlib.contextmanager
    def hold(self, key: str, *, wait: bool) -> Iterator[Path | None]:
        """The file, while nobody else moves or removes it; None when it is gone, or busy and not waited for."""
        path = self._folder / key.replace("/", "_")
        with _locked(path, wait=wait) as is_ours:
            yield path if is_ours else None

    def remove(self, key: str) -> bool:
        """Whether it was here."""
        with self.hold(key, wait=True) as path:
            if path is None:
                return False
            path.unlink()
            return True

    def _entries(self) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._folder) as entries:
                return list(entries)
        except FileNotFoundError:
            return []

    def _sweep(self, path: Path) -> None:
        with _locked(path, wait=False) as is_ours:  # its writer holds it while it lives
            if is_ours:
                path.unlink()


class Keeping:
    """One file in the making. Ends by `finish` or `discard`."""

    def __init__(self, spool: Spool, path: Path) -> None:
        self._spool, self._path = spool, path
        self._unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_UNFINISHED}")
        descriptor = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = open(descriptor, "wb", buffering=0)  # noqa: SIM115  (closed by finish and discard)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._since_look = 0

    def write(self, part: bytes) -> None:
        """Raises SpoolFull; OSError when the disk is full."""
        view = memoryview(part)
        while view:
            view = view[self._file.write(view) :]
        self._since_look += len(part)
        if self._since_look >= _LOOK_EVERY:
            self._since_look = 0
            self._spool.check_room()

    def finish(self) -> None:
        """On the disk under its name when this returns. Blocks; raises SpoolFull, StoreUnavailable."""
        self._spool.check_room()
        try:
            os.fsync(self._file.fileno())
            self._unfinished.rename(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise StoreUnavailable(f"the spool cannot keep a document ({type(error).__name__})") from error
        finally:
            self._file.close()

    def discard(self) -> None:
        self._file.close()
        self._unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Whether the file is ours for now: it exists, and nobody else has it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield os.fstat(descriptor).st_nlink > 0  # 0: it was removed while we waited
    finally:
        os.close(descriptor)
