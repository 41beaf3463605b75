"""When a delivery is tried again: properties that hold for every profile, status and hint."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import DeliverySettings
from normalizer.errors import ValidationFailed
from webhooks.outbound.schedule import (
    THROTTLE_LIMIT,
    RetryProfile,
    Schedule,
    Verdict,
    read_retry_after,
    vet_custom_delays,
)

SETTINGS = DeliverySettings()
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

schedules = st.one_of(
    st.just(Schedule(RetryProfile.DESIGN, (), SETTINGS)),
    st.just(Schedule(RetryProfile.STANDARD, (), SETTINGS)),
    st.lists(st.integers(1, 604_800), min_size=1, max_size=20).map(
        lambda delays: Schedule(RetryProfile.CUSTOM, delays, SETTINGS)
    ),
)
failures = st.one_of(st.none(), st.sampled_from([300, 301, 307, 400, 401, 404, 500, 502, 503, 504]))


def test_the_designs_profile_makes_four_attempts_with_exponential_delays():
    schedule = Schedule(RetryProfile.DESIGN, (), SETTINGS)
    delays = [schedule.decide(attempt=n, throttled=0, status=500, random_unit=0.5).delay_s for n in range(3)]
    assert (schedule.attempts, delays) == (4, [1.0, 2.0, 4.0])
    assert schedule.decide(attempt=3, throttled=0, status=500).verdict is Verdict.EXHAUSTED


def test_the_standard_profile_makes_ten_attempts_over_75_hours():
    schedule = Schedule(RetryProfile.STANDARD, (), SETTINGS)
    total = sum(
        schedule.decide(attempt=n, throttled=0, status=None, random_unit=0.5).delay_s for n in range(9)
    )
    assert (schedule.attempts, round(total / 3600)) == (10, 76)
    assert 75 <= total / 3600 <= 76


@given(schedule=schedules, status=failures, units=st.lists(st.floats(0, 1), min_size=21, max_size=21))
def test_failures_end_after_exactly_the_schedules_attempts_and_every_delay_is_within_a_fifth(
    schedule: Schedule, status: int | None, units: list[float]
):
    attempt = 0
    while True:
        plain = schedule.decide(attempt=attempt, throttled=0, status=status, random_unit=0.5)
        decision = schedule.decide(attempt=attempt, throttled=0, status=status, random_unit=units[attempt])
        attempt += 1
        assert decision.attempt == attempt
        if decision.verdict is Verdict.EXHAUSTED:
            break
        assert decision.verdict is Verdict.RETRY
        assert plain.delay_s * 0.8 - 1e-6 <= decision.delay_s <= plain.delay_s * 1.2 + 1e-6
    assert attempt == schedule.attempts


@given(
    schedule=schedules,
    attempt=st.integers(0, 25),
    throttled=st.integers(0, 200),
    status=st.integers(200, 299),
)
def test_any_2xx_succeeds(schedule: Schedule, attempt: int, throttled: int, status: int):
    assert schedule.decide(attempt=attempt, throttled=throttled, status=status).verdict is Verdict.SUCCEEDED


@given(hint=st.floats(0, 1e9), status=st.sampled_from([429, 502, 503, 504]))
def test_retry_after_lengthens_a_delay_up_to_ten_hours_and_never_shortens_it(hint: float, status: int):
    schedule = Schedule(RetryProfile.DESIGN, (), SETTINGS)
    decision = schedule.decide(attempt=0, throttled=0, status=status, hint_s=hint, random_unit=0.5)
    assert decision.delay_s == max(1.0, min(hint, 36_000.0))


def test_retry_after_of_another_status_is_not_followed():
    schedule = Schedule(RetryProfile.DESIGN, (), SETTINGS)
    decision = schedule.decide(attempt=0, throttled=0, status=301, hint_s=500, random_unit=0.5)
    assert decision.delay_s == 1.0


@given(schedule=schedules, attempt=st.integers(0, 2))
def test_429_burns_no_attempt_until_its_own_limit(schedule: Schedule, attempt: int):
    free = schedule.decide(attempt=attempt, throttled=0, status=429)
    assert (free.verdict, free.attempt, free.throttled) in {
        (Verdict.RETRY, attempt, 1),
        (Verdict.EXHAUSTED, attempt, 1),  # a shorter schedule had ended before
    }
    counted = schedule.decide(attempt=attempt, throttled=THROTTLE_LIMIT, status=429)
    assert counted.attempt == attempt + 1


def test_410_is_gone_whatever_the_attempt():
    schedule = Schedule(RetryProfile.DESIGN, (), SETTINGS)
    assert {schedule.decide(attempt=n, throttled=0, status=410).verdict for n in range(5)} == {Verdict.GONE}


@pytest.mark.parametrize(
    ("instruction", "verdict"),
    [("disable", Verdict.GONE), ("abort-message", Verdict.EXHAUSTED), ("nonsense", Verdict.RETRY)],
)
def test_the_answers_instruction_is_followed(instruction: str, verdict: Verdict):
    schedule = Schedule(RetryProfile.DESIGN, (), SETTINGS)
    decision = schedule.decide(attempt=0, throttled=0, status=500, instruction=instruction)
    assert decision.verdict is verdict


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 40, 1e9),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("١٢", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("Fri, 99 Jan 2026 03:04:05 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None):
    assert read_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("profile", "delays"),
    [
        (RetryProfile.CUSTOM, ()),
        (RetryProfile.CUSTOM, (0,)),
        (RetryProfile.CUSTOM, (604_801,)),
        (RetryProfile.CUSTOM, tuple([1] * 21)),
        (RetryProfile.DESIGN, (5,)),
    ],
)
def test_a_custom_list_out_of_bounds_is_refused(profile: RetryProfile, delays: tuple[int, ...]):
    with pytest.raises(ValidationFailed):
        vet_custom_delays(profile, delays)
