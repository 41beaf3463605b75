"""Runs `countersign` with an environment of its own: in this process where that shows the same, else apart."""

import asyncio
import contextlib
import io
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from gateway.cli.main import run

WITHIN_S = 90


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """`environ`: the settings of this installation."""

    environ: dict[str, str]
    folder: Path

    async def run(self, *arguments: str, **environ: str) -> Ended:
        """In this process, in a thread of its own: commands make their own event loop."""
        return await asyncio.to_thread(self._run_here, arguments, self.environ | environ)

    async def run_apart(self, *arguments: str, **environ: str) -> Ended:
        """In a process of its own."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli.main",
            *arguments,
            cwd=self.folder,
            env=clean_environ() | self.environ | environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def well(self, *arguments: str, **environ: str) -> Ended:
        ended = await self.run(*arguments, **environ)
        assert ended.status == 0, ended
        return ended

    async def refused(self, *arguments: str, **environ: str) -> str:
        """What was said to somebody who must change something: status 2, and no traceback."""
        ended = await self.run(*arguments, **environ)
        assert ended.status == 2, ended
        assert "Traceback" not in ended.err
        assert ended.out == ""
        return ended.err

    def _run_here(self, arguments: tuple[str, ...], environ: dict[str, str]) -> Ended:
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        try:
            with (
                mock.patch.dict(os.environ, clean_environ() | environ, clear=True),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                try:
                    status = run(arguments)
                except SystemExit as error:
                    status = int(error.code or 0)
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
        return Ended(status, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def clean_environ() -> dict[str, str]:
    """What a process needs anyway; no settings of whoever runs the tests."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
