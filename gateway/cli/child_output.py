"""Where the lines of child processes go: all of them into a log file, errors to the terminal in one line.

A sandbox's ready line is caught and kept: it carries credentials and is not for a log.
"""

import asyncio
import io
import json
from collections import deque
from pathlib import Path
from typing import Any, TextIO

_TOLD_LEVELS = {"error", "critical"}
_LAST_LINES = 20


class ChildOutput(io.StringIO):
    """What a Supervisor writes to. `tell` None: nothing is shown, only kept."""

    def __init__(self, log: Path, tell: TextIO | None, *, verbose: bool = False) -> None:
        super().__init__()
        self._path = log
        self._log = log.open("a", encoding="utf-8", buffering=1)
        self._tell = tell
        self._verbose = verbose
        self._begun = ""
        self._last: dict[str, deque[str]] = {}
        self._ready: dict[str, asyncio.Future[dict[str, Any]]] = {}

    def write(self, text: str) -> int:
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._take(line)
        return len(text)

    def expect_ready(self, name: str) -> "asyncio.Future[dict[str, Any]]":
        """The ready line of this child, when it comes."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._ready[name] = future
        return future

    def last_lines(self, name: str) -> list[str]:
        return list(self._last.get(name, ()))

    def close(self) -> None:
        self._log.close()
        super().close()

    def _take(self, line: str) -> None:
        name, bar, rest = line.partition(" | ")
        told = _read(rest) if bar else None
        if told is not None and "credentials" in told:
            waiting = self._ready.get(name)
            if waiting is not None and not waiting.done():
                waiting.set_result(told)
            return
        self._log.write(line + "\n")
        self._last.setdefault(name, deque(maxlen=_LAST_LINES)).append(rest)
        if self._tell is None:
            return
        if self._verbose:
            print(line, file=self._tell, flush=True)
        elif told is not None and told.get("level") in _TOLD_LEVELS:
            print(f"{name}: {told.get('event')} (more in {self._path})", file=self._tell, flush=True)


def _read(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
