"""Names of event types that a tenant gives: which of them are none, and what was probably meant."""

import difflib
from collections.abc import Iterable
from typing import Final

from normalizer.errors import Finding
from normalizer.vocabulary import EventType

EVENT_TYPES: Final = tuple(str(type_) for type_ in EventType)
_SHOWN = 60


def find_unknown_types(given: Iterable[str], where: str, *, numbered: bool = True) -> list[Finding]:
    """A finding for each that is no event type, at `where` and its place when `numbered`."""
    return [
        Finding(
            f"{where}/{place}" if numbered else where, f"{name[:_SHOWN]!r} is no event type", suggest(name)
        )
        for place, name in enumerate(given)
        if name not in EVENT_TYPES
    ]


def suggest(name: str) -> str:
    """What to write instead."""
    near = difflib.get_close_matches(name[:_SHOWN], EVENT_TYPES, 1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"{meant}GET /event-types lists them all."
