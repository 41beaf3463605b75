"""Runs named child processes: starts them in order, starts again what ends, stops them in reverse order.

Used by `countersign up` and the demo for gateway, deliverer, worker, scheduler and sandboxes. The output of a
child is passed on line by line behind its name. A child that ends is started again after a growing pause; one
that may end (`restart=False`) is only reported.
MUST be created and used in the main thread: children die with the thread that started them.
Must never be given a secret on a command line: secrets go into `env`.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self, TextIO

import msgspec

from config.processes import die_with_parent, end_group

logger = logging.getLogger("countersign.supervisor")

_LINE_BYTES = 1024 * 1024
_LAST_LINES_S = 2.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_HEALTHY_AFTER_S = 30.0  # a child that lived this long starts again with the first pause


class ChildSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One process to run. `env` is added to the supervisor's own environment."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = {}
    restart: bool = True
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 30.0


class Supervisor:
    """Use as `async with Supervisor() as supervisor`, then `await supervisor.start(spec)` in order."""

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stderr
        self._children: list[_Child] = []

    async def start(self, spec: ChildSpec, *, ready: Callable[[], Awaitable[bool]] | None = None) -> None:
        """Starts a child; with `ready`, returns when it says so.

        Raises RuntimeError when the child ends before it is ready. How long to wait is the caller's
        (`asyncio.timeout`).
        """
        if any(child.spec.name == spec.name for child in self._children):
            raise ValueError(f"there is a child called {spec.name} already")
        child = _Child(spec, self._output)
        self._children.append(child)
        await child.launch()
        while ready is not None and not await ready():
            if child.has_failed_to_start():
                raise RuntimeError(f"{spec.name} ended before it was ready")
            await asyncio.sleep(0.02)

    def pid(self, name: str) -> int:
        """The pid of a running child; raises KeyError when there is none of that name or it is down."""
        for child in self._children:
            if child.spec.name == name and child.pid is not None:
                return child.pid
        raise KeyError(name)

    def restarts(self, name: str) -> int:
        """How often the child has been started again."""
        return next(child.restarts for child in self._children if child.spec.name == name)

    async def stop(self) -> None:
        """Stops the children, the last one first; each is killed with its group when its time is over."""
        while self._children:
            await self._children[-1].stop()
            self._children.pop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Once begun, stopping is carried through: a second Ctrl-C must not leave children behind.
        stopping = asyncio.ensure_future(self.stop())
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()


class _Child:
    def __init__(self, spec: ChildSpec, output: TextIO) -> None:
        self.spec = spec
        self.restarts = 0
        self._output = output
        self._process: asyncio.subprocess.Process | None = None
        self._lines = asyncio.StreamReader()
        self._pipe: asyncio.ReadTransport
        self._keeper: asyncio.Task[None] | None = None
        self._stop_asked = asyncio.Event()
        self._pause_s = _FIRST_PAUSE_S

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def has_failed_to_start(self) -> bool:
        return self.pid is None and (self.restarts > 2 or not self.spec.restart)

    async def launch(self) -> None:
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep())

    async def _spawn(self) -> None:
        # A pipe of our own: asyncio's would make `wait()` wait until the grandchildren close it too.
        reading_end, writing_end = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self.spec.command,
                env={**os.environ, **self.spec.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing_end,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        except BaseException:  # cancelled too: nobody would close this end
            os.close(reading_end)
            raise
        finally:
            os.close(writing_end)
        self._lines = asyncio.StreamReader(limit=_LINE_BYTES)
        protocol = asyncio.StreamReaderProtocol(self._lines)
        pipe = os.fdopen(reading_end, "rb", 0)
        self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, pipe)

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while self._process is not None:
            started_at = loop.time()
            copying = asyncio.create_task(self._copy_lines(self._lines))
            status = await self._process.wait()
            end_group(self._process.pid)  # what it left would also hold the pipe open
            await asyncio.wait({copying}, timeout=_LAST_LINES_S)
            copying.cancel()
            self._pipe.close()
            if self._stop_asked.is_set():
                return
            logger.warning("%s ended with status %s", self.spec.name, status)
            if not self.spec.restart:
                return
            if loop.time() - started_at > _HEALTHY_AFTER_S:
                self._pause_s = _FIRST_PAUSE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self._stop_asked.wait()
                    return
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError:
                logger.exception("%s cannot be started again", self.spec.name)
                return
            if self._stop_asked.is_set():  # it came while the child was being started
                self._signal(self.spec.stop_signal)

    async def _copy_lines(self, lines: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await lines.readline()
            except ValueError:  # over the limit: the reader has dropped its beginning
                line = b"(a line was too long)\n"
            if not line:
                return
            text = line.decode(errors="replace").rstrip("\r\n")
            print(f"{self.spec.name} | {text}", file=self._output, flush=True)

    def _signal(self, which: signal.Signals) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(which)

    async def stop(self) -> None:
        self._stop_asked.set()
        if self._keeper is None:
            return
        for which, within_s in ((self.spec.stop_signal, self.spec.stop_within_s), (signal.SIGKILL, 10.0)):
            if not self._keeper.done():
                self._signal(which)
                await asyncio.wait({self._keeper}, timeout=within_s)
        await self._keeper
