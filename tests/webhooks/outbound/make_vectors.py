"""Writes vectors.json, which every verifier that we publish is run against, in whatever language.

    .venv/bin/python -m tests.webhooks.outbound.make_vectors

Made with hmac and Ed25519 alone, not with our signer: the file judges that, too. A case is what a receiver has:
`headers`, the exact bytes (`body_base64`; `body` is the same to read), `keys`, `tolerance_s` and the clock `now`.
`valid` says what must come out, and for a valid one `id`, `type`, `timestamp` and `scheme`. `why` is for people.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FILE = Path(__file__).with_name("vectors.json")

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OLD_SECRET = "whsec_" + base64.b64encode(bytes(range(64, 96))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(128, 160))).decode()
PLAIN_SECRET = "a-secret-of-our-own-with-30-by"
SEED = bytes(range(32))
OLD_SEED = bytes(range(64, 96))
AT = 1767323045
ID = "evt_01"
TYPE = "envelope.completed"
BODY = (
    b'{"id":"evt_01","type":"envelope.completed","timestamp":"2026-01-02T03:04:05Z",'
    b'"data":{"envelope_id":"env_1"}}'
)
UNICODE_BODY = '{"id":"evt_01","type":"envelope.completed","data":{"name":"Zoë 😀 \\u00e9"}}'.encode()


def public(seed: bytes) -> str:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return "whpk_" + base64.b64encode(key).decode()


def standard_key(secret: str) -> bytes:
    return base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()


def v1(secret: str, body: bytes = BODY, *, id_: str = ID, at: object = AT) -> str:
    digest = hmac.new(standard_key(secret), f"{id_}.{at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def v1a(seed: bytes, body: bytes = BODY, *, id_: str = ID, at: object = AT) -> str:
    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(f"{id_}.{at}.".encode() + body)
    return "v1a," + base64.b64encode(signature).decode()


def sha256(secret: str, body: bytes = BODY, *, at: object = AT) -> str:
    return "sha256=" + hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def standard(signatures: str, *, id_: str = ID, at: object = AT) -> dict[str, str]:
    return {"webhook-id": id_, "webhook-timestamp": str(at), "webhook-signature": signatures}


def seed(signature: str, *, at: object = AT, type_: str = TYPE) -> dict[str, str]:
    return {"X-Signature-Event": type_, "X-Signature-Timestamp": str(at), "X-Signature-Signature": signature}


def case(name: str, why: str, headers: dict[str, str], body: bytes = BODY, **given: Any) -> dict[str, Any]:
    scheme = given.pop("scheme", None)
    made: dict[str, Any] = {"name": name, "why": why, "headers": headers}
    made["body_base64"] = base64.b64encode(body).decode()
    made["body"] = body.decode("utf-8", "replace")
    made["keys"] = given.pop("keys", [SECRET])
    made["tolerance_s"] = given.pop("tolerance_s", 300)
    made["now"] = given.pop("now", AT)
    made["valid"] = scheme is not None
    if scheme is not None:
        made |= {"scheme": scheme, "id": ID, "type": given.pop("type_", TYPE), "timestamp": AT}
    assert not given, given
    return made


def valid() -> list[dict[str, Any]]:
    both_v1 = f"{v1(SECRET)} {v1(OLD_SECRET)}"
    rotation = f"{both_v1} {v1a(SEED)} {v1a(OLD_SEED)}"
    pk, old_pk = public(SEED), public(OLD_SEED)
    return [
        case("v1", "the standard's headers", standard(v1(SECRET)), scheme="v1"),
        case("seed", "the design documents' headers", seed(sha256(SECRET)), scheme="seed"),
        case("v1a", "Ed25519 by the public key", standard(v1a(SEED)), keys=[pk], scheme="v1a"),
        case("both", "both sets at once", standard(v1(SECRET)) | seed(sha256(SECRET)), scheme="v1"),
        case("rotation-new", "a receiver of the new secret", standard(rotation), scheme="v1"),
        case("rotation-old", "of the old one", standard(rotation), keys=[OLD_SECRET], scheme="v1"),
        case("rotation-public-new", "of the new public key", standard(rotation), keys=[pk], scheme="v1a"),
        case("rotation-public-old", "of the old one", standard(rotation), keys=[old_pk], scheme="v1a"),
        case("two-keys", "one key of two fits", standard(v1(OLD_SECRET)), keys=[SECRET, OLD_SECRET], scheme="v1"),
        case("seed-two-keys", "during a rotation", seed(sha256(OLD_SECRET)), keys=[SECRET, OLD_SECRET], scheme="seed"),
        case("mixed-keys", "a public key and a secret", standard(v1a(SEED)), keys=[OTHER_SECRET, pk], scheme="v1a"),
        case("plain-v1", "a tenant's own text as the secret", standard(v1(PLAIN_SECRET)), keys=[PLAIN_SECRET], scheme="v1"),
        case("plain-seed", "the same", seed(sha256(PLAIN_SECRET)), keys=[PLAIN_SECRET], scheme="seed"),
        case("unknown-versions", "versions of the future are passed over", standard(f"v2,abc {v1(SECRET)} v9"), scheme="v1"),
        case("broken-neighbour", "so are entries that cannot be read", standard(f"v1,??? , v1a,x {v1(SECRET)}"), scheme="v1"),
        case("case-of-names", "names of headers have no case", {k.upper(): v for k, v in standard(v1(SECRET)).items()}, scheme="v1"),
        case("lower-seed", "the same", {k.lower(): v for k, v in seed(sha256(SECRET)).items()}, scheme="seed"),
        case("oldest", "exactly as old as it may be", standard(v1(SECRET)), now=AT + 300, scheme="v1"),
        case("newest", "exactly as new as it may be", standard(v1(SECRET)), now=AT - 300, scheme="v1"),
        case("seed-oldest", "the same", seed(sha256(SECRET)), now=AT + 300, scheme="seed"),
        case("unicode", "letters of any kind", standard(v1(SECRET, UNICODE_BODY)), UNICODE_BODY, scheme="v1"),
        case("seed-unicode", "the same", seed(sha256(SECRET, UNICODE_BODY)), UNICODE_BODY, scheme="seed"),
        case("v1a-unicode", "the same", standard(v1a(SEED, UNICODE_BODY)), UNICODE_BODY, keys=[pk], scheme="v1a"),
        case("other-set-stale", "one set is enough", standard(v1(OTHER_SECRET)) | seed(sha256(SECRET)), scheme="seed"),
        case("no-hint", "X-Signature-Event may be absent", {k: v for k, v in seed(sha256(SECRET)).items() if k != "X-Signature-Event"}, scheme="seed"),
    ]  # fmt: skip


def invalid() -> list[dict[str, Any]]:
    pk = public(SEED)
    changed = BODY.replace(b"env_1", b"env_2")
    spaced = BODY + b" "
    no_type = b'{"id":"evt_01","data":{}}'
    listed = b'["evt_01"]'
    other_id = BODY.replace(b"evt_01", b"evt_02")
    nameless = b'{"type":"envelope.completed","data":{}}'
    half = v1(SECRET)[:-4] + "AAA="
    return [
        case("changed-body", "one letter of the body", standard(v1(SECRET)), changed),
        case("seed-changed-body", "the same", seed(sha256(SECRET)), changed),
        case("v1a-changed-body", "the same", standard(v1a(SEED)), changed, keys=[pk]),
        case("space-added", "a body that was read and written again", standard(v1(SECRET)), spaced),
        case("empty-body", "nothing arrived", standard(v1(SECRET)), b""),
        case("wrong-secret", "another endpoint's secret", standard(v1(OTHER_SECRET))),
        case("seed-wrong-secret", "the same", seed(sha256(OTHER_SECRET))),
        case("v1a-wrong-key", "another endpoint's key", standard(v1a(SEED)), keys=[public(OLD_SEED)]),
        case("changed-id", "webhook-id is signed", standard(v1(SECRET), id_="evt_02")),
        case("changed-timestamp", "so is webhook-timestamp", standard(v1(SECRET), at=AT + 1)),
        case("seed-changed-timestamp", "so is X-Signature-Timestamp", seed(sha256(SECRET), at=AT + 1)),
        case("too-old", "a second past the tolerance", standard(v1(SECRET)), now=AT + 301),
        case("too-new", "a second before it", standard(v1(SECRET)), now=AT - 301),
        case("seed-too-old", "the same", seed(sha256(SECRET)), now=AT + 301),
        case("seed-too-new", "the same", seed(sha256(SECRET)), now=AT - 301),
        case("tolerance", "the receiver allows ten seconds", standard(v1(SECRET)), now=AT + 11, tolerance_s=10),
        case("fraction", "a timestamp is whole seconds", standard(v1(SECRET, at=f"{AT}.5"), at=f"{AT}.5")),
        case("signed-timestamp", "without a sign", standard(v1(SECRET, at=f"+{AT}"), at=f"+{AT}")),
        case("no-timestamp", "and it is there", standard(v1(SECRET, at=""), at="")),
        case("seed-no-timestamp", "the same", seed(sha256(SECRET, at=""), at="")),
        case("huge-timestamp", "and no longer than that", standard(v1(SECRET, at="9" * 40), at="9" * 40)),
        case("no-id", "webhook-id is missing", {k: v for k, v in standard(v1(SECRET, id_="")).items() if k != "webhook-id"}),
        case("dot-in-id", "an id without a dot: the signed text is joined by dots", standard(v1(SECRET, id_="evt.01"), id_="evt.01")),
        case("no-headers", "no signature at all", {}),
        case("empty-signature", "none in the header", standard("")),
        case("no-comma", "an entry without a version", standard(v1(SECRET)[3:])),
        case("hex-v1", "hexadecimal where base64 belongs", standard("v1," + base64.b64decode(v1(SECRET)[3:]).hex())),
        case("wrong-version", "v1 said to be v1a", standard("v1a," + v1(SECRET)[3:]), keys=[SECRET, pk]),
        case("v1a-as-v1", "v1a said to be v1", standard("v1," + v1a(SEED)[4:]), keys=[SECRET, pk]),
        case("cut", "a signature with another end", standard(half)),
        case("unpadded", "base64 without its padding", standard(v1(SECRET).rstrip("="))),
        case("v1a-unpadded", "the same", standard(v1a(SEED).rstrip("=")), keys=[pk]),
        case("upper-hex", "hexadecimal is lower case", seed("sha256=" + sha256(SECRET)[7:].upper())),
        case("bare-hex", "the algorithm stands before it", seed(sha256(SECRET)[7:])),
        case("other-hash", "an algorithm that we do not use", seed("sha1=" + sha256(SECRET)[7:])),
        case("event-lies", "X-Signature-Event is not the body's type", seed(sha256(SECRET), type_="envelope.voided")),
        case("event-lies-v1", "the same beside the standard's headers", standard(v1(SECRET)) | {"X-Signature-Event": "envelope.voided"}),
        case("no-type", "a signed body without a type", standard(v1(SECRET, no_type)), no_type),
        case("not-an-object", "a signed body that is a list", standard(v1(SECRET, listed)), listed),
        case("not-json", "a signed body that is no JSON", standard(v1(SECRET, b"{")), b"{"),
        case("not-utf8", "a signed body that is no text", standard(v1(SECRET, b"\xff\xfe")), b"\xff\xfe"),
        case("two-ids", "webhook-id is not the signed body's", standard(v1(SECRET, other_id)), other_id),
        case("seed-nameless", "nothing signed says which message it is", seed(sha256(SECRET, nameless)), nameless),
        case("no-keys", "a receiver without a key", standard(v1(SECRET)), keys=[]),
        case("empty-key", "an empty key signs for everybody", standard(v1("")), keys=[""]),
        case("empty-whsec", "the same", standard(v1("whsec_")), keys=["whsec_"]),
        case("short-key", "23 bytes are too few", standard(v1("x" * 23)), keys=["x" * 23]),
        case("no-base64-key", "a secret that was mistyped", standard(v1(SECRET)), keys=["whsec_?" + SECRET[7:]]),
        case("one-bad-key", "also beside one that fits", standard(v1(SECRET)), keys=[SECRET, "whpk_AAAA"]),
        case("public-as-secret", "a public key signs nothing symmetric", standard(v1(pk)), keys=[pk]),
        case("seed-by-public", "the same", seed(sha256(pk)), keys=[pk]),
    ]  # fmt: skip


def render() -> str:
    document = {
        "about": "Webhook signatures of Countersign: what a receiver must accept and refuse. See docs/webhooks.md.",
        "cases": valid() + invalid(),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
