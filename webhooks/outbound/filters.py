"""The language of endpoint filters: which events an endpoint wants by what they say.

A filter is a JSON object whose members must all hold. A member is a path and its condition, or `all`, `any` (lists
of filters) or `not` (a filter). A path is `type`, or `data` and names with dots between; a number counts from 0
where an array is. A condition is a scalar (equal), a list (one of), or an object of operators that must all hold.
Types are never converted: "1" is not 1. A missing value equals nothing, null neither; `ne` and `nin` hold for it.
Texts compare by code point. What the fan-out asks is gateway/migrations/sql/0003_15_filter.sql: it MUST say the same
of every vetted filter. Data that SQL cannot read as jsonb passes: an event too many is seen by its receiver, and
counted in the endpoint's health.
"""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from normalizer.errors import Finding, ValidationFailed
from webhooks.outbound.json_pointer import point

LARGEST_BYTES: Final = 4096
DEEPEST: Final = 5
MOST_CONDITIONS: Final = 50
LONGEST_LIST: Final = 50
LONGEST_TEXT: Final = 256
LARGEST_NUMBER: Final = 2**53 - 1

Scalar = None | bool | Decimal | str
_PATH = re.compile(r"type|data(?:\.[A-Za-z0-9_-]{1,64}){1,10}")
# PostgreSQL reads these as a place from the end, or as another spelling of one; here they would be names.
_ODD_NUMBER = re.compile(r"-[0-9]+|0[0-9]+|[0-9]{10,}")
_INDEX = re.compile(r"[0-9]{1,9}")


class Check(msgspec.Struct, frozen=True):
    operator: str
    operand: Scalar | tuple[Scalar, ...]


class Condition(msgspec.Struct, frozen=True):
    path: str
    checks: tuple[Check, ...]


class All(msgspec.Struct, frozen=True):
    parts: tuple["Part", ...]


class AnyOf(msgspec.Struct, frozen=True):
    parts: tuple["Part", ...]


class Not(msgspec.Struct, frozen=True):
    part: "Part"


Part = Condition | All | AnyOf | Not


class Filter(msgspec.Struct, frozen=True):
    """A vetted filter."""

    root: All


class Explanation(msgspec.Struct, frozen=True):
    """Whether the event passes, and in words what stood in its way."""

    matches: bool
    why: tuple[str, ...] = ()


class _Missing:
    """What a path found where there is nothing; null is something."""


_MISSING: Final = _Missing()


def matches(filter_: Filter, type_: str, data: bytes) -> bool:
    return explain(filter_, type_, data).matches


def explain(filter_: Filter, type_: str, data: bytes) -> Explanation:
    """`data`: the stored bytes of the webhook's data object."""
    try:
        read = _read(data)
    except (ValueError, ArithmeticError, RecursionError):
        return Explanation(
            matches=True, why=("The event's data cannot be searched, so it passes every filter.",)
        )
    misses = _misses(filter_.root, {"type": type_, "data": read})
    return Explanation(matches=not misses, why=tuple(misses))


