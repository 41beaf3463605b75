"""Delegation as the rest of the house sees it: one place in the envelope, held by one person after another.

The engine keeps a row per person; the gateway keeps the place, under the first person's id.
"""

from collections.abc import Sequence
from uuid import UUID

from engine.model import EngineRecipient


def place_of(recipients: Sequence[EngineRecipient], recipient: EngineRecipient) -> UUID:
    """The id of whoever held this place first: the one that the gateway knows."""
    known = {one.id: one for one in recipients}
    first = recipient
    for _ in recipients:
        if first.delegated_from is None or first.delegated_from not in known:
            break
        first = known[first.delegated_from]
    return first.id


def holder_of(recipients: Sequence[EngineRecipient], place: UUID) -> EngineRecipient:
    """Who holds the place now. Raises KeyError for an id that is no recipient's."""
    known = {one.id: one for one in recipients}
    heirs = {one.delegated_from: one for one in recipients if one.delegated_from is not None}
    holder = known[place]
    for _ in recipients:
        if holder.id not in heirs:
            break
        holder = heirs[holder.id]
    return holder


def holders(recipients: Sequence[EngineRecipient]) -> tuple[EngineRecipient, ...]:
    """One recipient per place, in the order of the places."""
    handed_on = {one.delegated_from for one in recipients}
    return tuple(one for one in recipients if one.id not in handed_on)
