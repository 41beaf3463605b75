"""The examiner: a small process that reads hostile documents, each in a child of its own under hard limits.

Run as `python -m engine.documents.examiner`. It loads the libraries once and then forks: a child answers one
task and ends, so that nothing of one document outlives it, and what kills a child harms nobody. One JSON line
in on stdin, one out on stdout; when stdin closes, its owner is gone and it ends.
Must never be given a secret but a document's own password, and has no network, database or key at hand.
"""

import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import msgspec
import pikepdf

from engine.documents.inspection import inspect
from engine.documents.messages import Answer, Limits, Operation, Refusal, Refused, Task
from engine.documents.page_text import find_places, read_texts
from engine.verification.facts import FileFacts

_PR_SET_PDEATHSIG = 1
_DECODER = msgspec.json.Decoder(Task)
_ANSWERS = msgspec.json.Decoder(Answer)
_FILES = 64
_NOTHING = b""


def main() -> None:
    """Serves tasks until stdin closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_qpdf()
    held = bytearray()
    while True:
        piece = os.read(0, 65536)
        if not piece:
            return
        held += piece
        while b"\n" in held:
            line, _, rest = bytes(held).partition(b"\n")
            held = bytearray(rest)
            _send(1, _serve(_DECODER.decode(line)))


def _limit_qpdf(stream_bytes: int = 64 << 20) -> None:
    # Process-wide: once, before anything is opened. Children may narrow or widen them for their task.
    pikepdf.settings.set_qpdf_limits(
        flate_max_memory=stream_bytes,
        run_length_max_memory=stream_bytes,
        png_max_memory=stream_bytes,
        tiff_max_memory=stream_bytes,
        dct_max_memory=stream_bytes,
        parser_max_nesting=200,
        parser_max_container_size=1_000_000,
        doc_max_warnings=2000,
    )


def _serve(task: Task) -> Answer:
    """Forks, waits, and says what became of the child."""
    if task.operation is Operation.VERIFY:
        _load_verification()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_child(task, writing)
    os.close(writing)
    try:
        answered, why = _collect(reading, child, task.limits.wall_s)
    finally:
        os.close(reading)
    _, status, usage = os.wait4(child, 0)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if answered:
        try:
            return msgspec.structs.replace(_ANSWERS.decode(answered), peak_bytes=peak)
        except msgspec.MsgspecError:
            why = "crashed"
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
        why = "out_of_time"
    return Answer(refusals=(Refusal(why),), peak_bytes=peak)


def _collect(reading: int, child: int, wall_s: float) -> tuple[bytes, str]:
    """(what the child wrote, the refusal's code if it wrote nothing). Ends with it when our owner is gone."""
    ends_at = time.monotonic() + wall_s
    pieces: list[bytes] = []
    while True:
        ready, _, _ = select.select([reading, 0], [], [], max(0.0, ends_at - time.monotonic()))
        if reading in ready:
            piece = os.read(reading, 1 << 20)
            if not piece:
                return b"".join(pieces), "crashed"
            pieces.append(piece)
        elif 0 in ready:  # nobody sends a second task while the first runs: this is the end of stdin
            os.kill(child, signal.SIGKILL)
            os._exit(0)
        else:
            os.kill(child, signal.SIGKILL)
            return _NOTHING, "out_of_time"


def _run_child(task: Task, writing: int) -> NoReturn:
    """One task, then the end, whatever happens."""
    try:
        _limit_child(task.limits)
        _send(writing, _answer(task))
    except BaseException:  # noqa: BLE001 - the parent says what an end without an answer means
        os._exit(1)
    os._exit(0)


def _limit_child(limits: Limits) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() == 1:
            os._exit(1)
        space = _address_space() + limits.memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    most = 2 * limits.file_bytes
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    _limit_qpdf(limits.stream_bytes)


def _address_space() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def _answer(task: Task) -> Answer:
    try:
        match task.operation:
            case Operation.EXAMINE:
                return inspect(task)
            case Operation.FIND_ANCHORS:
                return Answer(places=find_places(task.source, task.texts))
            case Operation.READ_TEXTS:
                return Answer(texts=read_texts(task.source))
            case Operation.VERIFY:
                read, now = _load_verification(), task.moment or datetime.now(UTC)
                return Answer(signed=read(task.source, task.roots, now, task.limits))
    except Refused as refused:
        return Answer(refusals=(refused.refusal,))
    except MemoryError:
        return Answer(refusals=(Refusal("out_of_memory"),))
    except RecursionError:
        return Answer(refusals=(Refusal("too_complex", 0, "nested too deeply"),))
    except pikepdf.PdfError:
        return Answer(refusals=(Refusal("damaged"),))


def _load_verification() -> Callable[[str, Sequence[bytes], datetime, Limits], FileFacts]:
    """Loaded by the first verification, before the fork, and not by everybody who examines: it takes half a second
    and 40 MB.
    """
    from engine.verification.reading import read_signatures

    return read_signatures


def _send(descriptor: int, answer: Answer) -> None:
    line = memoryview(msgspec.json.encode(answer) + b"\n")
    while line:
        line = line[os.write(descriptor, line) :]


if __name__ == "__main__":
    main()
