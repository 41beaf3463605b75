"""The published vectors: our verifier, our signer and the libraries of others agree with them."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
import svix.webhooks

from config.secret import Secret
from tests.house.tree import ROOT
from tests.webhooks.outbound.make_vectors import (
    AT,
    BODY,
    FILE,
    OLD_SECRET,
    OLD_SEED,
    PLAIN_SECRET,
    SECRET,
    SEED,
    public,
    render,
    sha256,
    v1,
    v1a,
)
from webhooks.outbound.filters import vet_filter
from webhooks.outbound.sign import KeyRing, SignatureProfile, SigningKeys, sign, standard_form
from webhooks.verify import NotVerified, Verified, verify_any

CASES = json.loads(FILE.read_text(encoding="utf-8"))["cases"]


def test_the_file_is_what_its_maker_writes():
    assert FILE.read_text(encoding="utf-8") == render()
    assert len({one["name"] for one in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_verifier_judges_every_case_as_it_is_written(case: dict):
    body = base64.b64decode(case["body_base64"])
    given = {"tolerance_s": case["tolerance_s"], "now": case["now"]}
    if case["valid"]:
        verified = verify_any(case["headers"], body, case["keys"], **given)
        assert verified == Verified(case["id"], case["type"], case["timestamp"], case["scheme"])
    else:
        with pytest.raises(NotVerified):
            verify_any(case["headers"], body, case["keys"], **given)


def test_the_published_signatures_are_in_the_file():
    """What the documentation prints, to the letter."""
    assert v1(SECRET) == "v1,skJ3m0tnBOxJcJ4/qmj5CchNcnvUDzvTKGNmJ0yRnnM="
    assert sha256(SECRET) == "sha256=2b23508b8ffae80814a3b6e827a355c364c649144b8fe90ba92b4f1c69afe030"
    assert v1a(SEED) == (
        "v1a,LxgLuzABliMGK5g1nsvUwX0N16hNVPcAh8iDugJz2+Vm9xjOtF+iAmVVQMdS1VgQjm2jKPn/SWa8EqrMu+bKAQ=="
    )
    everything = FILE.read_text(encoding="utf-8")
    for value in (v1(SECRET), sha256(SECRET), v1a(SEED), "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="):
        assert value in everything


def test_our_signer_writes_the_headers_of_the_file():
    now = datetime.fromtimestamp(AT, UTC)
    current = SigningKeys(Secret(SECRET), SEED)
    ring = KeyRing(current, SigningKeys(Secret(OLD_SECRET), OLD_SEED), datetime.max.replace(tzinfo=UTC), None)
    headers = sign(
        ring, SignatureProfile.BOTH, message="evt_01", type_="envelope.completed", body=BODY, now=now
    )
    by_name = {one["name"]: one["headers"] for one in CASES}
    assert headers == by_name["rotation-new"] | by_name["seed"]


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
@pytest.mark.parametrize("own", ["", PLAIN_SECRET])
def test_the_official_libraries_verify_what_we_sign_beside_v1a(library: type, own: str):
    old, new = Secret(OLD_SECRET), Secret(own or SECRET)
    now = datetime.now(UTC)
    ring = KeyRing(SigningKeys(new, SEED), SigningKeys(old, OLD_SEED), now + timedelta(hours=1), None)
    headers = sign(
        ring, SignatureProfile.STANDARD, message="evt_01", type_="envelope.completed", body=BODY, now=now
    )
    for secret in (old, new):
        library(standard_form(secret).reveal()).verify(BODY, headers)
    with pytest.raises((standardwebhooks.WebhookVerificationError, svix.webhooks.WebhookVerificationError)):
        library(standard_form(new).reveal()).verify(BODY + b" ", headers)


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_we_verify_what_the_official_libraries_sign(library: type):
    now = datetime.now(UTC)
    signature = library(SECRET).sign("evt_01", now, BODY.decode())
    headers = {
        "webhook-id": "evt_01",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
    }
    assert verify_any(headers, BODY, SECRET).scheme == "v1"


def test_the_documentation_prints_the_vector_and_filters_that_are_taken():
    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    for value in (SECRET, public(SEED), v1(SECRET), v1a(SEED), sha256(SECRET), BODY.decode()):
        assert value in page
    blocks = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    [filter_] = [one for one in blocks if "any" in one]
    assert len(vet_filter(filter_).root.parts) == 3
