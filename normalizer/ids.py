"""Identifiers: UUIDv7 inside, a typed prefix and 26 base32 characters at the edge (env_01jd...).

Must never hand out a guessable secret: an id names a thing, it does not open it.
Source: RFC 9562 section 5.7 (UUIDv7); the TypeID encoding for the printed form.
"""

import base64
import functools
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from normalizer.errors import NotFound

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_LETTERS = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET.encode())
_PRINTED_LENGTH = 26


class Kind(StrEnum):
    """The prefix says what an id names, so that a mixed-up id is refused and not looked up."""

    TENANT = "ten"
    USER = "usr"
    API_KEY = "key"
    CONNECTION = "con"
    ENVELOPE = "env"
    RECIPIENT = "rcp"
    DOCUMENT = "doc"
    FIELD = "fld"
    EVENT = "evt"
    ENDPOINT = "ep"
    DELIVERY = "dlv"
    ATTEMPT = "att"
    MESSAGE = "msg"
    ROUTE = "rte"
    SWITCH = "swi"
    JOB = "job"
    CERTIFICATE = "crt"
    TEMPLATE = "tpl"
    SIGNATURE = "sig"
    NOTICE = "ntc"
    DRIFT = "dft"
    REPLAY = "rpl"

    @property
    def noun(self) -> str:
        """What people call it."""
        return self.name.lower().replace("_", " ")


class Ids:
    """Makes ids that sort by time of making, strictly within one factory."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last = 0
        self._lock = threading.Lock()

    def new(self) -> UUID:
        milliseconds = int(self._now().timestamp() * 1000)
        chance = int.from_bytes(secrets.token_bytes(10), "big")
        candidate = (milliseconds << 80) | (7 << 76) | ((chance >> 64 & 0xFFF) << 64)
        candidate |= (0b10 << 62) | (chance & (1 << 62) - 1)
        with self._lock:
            if candidate <= self._last:
                # A clock that stands still or steps back must not reorder ids: count on in the random tail.
                candidate = self._last + 1 + secrets.randbits(16)
                candidate = candidate & ~(0b11 << 62) | (0b10 << 62)
            self._last = candidate
        return UUID(int=candidate)


@functools.lru_cache(maxsize=4096)  # one envelope's id is printed a dozen times while it is made
def print_id(kind: Kind, value: UUID) -> str:
    # 160 bits are 32 letters of base32, of which the last 26 hold the id's 128.
    letters = base64.b32encode(value.int.to_bytes(20, "big"))[-_PRINTED_LENGTH:]
    return f"{kind}_{letters.translate(_LETTERS).decode()}"


def print_optional_id(kind: Kind, value: UUID | None) -> str | None:
    return None if value is None else print_id(kind, value)


def read_id(kind: Kind, printed: str) -> UUID:
    """Raises NotFound for whatever is no id of this kind: a stranger's id and nonsense look the same."""
    prefix, _, body = printed.rpartition("_")
    if prefix != kind or len(body) != _PRINTED_LENGTH or body[0] > "7":
        raise NotFound(kind.noun, printed)
    number = 0
    for letter in body:
        value = _VALUES.get(letter)
        if value is None:
            raise NotFound(kind.noun, printed)
        number = (number << 5) | value
    return UUID(int=number)
