"""Canonical JSON: one document, one sequence of bytes.

A restricted profile of RFC 8785: ASCII keys, strings, integers up to 2^53-1, booleans, null, arrays, objects,
and no floats (amounts and coordinates are strings). Inside the profile msgspec's sorted encoder equals
RFC 8785, which a property test checks. Must never write what it cannot write the same way twice.
Source: RFC 8785 (JCS), sections 3.2.2 and 3.2.3.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

_KEY = re.compile(r"[A-Za-z0-9_.\-]+\Z")
_LARGEST = 2**53 - 1
_encoder = msgspec.json.Encoder(order="sorted")


class NotCanonical(ValueError):
    """A value outside the profile: a programming error, found before anything is hashed."""


def canonical_bytes(value: Json) -> bytes:
    """Raises NotCanonical for floats, large integers, keys outside the profile and lone surrogates."""
    _check(value, "")
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, msgspec.MsgspecError) as error:
        raise NotCanonical(str(error)) from error


def _check(value: object, where: str) -> None:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int):
        if abs(value) > _LARGEST:
            raise NotCanonical(f"{where or '/'}: integers stop at 2^53-1; write it as a string")
        return
    if isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{where}/{index}")
        return
    if isinstance(value, dict | Mapping):  # in this order: asking about an abstract class takes longer
        for key, item in value.items():
            if not _is_key(key):
                raise NotCanonical(f"{where}/{key!r}: keys are ASCII letters, digits, '_', '.', '-'")
            if type(item) is not str:  # most items are
                _check(item, f"{where}/{key}")
        return
    raise NotCanonical(f"{where or '/'}: {type(value).__name__} has no canonical form")


@lru_cache(maxsize=4096)  # they are nearly always the same
def _is_key(key: object) -> bool:
    return isinstance(key, str) and _KEY.match(key) is not None
