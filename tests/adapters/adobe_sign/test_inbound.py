"""Notifications: who may post, how they are answered, and what each documented event becomes."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.adobe_sign import ADAPTER
from adapters.adobe_sign.happenings import HAPPENING
from adapters.kit.port import RawRequest, Reply
from normalizer.errors import PayloadMalformed
from normalizer.ids import Kind, print_id
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType
from tests.adapters.adobe_sign.samples import CLIENT_ID, connection, uid

FIXTURES = Path(__file__).parent / "fixtures"
DOCUMENTED = sorted((FIXTURES / "payload-docs-2026").glob("*.json"))
EXAMPLES = sorted((FIXTURES / "payload-examples").glob("*.json"))
HEADER = "x-adobesign-clientid"


def post(*client_ids: str, body: bytes = b"{}", method: str = "POST") -> RawRequest:
    return RawRequest(method=method, headers=tuple((HEADER, each) for each in client_ids), body=body)


def notification(event: str, sub_event: str = "", **agreement) -> dict:
    return {
        "webhookNotificationId": "n-1",
        "event": event,
        "subEvent": sub_event,
        "eventDate": "2026-01-15T12:00:00Z",
        "eventResourceType": "agreement",
        "participantUserEmail": "ada@example.com",
        "actingUserEmail": "ada@example.com",
        "actingUserIpAddress": "192.0.2.1",
        "agreement": {"id": "CBJ-1", "status": "OUT_FOR_SIGNATURE"} | agreement,
    }


def participants(*sets: tuple[str, list[tuple[str, str]]]) -> dict:
    """(status, [(email, member status)]) of each set."""
    return {
        "participantSets": [
            {
                "id": f"set-{number}",
                "name": print_id(Kind.RECIPIENT, uid(200 + number)),
                "order": number,
                "role": "SIGNER",
                "status": status,
                "memberInfos": [
                    {"id": f"m-{number}", "email": email, "status": state} for email, state in members
                ],
            }
            for number, (status, members) in enumerate(sets, 1)
        ]
    }


def parse_one(body: dict):
    (event,) = ADAPTER.parse(json.dumps(body).encode())
    return event


def test_known_client_id_is_authentic_and_echoed_twice() -> None:
    request = post(CLIENT_ID)
    verdict = ADAPTER.verify(request, connection())
    assert (verdict.authentic, verdict.key_index) == (True, 0)
    assert ADAPTER.acknowledge(request, connection(), verdict) == Reply(
        200,
        (("X-AdobeSign-ClientId", CLIENT_ID), ("Content-Type", "application/json")),
        b'{"xAdobeSignClientId":"client-1"}',
    )


@pytest.mark.parametrize(
    "client_ids", [(), ("",), ("foreign",), (CLIENT_ID, "foreign"), (CLIENT_ID + " ",), ("client-\u00e9",)]
)
def test_unknown_client_id_is_refused_without_an_echo(client_ids) -> None:
    request = post(*client_ids)
    verdict = ADAPTER.verify(request, connection())
    assert (verdict.authentic, verdict.key_index) == (False, -1)
    assert ADAPTER.acknowledge(request, connection(), verdict) == Reply(403)


def test_challenge_is_echoed_for_our_own_application_only() -> None:
    assert ADAPTER.challenge(post(CLIENT_ID, method="GET", body=b""), connection()).status == 200
    assert ADAPTER.challenge(post("foreign", method="GET", body=b""), connection()) == Reply(403)


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_documented_skeleton_is_understood(path) -> None:
    """The skeletons hold empty strings everywhere, also where numbers and booleans belong."""
    body = json.loads(path.read_text())
    event = path.stem
    body |= {"event": event, "webhookNotificationId": "n-1"}
    if "agreement" in body:
        body["agreement"]["id"] = "CBJ-1"
    events = ADAPTER.parse(json.dumps(body).encode())
    if not event.startswith("AGREEMENT_"):
        assert events == ()
        return
    (parsed,) = events
    assert event in HAPPENING
    assert (parsed.type, parsed.dedupe_key) == (HAPPENING[event].type, f"n-1:{event}")
    assert parsed.confirm is bool(parsed.status and parsed.status.is_terminal)


@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.stem)
def test_skeleton_without_an_event_is_malformed(path) -> None:
    with pytest.raises(PayloadMalformed):
        ADAPTER.parse(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "type_", "status", "recipient", "reason"),
    [
        ("AGREEMENT_CREATED", EventType.ENVELOPE_CREATED, EnvelopeStatus.SENT, None, ""),
        (
            "AGREEMENT_EXPIRED.set_expiration_date",
            EventType.ENVELOPE_EXPIRED,
            EnvelopeStatus.EXPIRED,
            None,
            None,
        ),
        ("AGREEMENT_RECALLED.with_reason", EventType.ENVELOPE_VOIDED, EnvelopeStatus.VOIDED, None, None),
        (
            "AGREEMENT_REJECTED.without_reason",
            EventType.ENVELOPE_DECLINED,
            EnvelopeStatus.DECLINED,
            RecipientStatus.DECLINED,
            None,
        ),
    ],
)
def test_official_example_says_what_it_means(name, type_, status, recipient, reason) -> None:
    body = json.loads((FIXTURES / "payload-examples" / f"{name}.json").read_text())
    parsed = parse_one(body)
    assert (parsed.type, parsed.status, parsed.recipient_status) == (type_, status, recipient)
    assert parsed.provider_ref == body["agreement"]["id"]
    assert parsed.occurred_at == datetime.fromisoformat(body["eventDate"])
    assert parsed.confirm is status.is_terminal
    assert parsed.report.status is status
    about = body.get("agreementCancellationInfo") or body.get("agreementExpirationInfo") or {}
    comment = about.get("comment", "")
    assert parsed.reason == (reason if reason is not None else comment)
    if recipient is not None:
        assert [each.status for each in parsed.report.recipients if each.email == parsed.recipient_email] == [
            RecipientStatus.DECLINED
        ]


def test_every_example_file_has_a_case() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize(
    ("event", "sub_event"),
    [
        ("AGREEMENT_RECALLED", "MAX_SIGNING_KBA_ATTEMPTS_EXCEEDED"),
        ("AGREEMENT_RECALLED", "MAX_SIGNING_PASSWORD_ATTEMPTS_EXCEEDED"),
        ("AGREEMENT_RECALLED", "RECALLED_MAX_SIGNING_PHONE_ATTEMPTS"),
        ("AGREEMENT_RECALLED_MAX_SIGNING_EMAIL_OTP_ATTEMPTS", ""),
    ],
)
def test_recall_after_failed_authentication_is_no_withdrawal(event, sub_event) -> None:
    parsed = parse_one(notification(event, sub_event, status="CANCELLED"))
    assert (parsed.type, parsed.status, parsed.recipient_status, parsed.reason, parsed.confirm) == (
        EventType.RECIPIENT_AUTH_FAILED,
        EnvelopeStatus.FAILED,
        RecipientStatus.AUTH_FAILED,
        "auth_failed",
        True,
    )


@pytest.mark.parametrize("event", ["AGREEMENT_ACTION_COMPLETED", "AGREEMENT_PARTICIPANT_COMPLETED"])
def test_last_action_reports_the_end_and_asks_to_confirm_it(event) -> None:
    people = participants(("COMPLETED", [("ada@example.com", "ACTIVE")]))
    parsed = parse_one(notification(event, status="SIGNED", participantSetsInfo=people))
    assert (parsed.type, parsed.status, parsed.recipient_status) == (
        EventType.RECIPIENT_COMPLETED,
        EnvelopeStatus.SIGNED,
        RecipientStatus.COMPLETED,
    )
    assert (parsed.report.status, parsed.confirm) == (EnvelopeStatus.COMPLETED, True)
    assert (parsed.recipient_id, parsed.recipient_ref) == (uid(201), "set-1")


def test_cancelled_agreement_in_an_unrelated_event_stays_unknown() -> None:
    people = participants(("CANCELLED", [("ada@example.com", "ACTIVE")]))
    parsed = parse_one(notification("AGREEMENT_SHARED", status="CANCELLED", participantSetsInfo=people))
    assert (parsed.type, parsed.status, parsed.report.status, parsed.confirm) == (
        None,
        None,
        EnvelopeStatus.UNKNOWN,
        True,
    )


@pytest.mark.parametrize(
    ("event", "type_", "status"),
    [
        ("AGREEMENT_ACTION_DELEGATED", EventType.RECIPIENT_DELEGATED, RecipientStatus.REASSIGNED),
        ("AGREEMENT_ACTION_REPLACED_SIGNER", EventType.RECIPIENT_REPLACED, None),
        ("AGREEMENT_PARTICIPANT_REPLACED", EventType.RECIPIENT_REPLACED, None),
    ],
)
def test_handover_names_both_people(event, type_, status) -> None:
    people = participants(
        ("WAITING_FOR_MY_SIGNATURE", [("ada@example.com", "REPLACED"), ("eve@example.com", "ACTIVE")])
    )
    body = notification(event, participantSetsInfo=people) | {"participantUserEmail": "eve@example.com"}
    parsed = parse_one(body)
    assert (parsed.type, parsed.recipient_status) == (type_, status)
    assert (parsed.recipient_email, parsed.new_recipient_email) == ("ada@example.com", "eve@example.com")
    assert parsed.recipient_id == uid(201)


def test_trimmed_handover_still_names_both_people() -> None:
    body = notification("AGREEMENT_ACTION_DELEGATED") | {"participantUserEmail": "eve@example.com"}
    parsed = parse_one(body)
    assert (parsed.recipient_email, parsed.new_recipient_email) == ("ada@example.com", "eve@example.com")
    assert (parsed.report, parsed.confirm) == (None, False)


def test_unknown_event_is_kept_and_not_acted_on() -> None:
    parsed = parse_one(notification("AGREEMENT_BEAMED_UP"))
    assert (parsed.type, parsed.recipient_status, parsed.provider_event) == (
        None,
        None,
        "AGREEMENT_BEAMED_UP",
    )


@pytest.mark.parametrize("kind", ["agreement", "AGREEMENT", "Agreement", "", None])
def test_resource_type_is_read_in_any_case_or_from_the_event(kind) -> None:
    body = notification("AGREEMENT_EMAIL_VIEWED") | {"eventResourceType": kind}
    assert parse_one(body).type is EventType.RECIPIENT_DELIVERED


@pytest.mark.parametrize("kind", ["widget", "MEGASIGN", "libraryDocument"])
def test_other_resources_bring_no_event(kind) -> None:
    body = notification("WIDGET_CREATED") | {"eventResourceType": kind}
    assert ADAPTER.parse(json.dumps(body).encode()) == ()


def test_nulls_count_as_absent() -> None:
    body = notification("AGREEMENT_ACTION_REQUESTED", externalId=None, participantSetsInfo=None)
    parsed = parse_one(body | {"subEvent": None, "actingUserIpAddress": None})
    assert (parsed.type, parsed.status) == (EventType.RECIPIENT_SENT, EnvelopeStatus.SENT)


def test_message_without_an_id_is_known_by_its_bytes() -> None:
    body = notification("AGREEMENT_EMAIL_VIEWED") | {"webhookNotificationId": ""}
    first, again = parse_one(body), parse_one(body)
    assert first.dedupe_key.startswith("sha256:")
    assert first.dedupe_key == again.dedupe_key
    assert first.dedupe_key != parse_one(body | {"eventDate": "2026-01-15T12:00:01Z"}).dedupe_key


def test_date_without_an_offset_is_no_moment(caplog) -> None:
    body = notification("AGREEMENT_EMAIL_VIEWED") | {"eventDate": "2026-01-15T12:00:00"}
    assert parse_one(body).occurred_at is None
    assert "date.unreadable" in caplog.messages
    with_offset = notification("AGREEMENT_EMAIL_VIEWED") | {"eventDate": "2026-01-15T07:00:00-05:00"}
    assert parse_one(with_offset).occurred_at == datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"not json",
        b"\xff\xfe",
        b'{"event": 5}',
        b'{"event": "AGREEMENT_CREATED"}',
        b'{"event": "AGREEMENT_CREATED", "agreement": {"id": ""}}',
        b'{"event": "AGREEMENT_CREATED", "agreement": "CBJ-1"}',
        b'{"event": "AGREEMENT_CREATED", "agreement": {"id": "CBJ-1", "participantSetsInfo": 7}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=range(13),
)
def test_malformed_message_says_so(body) -> None:
    with pytest.raises(PayloadMalformed):
        ADAPTER.parse(body)
