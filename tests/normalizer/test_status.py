"""The status machine: every ordered pair, for commands and for reports."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalizer.errors import InvalidTransition
from normalizer.status import (
    EDITABLE,
    IN_FLIGHT,
    TERMINAL,
    VOIDABLE,
    EnvelopeStatus,
    RecipientStatus,
    advance,
    advance_recipient,
    check_move,
)

S, R = EnvelopeStatus, RecipientStatus
ENDS = {S.COMPLETED, S.DECLINED, S.VOIDED, S.EXPIRED, S.FAILED}

# Written out by hand, from the documentation: the code's own table must not be its test.
COMMANDS = {
    S.DRAFT: {S.PROCESSING, S.SENT, S.VOIDED},
    S.PROCESSING: {S.DRAFT, S.SENT, S.DELIVERED, S.SIGNED} | ENDS,
    S.SENT: {S.DELIVERED, S.SIGNED} | ENDS,
    S.DELIVERED: {S.SIGNED} | ENDS,
    S.SIGNED: ENDS,
}
ORDER = [S.DRAFT, S.PROCESSING, S.SENT, S.DELIVERED, S.SIGNED]
PAIRS = list(itertools.product(S, S))


@pytest.mark.parametrize(("current", "wanted"), PAIRS)
def test_a_command_moves_exactly_where_it_may(current: S, wanted: S) -> None:
    if wanted in COMMANDS.get(current, set()):
        check_move(current, wanted)
        return
    with pytest.raises(InvalidTransition) as refused:
        check_move(current, wanted)
    assert (refused.value.current, refused.value.wanted) == (current, wanted)


@pytest.mark.parametrize(("current", "reported"), PAIRS)
def test_a_report_leads_forward_or_changes_nothing(current: S, reported: S) -> None:
    if current in ENDS or reported is S.UNKNOWN or current is S.UNKNOWN:
        expected = current if reported is S.UNKNOWN or current in ENDS else reported
    elif reported in ENDS:
        expected = reported
    else:
        expected = max(current, reported, key=ORDER.index)
    assert advance(current, reported) is expected


def test_the_sets_of_statuses_fit_each_other() -> None:
    assert TERMINAL == ENDS == {one for one in S if one.is_terminal}
    assert {S.DRAFT} == EDITABLE
    assert {S.SENT, S.DELIVERED, S.SIGNED} == IN_FLIGHT
    assert VOIDABLE == IN_FLIGHT | EDITABLE


@given(st.lists(st.sampled_from(list(S)), max_size=12))
def test_an_envelope_that_has_ended_stays_ended(reports: list[S]) -> None:
    status, ended = S.PROCESSING, None
    for report in reports:
        status = advance(status, report)
        ended = ended or (status if status.is_terminal else None)
        assert ended is None or status is ended


@given(
    st.permutations([S.SENT, S.DELIVERED, S.SIGNED, S.COMPLETED]),
    st.lists(st.sampled_from(ORDER), max_size=6),
)
def test_every_order_of_a_life_ends_alike(life: list[S], repeated: list[S]) -> None:
    status = S.PROCESSING
    for report in [*life, *repeated]:
        status = advance(status, report)
    assert status is S.COMPLETED


RECIPIENT_ENDS = {R.COMPLETED, R.DECLINED, R.REASSIGNED, R.CANCELLED, R.EXPIRED}
RECIPIENT_ORDER = {R.UNKNOWN: -1, R.PENDING: 0, R.SENT: 1, R.BOUNCED: 2, R.DELIVERED: 2, R.AUTH_FAILED: 3}


@pytest.mark.parametrize(("current", "reported"), list(itertools.product(R, R)))
def test_a_recipient_moves_forward_only_and_recovers_from_a_bounce(current: R, reported: R) -> None:
    if current in RECIPIENT_ENDS:
        expected = current
    elif reported in RECIPIENT_ENDS or (current is R.BOUNCED and reported is R.DELIVERED):
        expected = reported
    else:
        expected = reported if RECIPIENT_ORDER[reported] > RECIPIENT_ORDER[current] else current
    assert advance_recipient(current, reported) is expected
    assert current.is_terminal is (current in RECIPIENT_ENDS)
