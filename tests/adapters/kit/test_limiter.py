"""Provider limits: the budget, the provider's own word, and the wait that is never shortened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kit.limiter import Limiter, MemoryLimiterStore
from adapters.kit.port import Limits
from config.clock import FixedClock

LIMITS = Limits(min_poll_interval_s=900, calls_per_hour=100, burst_calls=10, burst_window_s=30)


def fresh() -> tuple[Limiter, FixedClock]:
    clock = FixedClock()
    return Limiter(MemoryLimiterStore(clock), jitter=lambda: 0.5), clock


async def take(limiter: Limiter, times: int, key: str = "a") -> list[float]:
    return [await limiter.take(key, LIMITS) for _ in range(times)]


async def test_burst_is_spent_and_refills_with_time() -> None:
    limiter, clock = fresh()
    assert await take(limiter, 10) == [0.0] * 10
    assert await take(limiter, 1) == [3.0]
    assert await take(limiter, 1, "another account") == [0.0]
    clock.advance(3)
    assert await take(limiter, 2) == [0.0, 3.0]


async def test_hour_is_spent_and_starts_anew() -> None:
    limiter, clock = fresh()
    for _ in range(10):
        await take(limiter, 10)
        clock.advance(30)
    assert await take(limiter, 1) == [3300.0]
    clock.advance(3300)
    assert await take(limiter, 1) == [0.0]


async def test_providers_word_overrules_the_default() -> None:
    limiter, clock = fresh()
    await take(limiter, 1)
    await limiter.told("a", 2, 1200)
    assert await take(limiter, 3) == [0.0, 0.0, 1200.0]
    clock.advance(1200)
    assert await take(limiter, 1) == [0.0]


async def test_late_answer_with_more_calls_left_does_not_give_them_back() -> None:
    limiter, _ = fresh()
    await take(limiter, 1)
    await limiter.told("a", 1, 1200)
    assert await take(limiter, 1) == [0.0]
    await limiter.told("a", 5, 1201)
    assert await take(limiter, 1) == [1200 + 1.0]


async def test_throttled_account_waits_the_exact_time_plus_jitter() -> None:
    limiter, clock = fresh()
    assert await limiter.throttled("a", 60) == 63.0
    assert await take(limiter, 1) == [63.0]
    clock.advance(62.9)
    assert (await take(limiter, 1))[0] > 0
    clock.advance(0.2)
    assert await take(limiter, 1) == [0.0]


async def test_shorter_wait_does_not_shorten_a_longer_one() -> None:
    limiter, _ = fresh()
    await limiter.throttled("a", 600)
    await limiter.throttled("a", 1)
    assert await take(limiter, 1) == [630.0]


async def test_object_may_be_polled_once_per_interval() -> None:
    limiter, clock = fresh()
    assert await limiter.begin_poll("env-1", 900)
    assert not await limiter.begin_poll("env-1", 900)
    assert await limiter.begin_poll("env-2", 900)
    await limiter.end_poll("env-1", 900, counts=True)
    clock.advance(899)
    assert not await limiter.begin_poll("env-1", 900)
    clock.advance(1)
    assert await limiter.begin_poll("env-1", 900)
    assert await limiter.begin_poll("env-3", 0)
    assert await limiter.begin_poll("env-3", 0)


async def test_a_poll_without_an_effect_uses_up_no_interval() -> None:
    limiter, clock = fresh()
    assert await limiter.begin_poll("unanswered", 900)
    await limiter.end_poll("unanswered", 900, counts=False)
    assert await limiter.begin_poll("unanswered", 900)
    assert await limiter.begin_poll("abandoned", 900)
    clock.advance(59)
    assert not await limiter.begin_poll("abandoned", 900)
    clock.advance(1)
    assert await limiter.begin_poll("abandoned", 900), "its process died"


@given(st.lists(st.one_of(st.floats(0, 20), st.just(0.0)), min_size=1, max_size=200))
async def test_no_window_ever_carries_more_than_burst_and_refill(pauses: list[float]) -> None:
    limiter, clock = fresh()
    start = clock.monotonic()
    passed = 0
    for pause in pauses:
        clock.advance(pause)
        passed += await limiter.take("a", LIMITS) == 0.0
        elapsed = clock.monotonic() - start
        assert passed <= LIMITS.burst_calls * (1 + elapsed / LIMITS.burst_window_s) + 1e-6
        assert passed <= LIMITS.calls_per_hour * (1 + elapsed // 3600)


@pytest.mark.parametrize("seconds", [1.0, 10.0, 600.0])
async def test_wait_is_never_shorter_than_the_provider_said(seconds: float) -> None:
    for jitter in (0.0, 1.0):
        limiter = Limiter(MemoryLimiterStore(FixedClock()), jitter=lambda value=jitter: value)
        assert seconds <= await limiter.throttled("a", seconds) <= seconds + max(1.0, seconds / 10)
