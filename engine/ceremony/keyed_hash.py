"""How links, sessions and codes are kept: HMAC-SHA-256 under the installation's pepper, never as themselves.

The pepper is not in the database's clear text, so a dump opens nothing, not even a six-digit code by trying all.
"""

import hashlib
import hmac
from enum import StrEnum
from uuid import UUID

from engine.engine import Engine


class Purpose(StrEnum):
    """A hash made for one purpose never equals one that was made for another."""

    LINK = "ceremony link"
    SESSION = "ceremony session"
    CSRF = "ceremony csrf"
    CODE = "ceremony code"
    AGENT = "ceremony user agent"
    ADDRESS = "ceremony ip address"
    PHONE = "ceremony phone"


def keyed_hash(engine: Engine, purpose: Purpose, *parts: str | UUID) -> bytes:
    """32 bytes. Each part goes in with its length: ("ab", "c") and ("a", "bc") differ."""
    message = b"".join(
        len(encoded).to_bytes(4, "big") + encoded
        for encoded in (str(part).encode("utf-8", "surrogatepass") for part in (purpose, *parts))
    )
    return hmac.digest(engine.pepper, message, hashlib.sha256)
