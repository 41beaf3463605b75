"""A provider's sandbox as users start it: `python -m <module>`, in its own process, on loopback."""

import json
import os
import select
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

READY_WITHIN_S = 60


class SandboxProcess:
    def __init__(self, module: str) -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.credentials: dict[str, Any] = {}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", self._module, "--port", "0", "--json"]
        command += ["--webhook-allow", "127.0.0.1"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        ready = json.loads(self._first_line())
        self.url, self.credentials = ready["url"], ready["credentials"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _first_line(self) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe, line, ends_at = self._process.stdout.fileno(), b"", time.monotonic() + READY_WITHIN_S
        while not line.endswith(b"\n"):
            left = ends_at - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise TimeoutError(f"{self._module} did not become ready")
            read = os.read(pipe, 65536)
            if not read:
                raise RuntimeError(f"{self._module} ended with {self._process.wait()} before it was ready")
            line += read
        return line
