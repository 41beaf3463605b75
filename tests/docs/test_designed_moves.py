"""The design's table of transitions holds, and every other pair of statuses is refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.errors import InvalidTransition
from normalizer.status import ALLOWED, TERMINAL, EnvelopeStatus, advance, check_move

S = EnvelopeStatus
DESIGNED = {
    S.DRAFT: {S.SENT, S.VOIDED},
    S.SENT: {S.DELIVERED, S.VOIDED},
    S.DELIVERED: {S.SIGNED, S.DECLINED, S.VOIDED},
    S.SIGNED: {S.COMPLETED},
    S.DECLINED: set(),
    S.VOIDED: set(),
    S.COMPLETED: set(),
}


@pytest.mark.parametrize(("current", "wanted"), list(itertools.product(S, S)))
def test_every_pair_of_statuses_is_allowed_or_refused_as_the_table_says(current: S, wanted: S):
    if wanted in ALLOWED[current]:
        check_move(current, wanted)
    else:
        with pytest.raises(InvalidTransition):
            check_move(current, wanted)


@pytest.mark.parametrize("current", list(DESIGNED), ids=str)
def test_every_move_of_the_design_is_allowed_and_what_ended_there_has_ended_here(current: S):
    assert ALLOWED[current] >= DESIGNED[current]
    assert (not DESIGNED[current]) == (current in TERMINAL)
    assert bool(ALLOWED[current]) == bool(DESIGNED[current])


@given(st.lists(st.sampled_from(list(S)), max_size=12))
def test_reports_in_any_order_never_move_an_envelope_back_or_out_of_its_end(reports: list[S]):
    seen = [S.SENT]
    for report in reports:
        seen.append(advance(seen[-1], report))
    ends = [status for status in seen if status in TERMINAL]
    assert len(set(ends)) <= 1
    assert all(
        after == before or after not in seen[:at]
        for at, (before, after) in enumerate(itertools.pairwise(seen), 1)
    )
    assert S.UNKNOWN not in seen
