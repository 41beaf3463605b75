"""Ids: round trip, order, and refusal of everything else."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.errors import NotFound
from normalizer.ids import Ids, Kind, print_id, read_id


@given(st.sampled_from(list(Kind)), st.uuids())
def test_a_printed_id_reads_back(kind: Kind, value: UUID) -> None:
    printed = print_id(kind, value)
    assert read_id(kind, printed) == value
    assert printed.startswith(f"{kind}_")
    assert len(printed) == len(kind) + 27


@given(st.uuids(), st.uuids())
def test_printed_ids_sort_as_the_ids_do(one: UUID, other: UUID) -> None:
    assert (print_id(Kind.EVENT, one) < print_id(Kind.EVENT, other)) is (one.int < other.int)


@given(st.text(max_size=40))
def test_what_is_no_id_is_not_found(text: str) -> None:
    for kind in Kind:
        try:
            value = read_id(kind, text)
        except NotFound:
            continue
        assert print_id(kind, value) == text


def test_nonsense_is_refused_in_the_words_of_an_id_that_is_not_there() -> None:
    with pytest.raises(NotFound) as refused:
        read_id(Kind.API_KEY, "nonsense")
    assert refused.value.detail == NotFound("api key", "nonsense").detail


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text[:-1], lambda text: text + "0", lambda text: "rcp" + text[3:]]
)
def test_a_changed_id_is_not_found(change: object) -> None:
    printed = print_id(Kind.ENVELOPE, UUID(int=7))
    with pytest.raises(NotFound):
        read_id(Kind.ENVELOPE, change(printed))  # type: ignore[operator]


def test_no_prefix_is_used_twice() -> None:
    assert len({str(kind) for kind in Kind}) == len(list(Kind))


def test_new_ids_are_version_7_and_rise_strictly_whatever_the_clock_does() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    times = iter([now] * 500 + [now - timedelta(hours=1)] * 500 + [now + timedelta(seconds=1)] * 500)
    ids = Ids(lambda: next(times))
    made = [ids.new() for _ in range(1500)]
    assert [one.version for one in made] == [7] * 1500
    assert {one.variant for one in made} == {"specified in RFC 4122"}
    assert made == sorted(made)
    assert len(set(made)) == 1500
    assert made[0].int >> 80 == int(now.timestamp() * 1000)
