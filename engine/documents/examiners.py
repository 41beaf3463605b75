"""Keeps a few examiner processes warm and hands them one document at a time.

They are started when the first document comes, in a session of their own and without our environment; one that
breaks its time or loses its wits is killed and replaced. Must never let a document's fault reach this process:
whatever an examiner does ends as an Answer or as ExaminerLost.
"""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import msgspec

import engine
from engine.documents.kept_texts import Texts
from engine.documents.messages import Answer, Task

logger = logging.getLogger("countersign.documents")

_ROOT = Path(engine.__file__).parents[1]
_LINE_BYTES = 64 * 1024 * 1024
_GRACE_S = 10.0  # over the task's own wall time, which the examiner keeps itself
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Answer)


class ExaminerLost(RuntimeError):
    """The examiner could not be started or did not answer: nothing is known about the document."""


class Examiners:
    """At most `most` at once; more wait their turn. `texts`: what was read last."""

    def __init__(self, most: int = 2) -> None:
        self.texts = Texts()
        self._turns = asyncio.Semaphore(most)
        self._idle: list[Process] = []
        self._closed = False

    async def run(self, task: Task) -> Answer:
        """Raises ExaminerLost."""
        async with self._turns:
            examiner = await self._take()
            try:
                answer = await self._ask(examiner, task)
            except BaseException:
                await _end(examiner)  # it may be in the middle of something
                raise
            self._idle.append(examiner)
            return answer

    async def aclose(self) -> None:
        self._closed = True
        while self._idle:
            await _end(self._idle.pop())

    async def _take(self) -> Process:
        if self._closed:
            raise ExaminerLost("the examiners are closed")
        while self._idle:
            examiner = self._idle.pop()
            if examiner.returncode is None:
                return examiner
            await _end(examiner)
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "engine.documents.examiner",
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                cwd=_ROOT,
                env={"PYTHONPATH": str(_ROOT), "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
                start_new_session=True,
                limit=_LINE_BYTES,
            )
        except OSError as error:
            raise ExaminerLost(f"no examiner could be started ({type(error).__name__})") from error

    async def _ask(self, examiner: Process, task: Task) -> Answer:
        assert examiner.stdin is not None  # noqa: S101 - both were asked for
        assert examiner.stdout is not None  # noqa: S101 - as above
        try:
            async with asyncio.timeout(task.limits.wall_s + _GRACE_S):
                examiner.stdin.write(_ENCODER.encode(task) + b"\n")
                await examiner.stdin.drain()
                line = await examiner.stdout.readline()
            return _DECODER.decode(line)
        except TimeoutError as error:
            raise ExaminerLost("the examiner did not answer in time") from error
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise ExaminerLost(f"the examiner broke off ({type(error).__name__})") from error


async def _end(examiner: Process) -> None:
    """It holds nothing worth a farewell; its own child dies with it."""
    with contextlib.suppress(ProcessLookupError):
        examiner.kill()
    await examiner.wait()
    if examiner.stdin is not None:
        examiner.stdin.close()
