"""Deadlines and cancellation: a provider's id that is known gets stored, and nothing is left behind."""

import asyncio
import gc

import pytest

from adapters.kit.exchange import Effect, Exchange, ProviderResponse
from adapters.kit.limiter import MemoryLimiterStore
from adapters.kit.outcome import Done, Unknown
from config.clock import Clock, SystemClock
from tests.adapters.kit.fake_provider import Bench, answer, document, never, open_bench, request


class Register:
    """Where a gateway would commit the id: slowly."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_finish = asyncio.Event()
        self.stored: list[str] = []

    async def store(self, ref: str) -> None:
        self.begun.set()
        await self.may_finish.wait()
        self.stored.append(ref)


async def create_then_send(exchange: Exchange) -> str:
    await exchange(request())
    await exchange.learned("ref-1")
    await exchange(request(Effect.KEYED, path="/send"))
    return "sent"


async def test_cancellation_while_the_id_is_committed_waits_for_the_commit(bench: Bench) -> None:
    register = Register()
    task = asyncio.create_task(bench.run(create_then_send, on_learned=register.store))
    await register.begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # twice: an impatient caller
    await asyncio.sleep(0)
    assert not task.done()
    register.may_finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert register.stored == ["ref-1"]
    assert bench.server.count("/send") == 0


async def test_deadline_stands_still_while_the_id_is_committed(bench: Bench) -> None:
    register = Register()
    task = asyncio.create_task(bench.run(create_then_send, on_learned=register.store, deadline_s=0.4))
    await register.begun.wait()
    await asyncio.sleep(0.5)
    register.may_finish.set()
    assert await task == Done("sent")
    assert register.stored == ["ref-1"]


async def test_deadline_goes_on_after_the_id_was_committed(bench: Bench) -> None:
    bench.server.by_path["/send"] = never
    register = Register()
    register.may_finish.set()
    outcome = await bench.run(create_then_send, on_learned=register.store, deadline_s=0.15)
    assert outcome == Unknown("the deadline passed", "ref-1")


async def test_id_that_cannot_be_stored_stops_the_operation(bench: Bench) -> None:
    async def fail(_: str) -> None:
        raise OSError("no database")

    outcome = await bench.run(create_then_send, on_learned=fail)
    assert isinstance(outcome, Unknown)
    assert outcome.learned_ref == "ref-1"
    assert bench.server.count("/send") == 0


async def test_cancelled_call_leaves_no_task_connection_or_open_document(bench: Bench) -> None:
    bench.server.behaviours = [never]
    bench.blobs.stored["doc"] = b"x" * 100_000
    before = asyncio.all_tasks()
    task = asyncio.create_task(bench.send(request(content=(document("doc", 100_000),))))
    await bench.server.until(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    await asyncio.sleep(0.05)
    servers_own = {one for one in asyncio.all_tasks() if "FakeServer" in repr(one.get_coro())}
    assert asyncio.all_tasks() - before - servers_own == set()
    assert bench.blobs.unfinished == 0
    bench.server.behaviours = [answer()]
    assert isinstance(await bench.send(request()), Done)  # the pool has its connection back


async def test_cancelled_probe_gives_its_permit_back(bench: Bench) -> None:
    bench.server.behaviours = [answer(503)]
    for _ in range(10):
        await bench.send(request())
    bench.executor.breakers._circuits["fake/account-1"]._reopens_at = 0
    bench.server.behaviours = [never]
    for _ in range(3):
        count = bench.server.count("/things")
        task = asyncio.create_task(bench.send(request()))
        await bench.server.until(count + 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    bench.server.behaviours = [answer()]
    assert isinstance(await bench.send(request()), Done)


async def test_pause_counts_towards_the_deadline(bench: Bench) -> None:
    async def wait(exchange: Exchange) -> None:
        await exchange(request())
        await exchange.pause(60)

    assert await bench.run(wait, deadline_s=0.1) == Unknown("the deadline passed")


class SlowBudget(MemoryLimiterStore):
    """A shared store that hangs, or has gone, just when an answer's budget is to be kept."""

    def __init__(self, clock: Clock, fault: Exception | None = None) -> None:
        super().__init__(clock)
        self.fault = fault

    async def told(self, key: str, remaining: int, reset_s: float) -> None:
        if self.fault is not None:
            raise self.fault
        await asyncio.Event().wait()


@pytest.mark.parametrize("status", [201, 503])
async def test_deadline_after_a_change_was_answered_is_never_not_sent(status: int) -> None:
    async with open_bench(limiter_store=SlowBudget(SystemClock())) as bench:
        bench.server.behaviours = [answer(status, headers=("X-Remaining: 5", "X-Reset: 1800"))]
        outcome = await bench.send(request(Effect.CREATES), deadline_s=0.5)
    assert isinstance(outcome, Unknown)


async def test_budget_that_cannot_be_kept_does_not_lose_the_answer() -> None:
    async with open_bench(limiter_store=SlowBudget(SystemClock(), ConnectionError("gone"))) as bench:
        bench.server.behaviours = [answer(201, headers=("X-Remaining: 5", "X-Reset: 1800"))]
        outcome = await bench.send(request(Effect.CREATES))
    assert isinstance(outcome, Done)


async def test_limits_that_cannot_be_read_do_not_lose_the_answer(bench: Bench) -> None:
    def unreadable(response: ProviderResponse) -> tuple[int, float] | None:
        raise OverflowError("an impossible date")

    bench.adapter.limit_headers = unreadable
    assert isinstance(await bench.send(request(Effect.CREATES)), Done)
