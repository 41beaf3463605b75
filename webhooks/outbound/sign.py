"""Signs a webhook in both forms from the same bytes and one integer timestamp per attempt.

Two keys come from one secret text. The design's header takes the UTF-8 bytes of the whole text, which is what
a receiver does that follows the design documents. The standard header takes the base64-decoded bytes after
`whsec_`, which is what every Standard Webhooks library does; a tenant's own text without that prefix is taken
as UTF-8 in both, and its libraries are given `whsec_` + base64 of it. Beside the secret an endpoint has an Ed25519
key, whose `v1a` signature anybody can verify by the published public key. During a rotation the standard header
carries the signatures of every live generation; the design's header has room for one and changes over at the cutover,
and until then X-Signature-Signature-Next shows what the new secret signs.
Must never log a key or a secret, and never sign anything but the bytes that are sent.
Source: Standard Webhooks 1.0.0; the design documents (webhook headers).
"""

import base64
import binascii
import hashlib
import hmac
import secrets as random_source
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from config.secret import Secret
from normalizer.errors import Finding, ValidationFailed

PREFIX = "whsec_"
PUBLIC_PREFIX = "whpk_"
SEED_BYTES = 32
SHORTEST_BYTES = 24
LONGEST_BYTES = 64
LONGEST_TEXT = 255


class SignatureProfile(StrEnum):
    BOTH = "both"
    SEED = "seed"  # the design documents' headers only
    STANDARD = "standard"


class SigningKeys:
    """One generation's keys, ready for use: two of the secret, and one of the Ed25519 seed where there is one.
    `copy()` of a prepared HMAC saves hashing the key each time.
    """

    __slots__ = ("_design", "_private", "_standard")

    def __init__(self, secret: Secret, seed: bytes | None = None) -> None:
        text = secret.reveal()
        self._private = None if seed is None else Ed25519PrivateKey.from_private_bytes(seed)
        self._design = hmac.new(text.encode(), digestmod=hashlib.sha256)
        self._standard = hmac.new(standard_key(text), digestmod=hashlib.sha256)

    def __repr__(self) -> str:
        return "SigningKeys(***)"

    def standard(self, signed: bytes) -> str:
        mac = self._standard.copy()
        mac.update(signed)
        return "v1," + binascii.b2a_base64(mac.digest(), newline=False).decode()

    def asymmetric(self, signed: bytes) -> str | None:
        """None without a seed."""
        if self._private is None:
            return None
        return "v1a," + binascii.b2a_base64(self._private.sign(signed), newline=False).decode()

    def design(self, signed: bytes) -> str:
        mac = self._design.copy()
        mac.update(signed)
        return "sha256=" + mac.hexdigest()


class OldKeys(msgspec.Struct, frozen=True):
    """A generation that signs until its overlap ends. `cutover_at`: when the design's header took it up."""

    keys: SigningKeys
    until: datetime
    cutover_at: datetime | None = None


class KeyRing(msgspec.Struct, frozen=True):
    """An endpoint's keys: the current ones and, while rotations overlap, those before them. `older`: before the
    previous ones, newest first.
    """

    current: SigningKeys
    previous: SigningKeys | None = None
    previous_until: datetime | None = None
    cutover_at: datetime | None = None
    previous_cutover_at: datetime | None = None
    older: tuple[OldKeys, ...] = ()

    def at(self, now: datetime) -> tuple[tuple[SigningKeys, ...], SigningKeys]:
        """The keys of the standard header (newest first) and the one of the design's header: the newest whose
        cutover is past.
        """
        if self.previous is None:  # as nearly always
            return (self.current,), self.current
        live = [(self.current, self.cutover_at)]
        if self.previous_until is not None and now < self.previous_until:
            live.append((self.previous, self.previous_cutover_at))
        live += [(one.keys, one.cutover_at) for one in self.older if now < one.until]
        design = next(
            (keys for keys, cutover_at in live if cutover_at is None or now >= cutover_at), live[-1][0]
        )
        return tuple(keys for keys, _ in live), design


def standard_signatures(keys: Sequence[SigningKeys], signed: bytes) -> str:
    """The value of webhook-signature: every v1, then every v1a."""
    values = [one.standard(signed) for one in keys]
    for one in keys:
        asymmetric = one.asymmetric(signed)
        if asymmetric is not None:
            values.append(asymmetric)
    return " ".join(values)


def sign(
    ring: KeyRing,
    profile: SignatureProfile,
    *,
    message: str,
    type_: str,
    body: bytes,
    now: datetime,
    timestamp: int | None = None,
) -> dict[str, str]:
    """The signature headers of one attempt at `now`, which says which keys sign. A `timestamp` of its own is for
    showing what they would say.
    """
    second = str(int(now.timestamp()) if timestamp is None else timestamp)
    standard_keys, design_key = ring.at(now)
    headers: dict[str, str] = {}
    if profile is not SignatureProfile.SEED:
        signed = b"".join((f"{message}.{second}.".encode(), body))
        headers["webhook-id"] = message
        headers["webhook-timestamp"] = second
        headers["webhook-signature"] = standard_signatures(standard_keys, signed)
    if profile is not SignatureProfile.STANDARD:
        headers["X-Signature-Event"] = type_
        headers["X-Signature-Timestamp"] = second
        signed = b"".join((second.encode(), b".", body))
        headers["X-Signature-Signature"] = design_key.design(signed)
        if design_key is not ring.current:
            headers["X-Signature-Signature-Next"] = ring.current.design(signed)
    return headers


def make_secret() -> Secret:
    return Secret(PREFIX + base64.b64encode(random_source.token_bytes(32)).decode())


def make_seed() -> bytes:
    return random_source.token_bytes(SEED_BYTES)


def public_key(seed: bytes) -> bytes:
    """The 32 bytes that verify what the seed signs."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def print_public_key(key: bytes) -> str:
    return PUBLIC_PREFIX + base64.b64encode(key).decode()


def vet_secret(text: str) -> Secret:
    """A tenant's own secret. Raises ValidationFailed when it is shorter than 24 bytes or not plain text."""
    problem = ""
    if not text.isascii() or not text.isprintable() or text != text.strip():
        problem = "a secret is printable ASCII without spaces at its ends"
    elif len(text) > LONGEST_TEXT:
        problem = f"a secret has at most {LONGEST_TEXT} characters"
    elif text.startswith(PREFIX):
        try:
            size = len(standard_key(text))
        except binascii.Error:
            problem = "what follows whsec_ is not base64"
        else:
            if not SHORTEST_BYTES <= size <= LONGEST_BYTES:
                problem = f"a whsec_ secret encodes {SHORTEST_BYTES} to {LONGEST_BYTES} bytes"
    elif len(text) < SHORTEST_BYTES:
        problem = f"a secret has at least {SHORTEST_BYTES} bytes"
    if problem:
        raise ValidationFailed(problem.capitalize() + ".", (Finding("/secret", problem),))
    return Secret(text)


def standard_key(text: str) -> bytes:
    """The key that Standard Webhooks libraries use. Raises binascii.Error when it is not base64."""
    if not text.startswith(PREFIX):
        return text.encode()
    return base64.b64decode(text[len(PREFIX) :], validate=True)


def standard_form(secret: Secret) -> Secret:
    """The secret as Standard Webhooks libraries take it: `whsec_` and base64."""
    text = secret.reveal()
    if text.startswith(PREFIX):
        return secret
    return Secret(PREFIX + base64.b64encode(text.encode()).decode())
