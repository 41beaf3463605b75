"""Whose turn it is, for whatever recipients an envelope has: never two orders, never out of turn, always an end."""

from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.envelopes.lineage import holder_of, holders, place_of
from engine.envelopes.turn import copies_due, is_waited_for, whose_turn
from engine.model import EngineRecipient
from normalizer.recipient import AuthenticationMethod, Role
from normalizer.status import RecipientStatus

_UNDER_WAY = (RecipientStatus.PENDING, RecipientStatus.SENT, RecipientStatus.DELIVERED)


def recipient(number: int, **changes: object) -> EngineRecipient:
    fields = {
        "id": UUID(int=number + 1),
        "position": number,
        "name": f"Person {number}",
        "email": f"p{number}@example.com",
        "role": Role.SIGNER,
        "routing_order": 1,
        "status": RecipientStatus.PENDING,
        "authentication": (AuthenticationMethod.EMAIL,),
    }
    return EngineRecipient(**(fields | changes))


@st.composite
def casts(draw: st.DrawFn) -> tuple[EngineRecipient, ...]:
    roles = draw(st.lists(st.sampled_from(Role), min_size=1, max_size=8))
    return tuple(
        recipient(
            number,
            role=role,
            routing_order=draw(st.integers(1, 4)),
            status=draw(st.sampled_from(_UNDER_WAY)),
        )
        for number, role in enumerate(roles)
    )


@given(casts(), st.data())
def test_envelope_always_ends_one_order_after_the_other(
    cast: tuple[EngineRecipient, ...], data: st.DataObject
) -> None:
    acted: list[int] = []
    people = cast
    for _ in range(len(cast) + 1):
        turn = whose_turn(people)
        assert len({one.routing_order for one in turn}) <= 1
        assert all(is_waited_for(one) for one in turn)
        if not turn:
            break
        # Nobody of a lower order is still waited for when a higher one has its turn.
        assert turn[0].routing_order == min(one.routing_order for one in people if is_waited_for(one))
        chosen = data.draw(st.sampled_from(turn))
        acted.append(chosen.routing_order)
        people = tuple(
            msgspec.structs.replace(one, status=RecipientStatus.COMPLETED) if one.id == chosen.id else one
            for one in people
        )
    assert not whose_turn(people)
    assert acted == sorted(acted)
    assert len(acted) == sum(one.role.acts for one in cast)


@given(casts())
def test_copy_is_due_exactly_when_its_order_is_reached(cast: tuple[EngineRecipient, ...]) -> None:
    turn = whose_turn(cast)
    due = {one.id for one in copies_due(cast)}
    for one in cast:
        if one.role.acts:
            assert one.id not in due
        else:
            assert (one.id in due) == (not turn or one.routing_order <= turn[0].routing_order)


@given(st.integers(1, 6))
def test_place_is_held_by_the_last_of_a_line_of_delegates(length: int) -> None:
    line = [recipient(0)]
    for number in range(1, length):
        line.append(recipient(number, delegated_from=line[-1].id))
    other = recipient(99)
    people = (*line, other)
    assert holder_of(people, line[0].id) == line[-1]
    assert place_of(people, line[-1]) == line[0].id
    assert holders(people) == (line[-1], other)
