"""Verifies a webhook where it is received. One file to copy: it needs the standard library, and for v1a `cryptography`.

    from verify import NotVerified, verify_any

    try:
        event = verify_any(request.headers, request.body, ["whsec_..."])
    except NotVerified as refusal:
        ...  # answer 401; the reason is in str(refusal)

Give it the raw bytes of the body, before anything parses them. Keys: the endpoint's secret as it was shown
(`whsec_...`, or your own text), or its public keys (`whpk_...`), one or several during a rotation. It takes the
Standard Webhooks headers (v1, v1a) and X-Signature-Signature, and needs one signature of one key. Whatever is wrong,
with the message or with a key, is NotVerified and no other exception: nothing is let through unless it was proved.
Remember the `id` that it returns: the same message may come more than once.
Source: Standard Webhooks 1.0.0, verifying webhooks; RFC 8032 (Ed25519).
"""

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:  # only public keys need it, and they say so
    InvalidSignature = ValueError  # type: ignore[assignment,misc]  # never raised without the library
    Ed25519PublicKey = None  # type: ignore[assignment,misc]  # asked before it is used

_LONGEST_HEADER = 8192
_MOST_SIGNATURES = 20
_MOST_KEYS = 20
_SHORTEST_SECRET = 24
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,255}")  # printable, no space, no dot


class NotVerified(Exception):
    """The message is not to be trusted. Its text says why and holds no secret."""


class Verified(NamedTuple):
    """`id`: the same for every repetition. `type`: out of the signed body. `timestamp`: when this attempt was
    signed, in seconds. `scheme`: v1, v1a, or seed for X-Signature-Signature.
    """

    id: str
    type: str
    timestamp: int
    scheme: str


class _Keys(NamedTuple):
    """`standard` and `seed`: HMAC keys of each secret. `public`: Ed25519 keys."""

    standard: list[bytes]
    seed: list[bytes]
    public: list["Ed25519PublicKey"]


def verify_any(
    headers: Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]],
    body: bytes,
    secrets_or_public_keys: str | Iterable[str],
    *,
    tolerance_s: float = 300,
    now: float | None = None,
) -> Verified:
    """What was proved. Raises NotVerified. `headers`: a mapping, or pairs as ASGI has them. `now`: seconds since
    1970, for tests; a message may be `tolerance_s` older or newer than it.
    """
    if not isinstance(body, bytes | bytearray | memoryview):
        raise NotVerified("the body must be the raw bytes that were received")
    try:
        raw = bytes(body)
    except (ValueError, BufferError):
        raise NotVerified("the body's memory is gone") from None
    read = _read_headers(headers)
    keys = _read_keys(secrets_or_public_keys)
    clock = time.time() if now is None else now
    refusals: list[str] = []
    for check in (_check_standard, _check_seed):
        found = check(read, raw, keys, clock, tolerance_s, refusals)
        if found is not None:
            scheme, message, timestamp = found
            id_, type_ = _read_body(raw, read, message)
            return Verified(id_, type_, timestamp, scheme)
    raise NotVerified("; ".join(refusals))


def _check_standard(
    headers: dict[str, str], body: bytes, keys: _Keys, now: float, tolerance_s: float, refusals: list[str]
) -> tuple[str, str, int] | None:
    """(scheme, id, timestamp) when one signature of webhook-signature is right."""
    listed = headers.get("webhook-signature")
    if listed is None:
        refusals.append("there is no webhook-signature")
        return None
    message = headers.get("webhook-id", "")
    if not _ID.fullmatch(message):
        refusals.append("webhook-id is missing or malformed")
        return None
    text = headers.get("webhook-timestamp", "")
    timestamp = _read_timestamp(text, "webhook-timestamp", now, tolerance_s, refusals)
    if timestamp is None:
        return None
    signed = b"".join((message.encode(), b".", text.encode(), b".", body))
    expected = ["v1," + _base64(hmac.digest(key, signed, "sha256")) for key in keys.standard]
    for value in listed.split(" ")[:_MOST_SIGNATURES]:
        if value.startswith("v1,"):
            if _is_one_of(value, expected):
                return "v1", message, timestamp
        elif value.startswith("v1a,") and _is_signed(value[4:], signed, keys.public):
            return "v1a", message, timestamp
    refusals.append("no signature of webhook-signature was made with one of the keys")
    return None


def _check_seed(
    headers: dict[str, str], body: bytes, keys: _Keys, now: float, tolerance_s: float, refusals: list[str]
) -> tuple[str, str, int] | None:
    """As above for X-Signature-Signature, which does not sign an id: the body's is taken."""
    value = headers.get("x-signature-signature")
    if value is None:
        refusals.append("there is no X-Signature-Signature")
        return None
    text = headers.get("x-signature-timestamp", "")
    timestamp = _read_timestamp(text, "X-Signature-Timestamp", now, tolerance_s, refusals)
    if timestamp is None:
        return None
    signed = b"".join((text.encode(), b".", body))
    expected = ["sha256=" + hmac.new(key, signed, hashlib.sha256).hexdigest() for key in keys.seed]
    if not _is_one_of(value, expected):
        refusals.append("X-Signature-Signature was not made with one of the secrets")
        return None
    return "seed", "", timestamp


def _is_one_of(value: str, expected: list[str]) -> bool:
    """Every comparison is made, whatever the first one says."""
    matches = [hmac.compare_digest(value.encode(), one.encode()) for one in expected]
    return any(matches)


