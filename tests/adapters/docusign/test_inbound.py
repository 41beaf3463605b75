"""Connect messages: whose they are, and what they say."""

import base64
import hashlib
import hmac
import json
import logging
from typing import Any

import pytest

from adapters.docusign.adapter import DocuSign
from adapters.docusign.mapping import EVENTS
from adapters.kit.port import RawRequest, Reply
from config.secret import Secret
from normalizer.errors import PayloadMalformed
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType
from tests.adapters.docusign import samples
from tests.adapters.docusign.oracle import FIXTURES

ADAPTER = DocuSign()
VECTORS = json.loads((FIXTURES / "hmac-vectors.json").read_text(encoding="utf-8"))["vectors"]
PAIRS = [
    pytest.param(
        base64.b64decode(v["body_base64"]), s["key_utf8"], s["x_docusign_signature"], id=f"{v['name']}-{n}"
    )
    for v in VECTORS
    for n, s in enumerate(v["signatures"])
]
KEY = "connect-test-key-one/A+b="


def signed(body: bytes, key: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()


def post(body: bytes, *signatures: str, first: int = 1) -> RawRequest:
    headers = tuple((f"x-docusign-signature-{n}", value) for n, value in enumerate(signatures, start=first))
    return RawRequest(method="POST", headers=(("content-type", "application/json"), *headers), body=body)


def connection(*keys: str, **changes: Any):
    return samples.connection(webhook_keys=tuple(Secret(key) for key in keys), **changes)


def message(name: str, **changes: Any) -> bytes:
    read = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    return json.dumps(read | changes).encode()


def summary_message(event: str, recipient_id: str = "", **summary: Any) -> bytes:
    read = json.loads((FIXTURES / "envelope-completed.full.json").read_text(encoding="utf-8"))
    read["event"] = event
    if recipient_id:
        read["data"]["recipientId"] = recipient_id
    read["data"]["envelopeSummary"] |= summary
    return json.dumps(read).encode()


@pytest.mark.parametrize(("body", "key", "signature"), PAIRS)
def test_vector_verifies_with_its_key_and_with_no_other_body(body: bytes, key: str, signature: str) -> None:
    assert ADAPTER.verify(post(body, signature), connection(key)).authentic
    assert not ADAPTER.verify(post(body + b" ", signature), connection(key)).authentic
    assert not ADAPTER.verify(post(body, signature), connection(key + "x")).authentic


def test_any_header_matches_any_key_while_keys_are_changed() -> None:
    body = message("envelope-sent.minimal")
    verdict = ADAPTER.verify(
        post(body, signed(body, "old"), signed(body, "new"), first=7), connection("gone", "new")
    )
    assert (verdict.authentic, verdict.key_index) == (True, 1)


def test_key_of_the_credentials_and_a_pasted_key_in_quotes_verify() -> None:
    body = b"{}"
    own = samples.connection(webhook_keys=(), credentials=samples.credentials(webhook_secret=f'"{KEY}"\n'))
    assert ADAPTER.verify(post(body, signed(body, KEY)), own).authentic


@pytest.mark.parametrize("keys", [(), ("",), ('""',)])
def test_connection_without_a_key_refuses_everything(keys: tuple[str, ...]) -> None:
    body = b"{}"
    verdict = ADAPTER.verify(post(body, signed(body, "")), connection(*keys))
    assert (verdict.authentic, verdict.reason) == (False, "this connection has no webhook key")


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "not base64!",
        "äöü",
        signed(b"{}", KEY)[:-1],
        signed(b"{}", KEY) + "\n",
        hmac.new(KEY.encode(), b"{}", hashlib.sha256).hexdigest(),
        base64.b64encode(b"short").decode(),
    ],
)
def test_value_that_is_no_strict_base64_of_a_digest_is_refused(signature: str) -> None:
    verdict = ADAPTER.verify(post(b"{}", signature), connection(KEY))
    assert (verdict.authentic, verdict.reason) == (False, "no signature that could be one")


