"""What a person may see of a kept body: its shape, and the values that name no person.

A value is shown when its name says that it is a word, a number, a moment or an id of the provider's; everything else is
masked, also what nobody has thought of. Must never return a body that cannot be read as JSON.
"""

import re
from typing import Any

import msgspec

from adapters.kit.masking import mask_text
from normalizer.errors import PayloadMalformed

MASKED = "[masked]"
_SHOWN = re.compile(
    r"(event|type|status|state|version|datetime|date|order|count|code|scope|id|uri|offset|role|number|ref)s?\Z",
    re.IGNORECASE,
)
# Ids of people's accounts and what hides a person behind an innocent ending.
_HIDDEN = re.compile(
    r"(phone|user|mail|name|ipaddress|acting|participant|initiating|sender|signer|access)", re.IGNORECASE
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_DEEPEST = 64


def mask_body(body: bytes) -> bytes:
    """Indented JSON. Raises PayloadMalformed for a body that is none, or is nested too deeply."""
    try:
        content = msgspec.json.decode(body)
        return msgspec.json.format(msgspec.json.encode(_masked(content, "", 0)), indent=2)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadMalformed("The body is no JSON, so nothing of it can be shown.") from error


def _masked(value: Any, name: str, depth: int) -> Any:
    if depth > _DEEPEST:
        return MASKED
    if isinstance(value, dict):
        return {_name(key): _masked(item, key, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, name, depth + 1) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if not _SHOWN.search(name) or _HIDDEN.search(name):
        return MASKED
    if not isinstance(value, str) or _UUID.match(value):  # one of digits only looks like a telephone number
        return value
    return mask_text(value)


def _name(key: str) -> str:
    """A name may be somebody's address too."""
    return MASKED if "@" in key or len(key) > 60 else key