def _read(data: bytes) -> object:
    """Numbers as Decimal, exact as SQL's numeric. Raises what explain catches for what jsonb refuses."""
    value = json.loads(data.decode(), parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
    _refuse_unstorable(value)
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


def _refuse_unstorable(value: object) -> None:
    match value:
        case str():
            if "\0" in value:
                raise ValueError("a zero character")
            value.encode()  # a lone surrogate raises
        case list():
            for item in value:
                _refuse_unstorable(item)
        case dict():
            for name, item in value.items():
                _refuse_unstorable(name)
                _refuse_unstorable(item)
        case _:
            return


def _misses(part: Part, document: object) -> list[str]:
    """Why the document does not pass; empty when it does."""
    match part:
        case Condition():
            found = _find(document, part.path)
            return [
                f"{part.path} {_say_found(found)}, and the filter wants it {_say_check(check)}"
                for check in part.checks
                if not _OPERATORS[check.operator][0](found, check.operand)
            ]
        case All():
            return [miss for one in part.parts for miss in _misses(one, document)]
        case AnyOf():
            each = [_misses(one, document) for one in part.parts]
            if not all(each):
                return []
            return [
                "none of any holds: " + "; ".join(f"({place}) {one[0]}" for place, one in enumerate(each, 1))
            ]
        case Not():
            if _misses(part.part, document):
                return []
            return [f"it is what not leaves out: {_say(part.part)}"]


def _find(document: object, path: str) -> object:
    found = document
    for segment in path.split("."):
        if isinstance(found, dict):
            found = found.get(segment, _MISSING)
        elif isinstance(found, list) and _INDEX.fullmatch(segment) and int(segment) < len(found):
            found = found[int(segment)]
        else:
            return _MISSING
    return found


def _equal(found: object, operand: object) -> bool:
    return type(found) is type(operand) and found == operand


def _among(found: object, operand: object) -> bool:
    return isinstance(operand, tuple) and any(_equal(found, one) for one in operand)


def _compare(holds: Callable[[int], bool]) -> Callable[[object, object], bool]:
    def check(found: object, operand: object) -> bool:
        if isinstance(found, Decimal) and isinstance(operand, Decimal):
            return holds((found > operand) - (found < operand))
        if isinstance(found, str) and isinstance(operand, str):
            return holds((found > operand) - (found < operand))
        return False

    return check


def _starts(found: object, operand: object) -> bool:
    return isinstance(found, str) and isinstance(operand, str) and found.startswith(operand)


# operator: (whether it holds, how it is said; {} is the operand)
_OPERATORS: Final[Mapping[str, tuple[Callable[[object, object], bool], str]]] = {
    "eq": (_equal, "to be {}"),
    "ne": (lambda found, operand: not _equal(found, operand), "not to be {}"),
    "in": (_among, "to be one of {}"),
    "nin": (lambda found, operand: not _among(found, operand), "to be none of {}"),
    "gt": (_compare(lambda order: order > 0), "to be more than {}"),
    "gte": (_compare(lambda order: order >= 0), "to be {} or more"),
    "lt": (_compare(lambda order: order < 0), "to be less than {}"),
    "lte": (_compare(lambda order: order <= 0), "to be {} or less"),
    "exists": (lambda found, operand: (found is not _MISSING) == operand, "to exist: {}"),
    "prefix": (_starts, "to begin with {}"),
}


def _say(part: Part) -> str:
    match part:
        case Condition():
            return " and ".join(f"{part.path} {_say_check(check)}" for check in part.checks)
        case All():
            return " and ".join(_say(one) for one in part.parts)
        case AnyOf():
            return "one of " + " or ".join(_say(one) for one in part.parts)
        case Not():
            return f"not ({_say(part.part)})"


def _say_check(check: Check) -> str:
    return _OPERATORS[check.operator][1].format(_show(check.operand))


def _say_found(found: object) -> str:
    if found is _MISSING:
        return "is not there"
    match found:
        case dict():
            return "is an object"
        case list():
            return "is a list"
        case _:
            return f"is {_show(found)}"


def _show(value: object) -> str:
    match value:
        case Decimal():
            text = str(value)
        case tuple():
            text = "[" + ", ".join(_show(one) for one in value) + "]"
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:77] + "..."


def vet_filter(given: Mapping[str, object], where: str = "/filter") -> Filter:
    """The filter ready for use. Raises ValidationFailed with a finding for everything that is wrong."""
    reader = _Reader()
    root = reader.read_all(given, where, 1)
    if not reader.findings and len(msgspec.json.encode(given)) > LARGEST_BYTES:
        reader.complain(where, f"a filter has at most {LARGEST_BYTES} bytes")
    if reader.conditions > MOST_CONDITIONS:
        reader.complain(where, f"a filter has at most {MOST_CONDITIONS} conditions")
    if reader.findings:
        raise ValidationFailed("The filter cannot be understood.", tuple(reader.findings[:20]))
    return Filter(root)