def test_missing_signature_and_a_signature_under_another_name_are_refused() -> None:
    request = RawRequest(method="POST", headers=(("x-docusign-signature", signed(b"{}", KEY)),), body=b"{}")
    assert not ADAPTER.verify(request, connection(KEY)).authentic
    assert not ADAPTER.verify(post(b"{}"), connection(KEY)).authentic


def test_more_signatures_than_an_account_has_keys_are_not_looked_at() -> None:
    many = [signed(b"{}", f"wrong {n}") for n in range(100)]
    assert not ADAPTER.verify(post(b"{}", *many, signed(b"{}", KEY)), connection(KEY)).authentic
    assert ADAPTER.verify(post(b"{}", *many[1:], signed(b"{}", KEY)), connection(KEY)).authentic


def test_authentic_post_is_answered_200_and_any_other_401() -> None:
    request = post(b"{}", signed(b"{}", KEY))
    assert ADAPTER.acknowledge(request, connection(KEY), ADAPTER.verify(request, connection(KEY))) == Reply(
        200
    )
    assert ADAPTER.acknowledge(request, connection(KEY), ADAPTER.verify(request, connection("x"))) == Reply(
        401
    )
    assert ADAPTER.challenge(request, connection(KEY)).status == 405


def test_message_without_summary_is_driven_by_its_event() -> None:
    (event,) = ADAPTER.parse(message("recipient-completed.minimal"))
    assert event.type is EventType.RECIPIENT_COMPLETED
    assert event.recipient_status is RecipientStatus.COMPLETED
    assert event.recipient_ref == "1"
    assert event.provider_ref == samples.ENVELOPE_REF
    assert event.status is None  # it might be a copy that went out: only a summary can tell
    assert event.report is None
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2024-03-05T10:16:42.458074+00:00"


def test_message_with_summary_names_the_recipient_and_carries_the_whole_view() -> None:
    (event,) = ADAPTER.parse(summary_message("recipient-completed", "2"))
    assert event.recipient_email == "signer2@example.com"
    assert event.reference == "env_01HXYZ"
    assert event.report is not None
    assert event.report.status is EnvelopeStatus.COMPLETED
    assert [person.status for person in event.report.recipients] == [RecipientStatus.COMPLETED] * 2


def test_recipient_who_completed_while_others_wait_makes_the_envelope_signed() -> None:
    (event,) = ADAPTER.parse(summary_message("recipient-completed", "1", status="sent"))
    assert event.status is EnvelopeStatus.SIGNED


def test_copy_that_completed_does_not_make_the_envelope_signed() -> None:
    people = {"carbonCopies": [{"recipientId": "3", "status": "completed"}], "signers": []}
    (event,) = ADAPTER.parse(summary_message("recipient-completed", "3", status="sent", recipients=people))
    assert event.status is None


@pytest.mark.parametrize(
    ("summary", "status", "event_type"),
    [
        (
            {
                "expireEnabled": "true",
                "expireDateTime": "2024-03-05T10:00:00Z",
                "voidedDateTime": "2024-03-05T10:00:01.5Z",
            },
            EnvelopeStatus.EXPIRED,
            EventType.ENVELOPE_EXPIRED,
        ),
        (
            {
                "expireEnabled": "true",
                "expireDateTime": "2024-03-05T10:00:00Z",
                "voidedDateTime": "2024-03-05T09:59:59Z",
            },
            EnvelopeStatus.VOIDED,
            EventType.ENVELOPE_VOIDED,
        ),
        (
            {
                "expireEnabled": "false",
                "expireDateTime": "2024-03-05T10:00:00Z",
                "voidedDateTime": "2024-03-06T10:00:00Z",
            },
            EnvelopeStatus.VOIDED,
            EventType.ENVELOPE_VOIDED,
        ),
        ({"voidedReason": "Envelope has expired."}, EnvelopeStatus.EXPIRED, EventType.ENVELOPE_EXPIRED),
        ({"voidedReason": "The offer has expired."}, EnvelopeStatus.VOIDED, EventType.ENVELOPE_VOIDED),
        ({"status": "timedout"}, EnvelopeStatus.EXPIRED, EventType.ENVELOPE_EXPIRED),
    ],
)
def test_void_is_an_expiry_when_the_time_had_run_out(
    summary: dict[str, str], status: EnvelopeStatus, event_type: EventType
) -> None:
    (event,) = ADAPTER.parse(summary_message("envelope-voided", **({"status": "voided"} | summary)))
    assert (event.status, event.type, event.confirm) == (status, event_type, False)


