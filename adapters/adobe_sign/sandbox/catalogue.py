"""Checks a request body against the frozen catalogue of the API's types (catalogue.json).

Stricter than the real service on purpose: an attribute that the catalogue does not name is refused, so that a
misspelt one is found here. It must never change a body; it only says what is wrong first.
"""

import functools
import re
from datetime import UTC, datetime
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from adapters.adobe_sign.sandbox.world import JsonObject

_EMAIL = re.compile(r"[^@\s<>,;]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class Flaw(NamedTuple):
    """The first thing wrong with a body: a trigger of the refusal table, and where."""

    trigger: str
    detail: str


@functools.cache
def _load() -> JsonObject:
    text = resources.files(__package__).joinpath("catalogue.json").read_bytes()
    catalogue: JsonObject = msgspec.json.decode(text)
    return catalogue


def enum_values(name: str) -> frozenset[str]:
    """Every value of a closed set of the API."""
    return frozenset(_load()["enums"][name])


def is_email(text: str) -> bool:
    return len(text) <= 255 and _EMAIL.fullmatch(text) is not None


def parse_date(text: object) -> datetime | None:
    """An instant with an offset, or None; a date without an offset is not an instant."""
    if not isinstance(text, str):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.astimezone(UTC) if instant.tzinfo else None


def find_flaw(body: JsonObject, type_name: str) -> Flaw | None:
    """The first flaw of `body` as a `type_name`, or None."""
    return _check_object(body, type_name, type_name)


def _check_object(value: Any, type_name: str, path: str) -> Flaw | None:
    if not isinstance(value, dict):
        return Flaw("wrong_type", f"{path} must be an object")
    attributes: dict[str, str] = _load()[type_name]
    for key in value:
        if key not in attributes:
            return Flaw("unknown_attribute", f"{path}.{key} is not an attribute of {type_name}")
    for key, rule in attributes.items():
        kind = rule.removeprefix("required ")
        if key not in value or value[key] is None:
            if kind != rule:
                return Flaw("missing_attribute", f"{path}.{key} is required")
            continue
        flaw = _check_value(value[key], kind, f"{path}.{key}")
        if flaw is not None:
            return flaw
        if kind != rule and value[key] in ("", []):
            return Flaw("missing_attribute", f"{path}.{key} must not be empty")
    return None


def _check_value(value: Any, kind: str, path: str) -> Flaw | None:
    name, _, argument = kind.partition(":")
    match name:
        case "object":
            return _check_object(value, argument, path)
        case "list":
            if not isinstance(value, list):
                return Flaw("wrong_type", f"{path} must be an array")
            item_kind = argument if argument == "text" else f"object:{argument}"
            flaws = (_check_value(item, item_kind, f"{path}[{n}]") for n, item in enumerate(value))
            return next((flaw for flaw in flaws if flaw is not None), None)
        case "enum":
            if not isinstance(value, str):
                return Flaw("wrong_type", f"{path} must be a text")
            if value in enum_values(argument):
                return None
            return Flaw("bad_value", f"{path} must be one of {sorted(enum_values(argument))}")
        case "date":
            return None if parse_date(value) else Flaw("bad_date", f"{path} must be yyyy-MM-dd'T'HH:mm:ssZ")
        case "email":
            if isinstance(value, str) and is_email(value):
                return None
            return Flaw("bad_email", f"{path} is not an e-mail address")
        case _:
            return _check_scalar(value, name, path)


def _check_scalar(value: Any, kind: str, path: str) -> Flaw | None:
    # bool is an int in Python, and the API's booleans and numbers are real ones.
    fits = {
        "text": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
    }[kind]
    return None if fits else Flaw("wrong_type", f"{path} must be a {kind}")
