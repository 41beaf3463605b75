"""What a body should have held where it could not be taken: the words of a closed set, the names of members.

The decoder says what is wrong and where; what to write instead stands in the types.
"""

import difflib
import re
from collections.abc import Sequence
from typing import Any

from msgspec import inspect

from normalizer.errors import Finding

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_CHOICE = re.compile(r"Invalid (?:enum value|value) ")
_MOST_NAMES = 40
_LONGEST = 80


def explain_refusal(annotation: Any, where: str, message: str) -> Finding:
    """A finding at the member that is meant, with what would be taken there. `where`: a JSON pointer into what
    `annotation` describes, or the name of a parameter, whose own type it is then.
    """
    path = [part for part in where.split("/")[1:] if part] if where.startswith("/") else []
    if (unknown := _UNKNOWN.fullmatch(message)) is not None:
        name = unknown[1][:_LONGEST]
        return Finding(
            _below(where, name), f"there is no member {name!r} here", _near(name, _expected(annotation, path))
        )
    if (missing := _MISSING.fullmatch(message)) is not None:
        return Finding(_below(where, missing[1]), "it is missing", "Give it: it is required.")
    words = _expected(annotation, path) if _CHOICE.match(message) else ()
    return Finding(where, message, f"One of: {', '.join(words)}." if words else "")


def _below(where: str, name: str) -> str:
    return f"{where.rstrip('/')}/{name.replace('~', '~0').replace('/', '~1')}"


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"Did you mean {near[0]}? Else leave it out."
    return (
        f"Leave it out; there are: {', '.join(names)}." if 0 < len(names) <= _MOST_NAMES else "Leave it out."
    )


def _expected(annotation: Any, path: Sequence[str]) -> tuple[str, ...]:
    """The words or the members' names at the path; () where anything of a kind is taken."""
    try:
        found = [inspect.type_info(annotation)]
    except TypeError:  # deliberate: what no schema describes has no words to offer either
        return ()
    for step in path:
        found = [below for one in found for below in _step(one, step)]
    return tuple(dict.fromkeys(word for one in found for word in _words(one)))


def _step(type_: inspect.Type, name: str) -> list[inspect.Type]:
    match type_:
        case inspect.UnionType(types=types):
            return [below for one in types for below in _step(one, name)]
        case inspect.Metadata(type=inner):
            return _step(inner, name)
        case inspect.StructType(fields=fields):
            return [field.type for field in fields if field.encode_name == name]
        case inspect.DictType(value_type=value):
            return [value]
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [item]
        case inspect.TupleType(item_types=items):
            return [items[int(name)]] if name.isdigit() and int(name) < len(items) else []
    return []


def _words(type_: inspect.Type) -> list[str]:
    match type_:
        case inspect.UnionType(types=types):
            return [word for one in types for word in _words(one)]
        case inspect.Metadata(type=inner):
            return _words(inner)
        case inspect.StructType(fields=fields):
            return [field.encode_name for field in fields]
        case inspect.EnumType(cls=cls):
            return [str(one.value) for one in cls if one.value != ""]
        case inspect.LiteralType(values=values):
            return [str(value) for value in values]
    return []