def test_void_without_summary_must_be_confirmed() -> None:
    (event,) = ADAPTER.parse(message("envelope-sent.minimal", event="envelope-voided"))
    assert (event.type, event.confirm) == (EventType.ENVELOPE_VOIDED, True)


def test_redelivery_has_the_same_dedupe_key_and_another_fact_has_not() -> None:
    (first,) = ADAPTER.parse(message("recipient-completed.minimal"))
    (again,) = ADAPTER.parse(message("recipient-completed.minimal", retryCount=2))
    (later,) = ADAPTER.parse(
        message("recipient-completed.minimal", generatedDateTime="2024-03-05T10:16:42.4580748Z")
    )
    assert first.dedupe_key == again.dedupe_key
    # One ten-millionth of a second is lost in a datetime, but not in the key.
    assert first.occurred_at == later.occurred_at
    assert first.dedupe_key != later.dedupe_key
    fact = "recipient-completed|1|2024-03-05T10:16:42.4580747Z"
    assert first.dedupe_key == f"{samples.ACCOUNT}|{samples.ENVELOPE_REF}|{fact}"


def test_unknown_event_is_authentic_but_nothing_to_act_on(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (event,) = ADAPTER.parse(message("envelope-sent.minimal", event="envelope-levitated"))
    assert (event.type, event.status, event.provider_event) == (None, None, "envelope-levitated")
    assert "provider.event_unmapped" in caplog.text


def test_event_that_is_not_about_an_envelope_says_nothing() -> None:
    assert ADAPTER.parse(b'{"event":"template-created","data":{"accountId":"a","templateId":"t"}}') == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"not json",
        b'{"data":{}}',
        b'{"event":"envelope-sent"}',
        b'{"event":"envelope-sent","data":{"accountId":"a"}}',
        b'{"event":7,"data":{"envelopeId":"e"}}',
        b"\xef\xbb\xbf<?xml version='1.0'?><DocuSignEnvelopeInformation/>",
        b"<DocuSignEnvelopeInformation xmlns='http://www.docusign.net/API/3.0'/>",
        b'{"event":"envelope-sent","data":{"envelopeId":"e1","envelopeSummary":{"envelopeId":"e2","status":"sent"}}}',
    ],
)
def test_message_that_cannot_be_understood_is_malformed(body: bytes) -> None:
    with pytest.raises(PayloadMalformed):
        ADAPTER.parse(body)


def test_legacy_xml_says_how_to_switch_it_off() -> None:
    with pytest.raises(PayloadMalformed) as refused:
        ADAPTER.parse(b"<x/>")
    assert "JSON" in refused.value.remedy


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_every_known_event_is_read_with_and_without_summary(event: str) -> None:
    for body in (message("envelope-sent.minimal", event=event), summary_message(event, "1")):
        (read,) = ADAPTER.parse(body)
        assert read.type is EVENTS[event].type
        assert read.recipient_status is EVENTS[event].recipient_status


def test_reassigned_recipient_names_the_successor_when_the_message_does() -> None:
    body = json.loads(summary_message("recipient-reassign", "1"))
    body["data"]["reassignedRecipientId"] = "2"
    (event,) = ADAPTER.parse(json.dumps(body).encode())
    assert (event.type, event.new_recipient_email) == (EventType.RECIPIENT_DELEGATED, "signer2@example.com")


def test_delegated_recipient_names_the_successor_of_its_own_entry() -> None:
    entry = {
        "recipientId": "1",
        "status": "sent",
        "delegatedTo": [{"name": "New", "email": "new@example.com"}],
    }
    (event,) = ADAPTER.parse(summary_message("recipient-delegate", "1", recipients={"signers": [entry]}))
    assert (event.new_recipient_name, event.new_recipient_email) == ("New", "new@example.com")
