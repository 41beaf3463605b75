"""Checks a request body against the frozen attribute catalogue of the official client.

Stricter than the real service, which ignores many unknown attributes: here a misspelt attribute is refused,
so that it is found in development. Must never import the adapter's structs.
Source: attribute names and types of docusign-esign 6.1.0 (MIT), reduced to what this sandbox speaks.
"""

from functools import cache
from importlib import resources
from typing import Any, TypeAlias

import msgspec

from .refusals import Refusal

JsonObject: TypeAlias = dict[str, Any]

# Attributes that are booleans although the catalogue can only say "str". They travel as "true" or "false".
_BOOLEANS = frozenset(
    {
        "allowReassign", "allowMarkup", "allowComments", "anchorCaseSensitive", "anchorIgnoreIfNotPresent",
        "anchorMatchWholeWord", "asynchronous", "autoNavigation", "enableWetSign", "enforceSignerVisibility",
        "envelopeIdStamping", "expireEnabled", "includeHMAC", "includeDocuments", "includeTimeZone",
        "loggingEnabled", "enableLog", "locked", "messageLock", "optional", "recipientsLock",
        "reminderEnabled",
        "requireAcknowledgment", "requiresAcknowledgement", "requireIdLookup", "required", "selected",
        "shared",
        "show", "suppressEmails", "transformPdfFields", "useAccountDefaults", "allowEnvelopePublish",
        "allUsers",
    }
)  # fmt: skip
_INTEGERS = frozenset(
    {
        "expireAfter", "expireWarn", "reminderDelay", "reminderFrequency", "routingOrder", "order",
        "pageNumber",
        "xPosition", "yPosition", "maxLength", "lockDurationInSeconds", "pingFrequency", "sequence",
    }
)  # fmt: skip


@cache
def models() -> dict[str, dict[str, str]]:
    """Model name to attribute to type."""
    raw = resources.files(__package__).joinpath("catalogue.json").read_bytes()
    return msgspec.json.decode(raw, type=_Catalogue).models


class _Catalogue(msgspec.Struct):
    source: str
    models: dict[str, dict[str, str]]


def check(body: object, model: str, where: str = "") -> JsonObject:
    """The body itself, once every attribute of it is known to `model` and carries its type."""
    if not isinstance(body, dict):
        raise Refusal("body-wrong-type", f"{where or model} must be an object.")
    known = models()[model]
    for name, value in body.items():
        path = f"{where}.{name}" if where else name
        kind = known.get(name)
        if kind is None:
            raise Refusal("body-unknown-attribute", f"'{path}' is no attribute of {model}.")
        if value is not None:
            _check_value(value, kind, path)
            _check_scalar_form(name, value, path)
    return body


def _check_value(value: object, kind: str, path: str) -> None:
    if kind.startswith("list["):
        if not isinstance(value, list):
            raise Refusal("body-wrong-type", f"'{path}' must be a list.")
        for index, item in enumerate(value):
            if item is not None:
                _check_value(item, kind[5:-1], f"{path}[{index}]")
    elif kind in models():
        check(value, kind, path)
    elif kind == "str":
        if not isinstance(value, str):
            raise Refusal(
                "body-scalar-not-string", f"'{path}' must be a string, also when it is a number or boolean."
            )
    elif kind == "bool":
        if not isinstance(value, bool):
            raise Refusal("body-wrong-type", f"'{path}' must be a JSON boolean.")
    elif kind in {"int", "float"} and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise Refusal("body-wrong-type", f"'{path}' must be a JSON number.")


def _check_scalar_form(name: str, value: object, path: str) -> None:
    if not isinstance(value, str):
        return
    if name in _BOOLEANS and value.lower() not in {"true", "false"}:
        raise Refusal("parameter-not-boolean", f"Value for '{path}' must be 'true' or 'false'.")
    if name in _INTEGERS and value and not value.removeprefix("-").isdigit():
        raise Refusal("parameter-not-integer", f"Value for '{path}' must be an integer.")


def is_true(value: object) -> bool:
    """Whether a wire scalar says true; absent is false."""
    return isinstance(value, str) and value.lower() == "true"
