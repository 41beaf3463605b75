"""What a filter asks about and no event has: it would pass nothing, for ever and without a word.

Told and not refused: a later version of an event may bring what is not there yet.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from normalizer.catalogue.schemas import data_schema
from normalizer.errors import Finding
from normalizer.vocabulary import EventType
from webhooks.outbound.event_names import EVENT_TYPES, suggest
from webhooks.outbound.json_pointer import point

_TYPE = "type"


def find_filter_hints(filter_: Mapping[str, object] | None, events: Sequence[str]) -> tuple[Finding, ...]:
    """`filter_` was vetted. `events`: the types that the endpoint asks for; () for all that are about signatures."""
    if filter_ is None:
        return ()
    known = _known_paths(tuple(sorted(events)))
    return tuple(
        hint
        for where, path, wanted in _conditions(filter_, "/filter")
        for hint in _hints(where, path, wanted, known)
    )


def _hints(where: str, path: str, wanted: object, known: frozenset[str]) -> Iterator[Finding]:
    if path == _TYPE:
        named = wanted if isinstance(wanted, list | tuple) else (wanted,)
        for name in named:
            if isinstance(name, str) and name not in EVENT_TYPES:
                yield Finding(where, f"{name[:60]!r} is no event type", suggest(name))
    elif path not in known:
        near = difflib.get_close_matches(path, sorted(known), 1)
        remedy = (
            f"Did you mean {near[0]}?"
            if near
            else "GET /event-types/{type} has the schema of each event's data."
        )
        yield Finding(where, f"no event that this endpoint asks for has {path}", remedy)


def _conditions(given: Mapping[str, object], where: str) -> Iterator[tuple[str, str, object]]:
    """(where it stands, path, condition)"""
    for name, wanted in given.items():
        here = point(where, name)
        if name in {"all", "any"} and isinstance(wanted, list | tuple):
            for place, part in enumerate(wanted):
                yield from _conditions(part, point(here, str(place)))
        elif name == "not" and isinstance(wanted, Mapping):
            yield from _conditions(wanted, here)
        else:
            yield here, name, wanted


@cache
def _known_paths(events: tuple[str, ...]) -> frozenset[str]:
    types = [EventType(name) for name in events] or [
        one for one in EventType if not one.is_operational and one is not EventType.ENDPOINT_TEST
    ]
    return frozenset(path for type_ in types for path in _paths(data_schema(type_), "data"))


def _paths(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        yield from _paths(member, f"{path}.{name}")
