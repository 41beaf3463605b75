"""The examiners as processes: limits that hold, faults that stay inside, and nothing left behind."""

import asyncio
import os
import random
import select
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.settings_documents import DocumentSettings
from engine.documents.examine import limits_of
from engine.documents.examiners import ExaminerLost, Examiners
from engine.documents.messages import Answer, Limits, Operation, Task
from tests.engine.documents import hostile
from tests.gateway import papers

LIMITS = limits_of(DocumentSettings())
ANY_PAGES = msgspec.structs.replace(LIMITS, pages=1_000_000)


def task(folder: Path, content: bytes, limits: Limits = LIMITS) -> Task:
    source = folder / "source.pdf"
    source.write_bytes(content)
    return Task(
        operation=Operation.EXAMINE, source=str(source), target=str(folder / "target.pdf"), limits=limits
    )


def endless(folder: Path, limits: Limits = LIMITS) -> Task:
    """A document that takes seconds of the processor: a test that ends it is over long before."""
    patient = msgspec.structs.replace(limits, pages=1_000_000, memory_bytes=1 << 30)
    return task(folder, hostile.many_pages(200_000), patient)


async def ask(folder: Path, content: bytes, limits: Limits) -> Answer:
    examiners = Examiners()
    try:
        return await examiners.run(task(folder, content, limits))
    finally:
        await examiners.aclose()


async def test_an_examination_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    examiners = Examiners()
    answer = await examiners.run(endless(tmp_path, msgspec.structs.replace(LIMITS, wall_s=0.05)))
    assert [one.code for one in answer.refusals] == ["out_of_time"]
    assert (await examiners.run(task(tmp_path, papers.pdf()))).page_count == 1
    await examiners.aclose()


async def test_an_examination_that_takes_too_much_of_the_processor_is_ended(tmp_path: Path) -> None:
    examiners = Examiners()
    answer = await examiners.run(endless(tmp_path, msgspec.structs.replace(LIMITS, cpu_s=1)))
    assert [one.code for one in answer.refusals] == ["out_of_time"]
    await examiners.aclose()


async def test_an_examination_that_takes_too_much_memory_is_ended(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(ANY_PAGES, memory_bytes=32 << 20)
    answer = await ask(tmp_path, hostile.many_pages(), limits)
    assert answer.refusals[0].code in {"out_of_memory", "crashed"}
    assert answer.peak_bytes < 150 << 20


async def test_an_examiner_that_is_lost_is_told_and_replaced(tmp_path: Path) -> None:
    examiners = Examiners(1)
    ready = await examiners.run(task(tmp_path, papers.pdf()))
    (examiner,) = examiners._idle
    slow = asyncio.create_task(examiners.run(endless(tmp_path)))
    while examiners._idle:  # noqa: ASYNC110 - the pool tells nobody that it was asked
        await asyncio.sleep(0)
    examiner.kill()
    with pytest.raises(ExaminerLost):
        await slow
    assert (await examiners.run(task(tmp_path, papers.pdf()))).pages == ready.pages
    await examiners.aclose()


async def test_a_caller_that_gives_up_leaves_no_examiner_in_the_middle_of_something(tmp_path: Path) -> None:
    examiners = Examiners(1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await examiners.run(endless(tmp_path))
    assert examiners._idle == []
    assert (await examiners.run(task(tmp_path, papers.pdf(pages=2)))).page_count == 2
    await examiners.aclose()


def test_an_examiner_ends_with_its_owner_in_the_middle_of_a_document(tmp_path: Path) -> None:
    given = endless(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "engine.documents.examiner"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as examiner:
        assert examiner.stdin is not None
        assert examiner.stdout is not None
        examiner.stdin.write(msgspec.json.encode(given) + b"\n")
        examiner.stdin.flush()
        children = Path(f"/proc/{examiner.pid}/task/{examiner.pid}/children")
        while not (child := children.read_text().strip()):
            os.sched_yield()
        ended = os.pidfd_open(int(child))  # readable once the process is over
        examiner.stdin.close()
        assert examiner.stdout.read() == b""
        assert examiner.wait(20) == 0
    assert select.select([ended], [], [], 20)[0] == [ended]
    os.close(ended)


def test_an_examiner_gets_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERSIGN_MASTER_KEY", "a secret of ours")

    async def environment() -> bytes:
        examiners = Examiners()
        await examiners.run(task(tmp_path, papers.pdf()))
        (examiner,) = examiners._idle
        seen = Path(f"/proc/{examiner.pid}/environ").read_bytes()
        await examiners.aclose()
        return seen

    assert b"a secret of ours" not in asyncio.run(environment())


SEEDS = (
    hostile.filled_form,
    hostile.script_nested,
    hostile.embedded_program,
    hostile.hybrid_xfa,
    lambda: papers.pdf(pages=3),
)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("fuzz")
    with asyncio.Runner() as loop:
        examiners = Examiners(1)
        yield lambda content: loop.run(examiners.run(task(folder, content)))
        loop.run(examiners.aclose())


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.sampled_from(SEEDS), cut=st.floats(0, 1), flips=st.integers(0, 30), chance=st.integers())
def test_a_truncated_and_damaged_document_always_gets_an_answer(
    runner, seed, cut: float, flips: int, chance: int
) -> None:
    content = bytearray(seed())
    del content[int(len(content) * cut) :]
    dice = random.Random(chance)
    for _ in range(flips if content else 0):
        content[dice.randrange(len(content))] = dice.randrange(256)
    answer = runner(bytes(content))
    assert bool(answer.refusals) is not bool(answer.page_count)
