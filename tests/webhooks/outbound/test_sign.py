"""Both signatures: published vectors, the standard's own library, and a naive receiver of the design's rule."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from config.secret import Secret
from normalizer.errors import ValidationFailed
from webhooks.outbound.sign import (
    KeyRing,
    OldKeys,
    SignatureProfile,
    SigningKeys,
    make_secret,
    sign,
    standard_form,
    vet_secret,
)

SECRET = Secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
BODY = (
    b'{"id":"evt_01","type":"envelope.completed","timestamp":"2026-01-02T03:04:05Z",'
    b'"data":{"envelope_id":"env_1"}}'
)
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def headers_of(ring: KeyRing, *, body: bytes = BODY, now: datetime = AT, profile=SignatureProfile.BOTH):
    return sign(ring, profile, message="evt_01", type_="envelope.completed", body=body, now=now)


def naive_design_signature(secret: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(secret.encode(), f"{timestamp}.{body.decode()}".encode(), hashlib.sha256)
    return "sha256=" + digest.hexdigest()


def test_the_published_vector_is_signed_to_the_letter():
    assert headers_of(KeyRing(SigningKeys(SECRET))) == {
        "webhook-id": "evt_01",
        "webhook-timestamp": "1767323045",
        "webhook-signature": "v1,skJ3m0tnBOxJcJ4/qmj5CchNcnvUDzvTKGNmJ0yRnnM=",
        "X-Signature-Event": "envelope.completed",
        "X-Signature-Timestamp": "1767323045",
        "X-Signature-Signature": "sha256=2b23508b8ffae80814a3b6e827a355c364c649144b8fe90ba92b4f1c69afe030",
    }


@given(body=st.binary(min_size=1, max_size=400).map(lambda raw: b'{"data":"' + raw.hex().encode() + b'"}'))
def test_any_body_is_accepted_by_the_standards_library_and_by_a_naive_receiver(body: bytes):
    secret = make_secret()
    headers = headers_of(KeyRing(SigningKeys(secret)), body=body, now=datetime.now(UTC))
    Webhook(secret.reveal()).verify(body, headers)
    assert headers["X-Signature-Signature"] == naive_design_signature(
        secret.reveal(), headers["X-Signature-Timestamp"], body
    )


def test_a_changed_byte_is_refused_by_both():
    secret = make_secret()
    headers = headers_of(KeyRing(SigningKeys(secret)), now=datetime.now(UTC))
    changed = BODY.replace(b"env_1", b"env_2")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret.reveal()).verify(changed, headers)
    assert headers["X-Signature-Signature"] != naive_design_signature(
        secret.reveal(), headers["X-Signature-Timestamp"], changed
    )


def test_a_tenants_plain_secret_signs_with_its_own_bytes_and_works_in_the_libraries_form():
    secret = vet_secret("a-secret-of-our-own-with-30-by")
    headers = headers_of(KeyRing(SigningKeys(secret)), now=datetime.now(UTC))
    Webhook(standard_form(secret).reveal()).verify(BODY, headers)
    assert headers["X-Signature-Signature"] == naive_design_signature(
        secret.reveal(), headers["X-Signature-Timestamp"], BODY
    )


@pytest.mark.parametrize("profile", list(SignatureProfile))
def test_a_profile_sends_its_own_headers_only(profile: SignatureProfile):
    names = set(headers_of(KeyRing(SigningKeys(SECRET)), profile=profile))
    design = {name for name in names if name.startswith("X-Signature-")}
    standard = {name for name in names if name.startswith("webhook-")}
    assert bool(design) == (profile is not SignatureProfile.STANDARD)
    assert bool(standard) == (profile is not SignatureProfile.SEED)


@pytest.mark.parametrize(
    ("hours", "standard_accepts_old", "design_is_old"),
    [(0, True, True), (11, True, True), (12, True, False), (23, True, False), (24, False, False)],
)
def test_a_rotation_signs_twice_in_the_standard_header_and_changes_over_in_the_designs(
    hours: int, standard_accepts_old: bool, design_is_old: bool
):
    old, new = make_secret(), make_secret()
    start = datetime.now(UTC)
    ring = KeyRing(
        SigningKeys(new), SigningKeys(old), start + timedelta(hours=24), start + timedelta(hours=12)
    )
    now = start + timedelta(hours=hours)
    headers = headers_of(ring, now=now)
    signatures = headers["webhook-signature"].split(" ")
    only_old = headers_of(KeyRing(SigningKeys(old)), now=now)["webhook-signature"]
    assert (only_old in signatures) == standard_accepts_old
    assert headers_of(KeyRing(SigningKeys(new)), now=now)["webhook-signature"] in signatures
    key = old if design_is_old else new
    assert headers["X-Signature-Signature"] == naive_design_signature(
        key.reveal(), headers["X-Signature-Timestamp"], BODY
    )


@pytest.mark.parametrize(
    ("hours", "standard", "design"),
    [
        (1, "321", "1"),  # the second has rotated away from the first, whose own cutover is still to come
        (13, "321", "2"),
        (23, "321", "2"),
        (25, "32", "2"),
        (31, "32", "3"),
        (49, "3", "3"),
    ],
)
def test_each_generation_signs_until_its_own_overlap_ends_and_takes_over_at_its_own_cutover(
    hours: int, standard: str, design: str
):
    first, second, third = (make_secret() for _ in range(3))
    by_name = {"1": first, "2": second, "3": third}
    start = datetime.now(UTC)
    ring = KeyRing(
        SigningKeys(third),
        SigningKeys(second),
        start + timedelta(hours=48),
        start + timedelta(hours=30),
        start + timedelta(hours=12),
        (OldKeys(SigningKeys(first), start + timedelta(hours=24)),),
    )
    now = start + timedelta(hours=hours)
    headers = headers_of(ring, now=now)
    assert headers["webhook-signature"].split(" ") == [
        headers_of(KeyRing(SigningKeys(by_name[name])), now=now)["webhook-signature"] for name in standard
    ]
    timestamp = headers["X-Signature-Timestamp"]
    assert headers["X-Signature-Signature"] == naive_design_signature(
        by_name[design].reveal(), timestamp, BODY
    )
    newest = None if design == "3" else naive_design_signature(third.reveal(), timestamp, BODY)
    assert headers.get("X-Signature-Signature-Next") == newest


def whsec(size: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * size).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "short",
        "x" * 23,
        "x" * 256,
        whsec(23),
        whsec(65),
        "whsec_???",
        "whsec_",
        "ü" * 30,
        "x" * 30 + "\n",
        " " + "x" * 30,
    ],
)
def test_a_secret_that_is_too_short_or_no_plain_text_is_refused(text: str):
    with pytest.raises(ValidationFailed):
        vet_secret(text)


@pytest.mark.parametrize("text", ["x" * 24, "x" * 255, whsec(24), whsec(64)])
def test_a_secret_of_24_bytes_or_more_is_taken(text: str):
    assert vet_secret(text).reveal() == text


def test_keys_do_not_show_themselves():
    assert "AAEC" not in repr(KeyRing(SigningKeys(SECRET)))