def _is_signed(value: str, signed: bytes, keys: list["Ed25519PublicKey"]) -> bool:
    signature = _decode(value)
    if signature is None or len(signature) != 64:
        return False
    for key in keys:
        try:
            key.verify(signature, signed)
        except InvalidSignature:
            continue
        return True
    return False


def _read_timestamp(text: str, name: str, now: float, tolerance_s: float, refusals: list[str]) -> int | None:
    if not _TIMESTAMP.fullmatch(text):
        refusals.append(f"{name} is missing or malformed")
        return None
    try:
        inside = math.isfinite(now) and abs(now - int(text)) <= tolerance_s
    except (TypeError, OverflowError):
        raise NotVerified("now and tolerance_s are numbers of seconds") from None
    if not inside:
        refusals.append(f"{name} is too old or too new")
        return None
    return int(text)


def _read_body(body: bytes, headers: dict[str, str], message: str) -> tuple[str, str]:
    """The id and type of a body whose signature was right, and which says what the headers say."""
    try:
        event = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise NotVerified("the body is signed, but it is no JSON") from None
    if not isinstance(event, dict):
        raise NotVerified("the body is signed, but it is no JSON object")
    if not isinstance(event.get("type"), str) or not _TYPE.fullmatch(event["type"]):
        raise NotVerified("the body is signed, but it has no type")
    hint = headers.get("x-signature-event")
    if hint is not None and hint != event["type"]:
        raise NotVerified("X-Signature-Event is not the type of the signed body")
    inside = event.get("id")
    if inside is not None and not (isinstance(inside, str) and _ID.fullmatch(inside)):
        raise NotVerified("the body's id is malformed")
    outside = headers.get("webhook-id", message)
    if inside and outside and inside != outside:
        raise NotVerified("webhook-id is not the id of the signed body")
    # Without a signature over webhook-id only the body's own id counts.
    known = message or inside
    if not known:
        raise NotVerified("the body is signed, but it has no id")
    return known, event["type"]


def _read_headers(headers: object) -> dict[str, str]:
    """By lower-case name, only those that matter. Two values of one name are one too many."""
    wanted = {
        "webhook-id", "webhook-timestamp", "webhook-signature",
        "x-signature-event", "x-signature-timestamp", "x-signature-signature",
    }  # fmt: skip
    read: dict[str, str] = {}
    for pair in _pairs(headers):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise NotVerified("headers are a mapping, or pairs of name and value")
        name, value = _text(pair[0]), _text(pair[1])
        key = name.lower() if name is not None else ""
        if key not in wanted:
            continue
        if value is None or len(value) > _LONGEST_HEADER or not value.isascii():
            raise NotVerified(f"{key} is malformed")
        value = value.strip(" \t")
        if read.setdefault(key, value) != value:
            raise NotVerified(f"{key} is there twice")
    return read


def _pairs(headers: object) -> Iterable[object]:
    items = getattr(headers, "items", None)
    try:
        return list(items()) if callable(items) else list(headers)  # type: ignore[call-overload]  # else TypeError
    except (TypeError, ValueError):
        raise NotVerified("headers are a mapping, or pairs of name and value") from None


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return value.decode("latin-1") if isinstance(value, bytes) else None


def _read_keys(given: object) -> _Keys:
    """A key that cannot be read is an error and not skipped: whoever mistyped it would wait for it in vain."""
    if isinstance(given, str):
        given = (given,)
    try:
        listed = list(given)  # type: ignore[call-overload]  # what is no iterable is a TypeError
    except TypeError:
        raise NotVerified("the keys are texts") from None
    if not 1 <= len(listed) <= _MOST_KEYS:
        raise NotVerified(f"there must be 1 to {_MOST_KEYS} keys")
    keys = _Keys([], [], [])
    for place, key in enumerate(listed, 1):
        if not isinstance(key, str) or not key.isascii():
            raise NotVerified(f"key {place} is not a text of ASCII")
        if key.startswith("whsk_"):
            raise NotVerified(f"key {place} is a private key, which no receiver should have")
        if key.startswith("whpk_"):
            keys.public.append(_read_public_key(key[5:], place))
        elif key.startswith("whsec_"):
            decoded = _decode(key[6:])
            if decoded is None or len(decoded) < _SHORTEST_SECRET:
                raise NotVerified(
                    f"key {place} is not whsec_ and the base64 of {_SHORTEST_SECRET} bytes or more"
                )
            keys.standard.append(decoded)
            keys.seed.append(key.encode())
        elif len(key) < _SHORTEST_SECRET:
            raise NotVerified(f"key {place} has less than {_SHORTEST_SECRET} characters")
        else:
            keys.standard.append(key.encode())
            keys.seed.append(key.encode())
    return keys


def _read_public_key(text: str, place: int) -> "Ed25519PublicKey":
    if Ed25519PublicKey is None:
        raise NotVerified(f"key {place} is a public key: install cryptography")
    decoded = _decode(text)
    if decoded is None or len(decoded) != 32:
        raise NotVerified(f"key {place} is not whpk_ and the base64 of 32 bytes")
    try:
        return Ed25519PublicKey.from_public_bytes(decoded)
    except ValueError:
        raise NotVerified(f"key {place} is no Ed25519 key") from None


def _decode(text: str) -> bytes | None:
    """Base64 in its one canonical form, or None."""
    try:
        decoded = base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if _base64(decoded) == text else None


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
