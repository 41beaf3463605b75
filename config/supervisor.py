"""Runs named child processes: starts them in order, starts again what ends, stops them in reverse order.

Used by `countersign up` and the demo for gateway, deliverer, worker, scheduler and sandboxes. A child's output
is passed on line by line behind its name. A child that ends is started again after a growing pause; a child
that may end (`restart=False`) is only reported.
MUST be created and used in the main thread: children die with the thread that started them (config.processes).
Must never be given a secret on a command line: secrets go into `env`.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TextIO

import msgspec

from config.processes import die_with_parent, end_group

logger = logging.getLogger("countersign.supervisor")

_LINE_BYTES = 1024 * 1024
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
    """`async with Supervisor() as supervisor`, then `await supervisor.start(spec)` for each child in order."""

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
        self._keeper: asyncio.Task[None] | None = None
        self._is_stopping = False
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
        self._process = await asyncio.create_subprocess_exec(
            *self.spec.command,
            env={**os.environ, **self.spec.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=_LINE_BYTES,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        while self._process is not None:
            started_at = loop.time()
            await self._pass_on_output(self._process)
            status = await self._process.wait()
            end_group(self._process.pid)
            if self._is_stopping:
                return
            logger.warning("%s ended with status %s", self.spec.name, status)
            if not self.spec.restart:
                return
            if loop.time() - started_at > _HEALTHY_AFTER_S:
                self._pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            self.restarts += 1
            try:
                await self._spawn()
            except OSError:
                logger.exception("%s cannot be started again", self.spec.name)
                return

    async def _pass_on_output(self, process: asyncio.subprocess.Process) -> None:
        """Copies lines until the child ends; its own children may hold the pipe open longer."""
        if process.stdout is None:
            return
        ending = asyncio.ensure_future(process.wait())
        try:
            while True:
                reading = asyncio.ensure_future(self._next_line(process.stdout))
                await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    # The leader is gone: end its group, then read what was still written.
                    end_group(process.pid)
                line = await reading
                if not line:
                    return
                text = line.decode(errors="replace").rstrip("\r\n")
                print(f"{self.spec.name} | {text}", file=self._output, flush=True)
        finally:
            ending.cancel()

    @staticmethod
    async def _next_line(stream: asyncio.StreamReader) -> bytes:
        try:
            return await stream.readline()
        except ValueError:  # a line over the limit: its first part was dropped by the reader
            return b"(a line was too long)\n"

    async def stop(self) -> None:
        self._is_stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.spec.stop_signal)
            try:
                async with asyncio.timeout(self.spec.stop_within_s):
                    await process.wait()
            except TimeoutError:
                logger.warning("%s did not stop in time and is killed", self.spec.name)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process is not None:
            end_group(process.pid)
        if self._keeper is not None:
            self._keeper.cancel()  # it may be in a pause before a restart
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