class _Reader:
    """Turns JSON into parts and keeps what is wrong with it; a part with a finding is never used."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.conditions = 0

    def complain(self, where: str, problem: str, remedy: str = "") -> None:
        self.findings.append(Finding(where, problem, remedy))

    def read_all(self, given: object, where: str, depth: int) -> All:
        if not isinstance(given, Mapping):
            self.complain(where, "a filter is an object of paths and conditions")
            return All(())
        if depth > DEEPEST:
            self.complain(where, f"all, any and not go at most {DEEPEST} deep")
            return All(())
        if not given and depth > 1:
            self.complain(where, "an empty filter says nothing here")
        # In the order of the names, so that one filter is one value however it was written.
        members = sorted(given.items(), key=lambda member: str(member[0]))
        return All(tuple(self._member(str(name), wanted, where, depth) for name, wanted in members))

    def _member(self, name: str, wanted: object, where: str, depth: int) -> Part:
        here = point(where, name)
        match name:
            case "all":
                return All(self._parts(wanted, here, depth))
            case "any":
                return AnyOf(self._parts(wanted, here, depth))
            case "not":
                return Not(self.read_all(wanted, here, depth + 1))
            case _:
                self.conditions += 1
                self._vet_path(name, here)
                return Condition(name, self._checks(wanted, here))

    def _parts(self, wanted: object, where: str, depth: int) -> tuple[Part, ...]:
        if not isinstance(wanted, list | tuple) or not 1 <= len(wanted) <= LONGEST_LIST:
            self.complain(where, f"a list of 1 to {LONGEST_LIST} filters")
            return ()
        return tuple(self.read_all(one, point(where, str(i)), depth + 1) for i, one in enumerate(wanted))

    def _vet_path(self, path: str, where: str) -> None:
        if not _PATH.fullmatch(path):
            self.complain(
                where,
                f"{path[:60]!r} is no path",
                "A path is type, or data. and names with dots between; or all, any, not.",
            )
        elif any(_ODD_NUMBER.fullmatch(segment) for segment in path.split(".")):
            self.complain(where, "a place in a list counts from 0, without a sign or leading zeros")

    def _checks(self, wanted: object, where: str) -> tuple[Check, ...]:
        if isinstance(wanted, list | tuple):
            return (Check("in", self._list(wanted, where)),)
        if not isinstance(wanted, Mapping):
            return (Check("eq", self._scalar(wanted, where)),)
        if not wanted:
            self.complain(
                where, "a condition names at least one operator", f"One of {', '.join(_OPERATORS)}."
            )
        members = sorted(wanted.items(), key=lambda member: str(member[0]))
        return tuple(self._check(str(operator), operand, where) for operator, operand in members)

    def _check(self, operator: str, operand: object, where: str) -> Check:
        here = point(where, operator)
        if operator not in _OPERATORS:
            self.complain(here, f"{operator[:60]!r} is no operator", f"One of {', '.join(_OPERATORS)}.")
            return Check("exists", True)
        if operator in {"in", "nin"}:
            return Check(operator, self._list(operand, here))
        value = self._scalar(operand, here)
        if operator == "exists" and not isinstance(value, bool):
            self.complain(here, "exists is true or false")
        elif operator == "prefix" and not isinstance(value, str):
            self.complain(here, "prefix is a text")
        elif operator in {"gt", "gte", "lt", "lte"} and not isinstance(value, str | Decimal):
            self.complain(here, f"{operator} compares with a number or a text")
        return Check(operator, value)

    def _list(self, given: object, where: str) -> tuple[Scalar, ...]:
        if not isinstance(given, list | tuple) or not 1 <= len(given) <= LONGEST_LIST:
            self.complain(where, f"a list of 1 to {LONGEST_LIST} texts, numbers, true, false or null")
            return ()
        return tuple(self._scalar(one, point(where, str(i))) for i, one in enumerate(given))

    def _scalar(self, given: object, where: str) -> Scalar:
        match given:
            case None | bool():
                return given
            case int() | float():
                if abs(given) <= LARGEST_NUMBER:  # false for what is no number, too
                    return Decimal(repr(given))
                self.complain(where, "numbers go to 2^53-1")
            case str():
                if len(given) <= LONGEST_TEXT and _is_storable(given):
                    return given
                self.complain(where, f"a text has at most {LONGEST_TEXT} characters, none of them zero")
            case _:
                self.complain(where, "a text, a number, true, false or null")
        return None


def _is_storable(text: str) -> bool:
    try:
        _refuse_unstorable(text)
    except ValueError:
        return False
    return True
