"""Takes secrets and personal data out of a provider's words before anybody may read them.

A provider's error text may quote what we sent: tokens, e-mail addresses, access codes. Must never be trusted
to make a body loggable; bodies are not logged at all. It errs on the side of masking too much.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from config.secret import MASK, Secret

_SHOWN = 300
_MIN_SECRET = 4  # a shorter "secret" would mask half of the language

_PATTERNS = (
    # A JSON web token, before anything else cuts it into pieces.
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]+\.?[\w-]*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.+/=~-]{6,}"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?i)([\"']?(?:access_token|refresh_token|client_secret|password|access_?code|secret|assertion|"
            r"api[_-]?key|authorization)[\"']?\s*[:=]\s*)[\"']?[^\"',;&\s}]+[\"']?"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+"), "***@***"),
    (re.compile(r"(?<![\w-])\+?\(?\d(?:[\s().-]{0,3}\d){8,}(?![\w-])"), MASK),  # telephone numbers
    (re.compile(r"(?<![\w/-])[A-Za-z0-9+/_-]{60,}={0,2}"), MASK),  # keys and tokens without a name
)


def mask_text(text: str, secrets: Iterable[str] = (), limit: int = _SHOWN) -> str:
    """One line of at most `limit` characters without `secrets`, tokens, e-mail addresses and numbers."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _MIN_SECRET:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    text = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def secrets_of(value: Any) -> tuple[str, ...]:
    """The text of every Secret inside an adapter's credentials struct."""
    found: list[str] = []
    _collect(value, found)
    return tuple(found)


def _collect(value: Any, found: list[str]) -> None:
    if isinstance(value, Secret):
        found.append(value.reveal())
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            _collect(getattr(value, name), found)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _collect(item, found)
