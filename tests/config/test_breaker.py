"""The circuit breaker's states, and what holds in every history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.breaker import BreakerOptions, Breakers, CircuitOpen, State
from config.clock import FixedClock

OPTIONS = BreakerOptions(
    window_s=30, minimum_calls=4, failure_rate=0.5, open_s=5, longest_open_s=15, probes=2
)


def call(breakers: Breakers, good: bool, key: str = "k") -> None:
    with breakers.admit(key) as permit:
        if good:
            permit.succeeded()
        else:
            permit.failed()


def opened() -> tuple[Breakers, FixedClock]:
    clock = FixedClock()
    breakers = Breakers(clock, OPTIONS)
    for _ in range(4):
        call(breakers, good=False)
    assert breakers.state("k") is State.OPEN
    return breakers, clock


def test_circuit_with_too_few_calls_stays_closed() -> None:
    breakers = Breakers(FixedClock(), OPTIONS)
    for _ in range(3):
        call(breakers, good=False)
    assert breakers.state("k") is State.CLOSED


def test_circuit_below_the_failure_rate_stays_closed() -> None:
    breakers = Breakers(FixedClock(), OPTIONS)
    for number in range(60):
        call(breakers, good=number % 3 != 2)
    assert breakers.state("k") is State.CLOSED


def test_old_failures_leave_the_window() -> None:
    clock = FixedClock()
    breakers = Breakers(clock, OPTIONS)
    for _ in range(3):
        call(breakers, good=False)
    clock.advance(31)
    call(breakers, good=False)
    assert breakers.state("k") is State.CLOSED


def test_open_circuit_refuses_and_says_for_how_long() -> None:
    breakers, clock = opened()
    clock.advance(2)
    with pytest.raises(CircuitOpen) as refused:
        breakers.admit("k")
    assert refused.value.retry_after_s == 3
    call(breakers, good=True, key="other")


def test_open_circuit_lets_only_its_probes_pass_after_the_pause() -> None:
    breakers, clock = opened()
    clock.advance(5)
    first, second = breakers.admit("k"), breakers.admit("k")
    with pytest.raises(CircuitOpen):
        breakers.admit("k")
    first.succeeded()
    second.succeeded()
    assert breakers.state("k") is State.CLOSED


def test_failed_probe_opens_for_twice_as_long_up_to_the_longest() -> None:
    breakers, clock = opened()
    for pause in (5, 10, 15, 15):
        clock.advance(pause - 0.5)
        with pytest.raises(CircuitOpen):
            breakers.admit("k")
        clock.advance(0.5)
        call(breakers, good=False)
        assert breakers.state("k") is State.OPEN


def test_probe_without_verdict_gives_its_place_back() -> None:
    breakers, clock = opened()
    clock.advance(5)
    for _ in range(10):
        with breakers.admit("k"):
            pass
    call(breakers, good=True)
    call(breakers, good=True)
    assert breakers.state("k") is State.CLOSED


def test_verdict_from_before_the_circuit_opened_is_old_news() -> None:
    clock = FixedClock()
    breakers = Breakers(clock, OPTIONS)
    late = breakers.admit("k")
    for _ in range(4):
        call(breakers, good=False)
    clock.advance(5)
    call(breakers, good=True)
    late.failed()
    assert breakers.state("k") is State.HALF_OPEN


def test_listeners_hear_every_change() -> None:
    clock = FixedClock()
    breakers = Breakers(clock, OPTIONS)
    heard: list[tuple[str, State]] = []
    breakers.listen(lambda key, state: heard.append((key, state)))
    for _ in range(4):
        call(breakers, good=False)
    clock.advance(5)
    call(breakers, good=True)
    call(breakers, good=True)
    assert heard == [("k", State.OPEN), ("k", State.HALF_OPEN), ("k", State.CLOSED)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from([True, False, None])),
        st.tuples(st.just("begin"), st.none()),
        st.tuples(st.just("end"), st.sampled_from([True, False, None])),
        st.tuples(st.just("wait"), st.floats(0.1, 40)),
    ),
    max_size=80,
)


@given(STEPS)
def test_any_history_never_probes_too_much_and_always_recovers(steps: list[tuple[str, object]]) -> None:
    clock = FixedClock()
    breakers = Breakers(clock, OPTIONS)
    running = []
    for kind, value in steps:
        try:
            if kind == "wait":
                clock.advance(float(value))
            elif kind == "end" and running:
                tell(running.pop(), value)
            elif kind == "begin":
                running.append(breakers.admit("k"))
            elif kind == "call":
                tell(breakers.admit("k"), value)
        except CircuitOpen:
            assert breakers.state("k") is not State.CLOSED
        circuit = breakers._circuits.get("k")
        if circuit is not None:
            assert 0 <= circuit._probing + circuit._good_probes <= OPTIONS.probes
            assert circuit._failures == sum(not good for _, good in circuit._calls)
    for permit in running:
        tell(permit, None)
    clock.advance(OPTIONS.longest_open_s)
    for _ in range(OPTIONS.probes):
        call(breakers, good=True)
    assert breakers.state("k") is State.CLOSED


def tell(permit, verdict: object) -> None:
    with permit:
        if verdict is not None:
            (permit.succeeded if verdict else permit.failed)()


def test_room_says_how_many_calls_would_pass_now() -> None:
    clock = FixedClock()
    breakers = Breakers(clock, BreakerOptions(minimum_calls=2, open_s=10.0, probes=2))
    assert breakers.room("email") is None
    for _ in range(2):
        breakers.admit("email").failed()
    assert breakers.room("email") == 0
    clock.advance(10)
    assert breakers.room("email") == 2
    probe = breakers.admit("email")
    assert breakers.room("email") == 1
    probe.succeeded()
    breakers.admit("email").succeeded()
    assert breakers.room("email") is None
