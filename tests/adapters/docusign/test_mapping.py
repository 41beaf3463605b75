"""DocuSign's words and ours: total tables, tolerant reading, and what errors and headers mean."""

import logging
from datetime import UTC, datetime

import msgspec
import pytest

from adapters.docusign import answers
from adapters.docusign.answers import embedded_errors, is_true, moment, text
from adapters.docusign.mapping import ENVELOPE_STATUS, RECIPIENT_STATUS, recipient_report, report_of
from adapters.docusign.recipients import ARRAYS, language_of
from adapters.docusign.tabs import KINDS
from adapters.docusign.troubles import classify, known_codes, limit_headers
from adapters.docusign.wire import number
from adapters.kit.exchange import ProviderResponse
from adapters.kit.port import DecisionKind
from adapters.kit.scripted import json_answer
from normalizer.field import FieldType
from normalizer.recipient import Role
from normalizer.status import EnvelopeStatus, RecipientStatus
from tests.adapters.docusign import samples
from tests.adapters.docusign.oracle import models

DOCUMENTED_ENVELOPE = {
    *("created", "sent", "delivered", "signed", "completed", "declined", "voided", "deleted", "timedout"),
    "processing",
}
DOCUMENTED_RECIPIENT = {
    *("created", "sent", "delivered", "signed", "completed", "declined", "faxpending", "autoresponded"),
}


def test_tables_cover_every_documented_word_every_role_and_every_field_type() -> None:
    assert ENVELOPE_STATUS.keys() >= DOCUMENTED_ENVELOPE
    assert RECIPIENT_STATUS.keys() >= DOCUMENTED_RECIPIENT
    assert ARRAYS.keys() == set(Role)
    assert KINDS.keys() == set(FieldType)


def test_every_array_and_tab_attribute_exists_at_the_provider() -> None:
    assert set(ARRAYS.values()) <= models()["Recipients"].keys()
    assert {kind.array for kind in KINDS.values()} <= models()["Tabs"].keys()


@pytest.mark.parametrize("word", ["Completed", "COMPLETED", "completed"])
def test_status_is_read_without_case(word: str) -> None:
    assert report_of(answers.Envelope(envelope_id="E", status=word)).status is EnvelopeStatus.COMPLETED


def test_unmapped_status_is_unknown_and_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        report = report_of(answers.Envelope(envelope_id="e", status="notarizing"))
    assert (report.status, report.provider_status) == (EnvelopeStatus.UNKNOWN, "notarizing")
    assert "provider.status_unmapped" in caplog.text


def test_failed_proof_shows_unless_the_recipient_has_finished() -> None:
    proof = {"identityVerificationResult": {"status": "Failed"}, "phoneAuthResult": None}
    waiting = answers.Recipient(status="delivered", recipient_authentication_status=proof)
    done = answers.Recipient(status="completed", recipient_authentication_status=proof)
    assert recipient_report(waiting).status is RecipientStatus.AUTH_FAILED
    assert recipient_report(done).status is RecipientStatus.COMPLETED


def test_void_cancels_who_had_not_finished_and_leaves_who_had() -> None:
    people = answers.Recipients(
        signers=tuple(answers.Recipient(status=status) for status in ("completed", "declined", "sent"))
    )
    for words, ended in (({"status": "voided"}, "cancelled"), ({"status": "timedout"}, "expired")):
        report = report_of(answers.Envelope(envelope_id="e", recipients=people, **words))
        assert [person.status for person in report.recipients] == ["completed", "declined", ended]


def test_void_at_the_very_moment_of_the_deadline_is_an_expiry() -> None:
    due = "2024-03-05T10:00:00Z"
    ended = answers.Envelope(
        envelope_id="e", status="voided", expire_enabled="true", expire_date_time=due, voided_date_time=due
    )
    assert report_of(ended).status is EnvelopeStatus.EXPIRED


def test_our_id_comes_back_from_the_custom_field_and_nonsense_there_is_nobody() -> None:
    own = answers.Recipient(
        status="sent", custom_fields=("x", f"countersign_recipient_id={samples.uid(201)}")
    )
    foreign = answers.Recipient(status="sent", custom_fields=("countersign_recipient_id=nobody",))
    assert recipient_report(own).recipient_id == samples.uid(201)
    assert recipient_report(foreign).recipient_id is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-03-05T10:16:00Z", datetime(2024, 3, 5, 10, 16, tzinfo=UTC)),
        ("2024-03-05T10:16:00.09Z", datetime(2024, 3, 5, 10, 16, 0, 90000, tzinfo=UTC)),
        ("2024-03-05T10:16:53.4580747Z", datetime(2024, 3, 5, 10, 16, 53, 458074, tzinfo=UTC)),
        ("2024-03-05T10:16:53.9999999Z", datetime(2024, 3, 5, 10, 16, 53, 999999, tzinfo=UTC)),
        ("2024-03-05T10:16:00+02:00", datetime(2024, 3, 5, 8, 16, tzinfo=UTC)),
        ("2024-03-05T10:16:00", None),
        ("2024-13-05T10:16:00Z", None),
        ("soon", None),
        (None, None),
    ],
)
def test_moment_is_cut_to_microseconds_and_needs_an_offset(
    written: str | None, expected: datetime | None
) -> None:
    assert moment(written) == expected


def test_scalars_are_read_as_strings_booleans_numbers_and_null() -> None:
    assert [text(value) for value in ("a", True, 7, None)] == ["a", "true", "7", ""]
    assert [is_true(value) for value in ("true", True, "True", "false", False, None)] == [True] * 3 + [
        False
    ] * 3
    body = b'{"envelopeId":"e","status":"sent","expireEnabled":true,"anySigner":null,"recipients":{"signers":null}}'
    assert is_true(msgspec.json.decode(body, type=answers.Envelope).expire_enabled)


def test_coordinates_are_rounded_half_up_and_never_negative() -> None:
    assert [number(value) for value in (0.0, 0.49, 0.5, 600.5, -3.0)] == ["0", "0", "1", "601", "0"]


@pytest.mark.parametrize(
    ("tag", "spelling"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("pt-BR", "pt_BR"),
        ("PT_br", "pt_BR"),
        ("en-US", "en"),
        ("tlh", ""),
        ("", ""),
    ],
)
def test_language_tag_becomes_docusigns_spelling(tag: str, spelling: str) -> None:
    assert language_of(tag) == spelling


def test_errors_inside_a_success_are_found_at_any_depth() -> None:
    body = b'{"a":[{"errorDetails":null},{"b":{"errorDetails":{"errorCode":"X"}}},{"errorDetails":{"errorCode":"SUCCESS"}}]}'
    assert [error.error_code for error in embedded_errors(body)] == ["X"]
    assert embedded_errors(b"") == embedded_errors(b"<html>") == ()


# -- errors and limits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", known_codes())
@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 429])
def test_known_code_means_the_same_whatever_the_status(code: str, status: int) -> None:
    name = "error" if code.islower() else "errorCode"
    operation = "authorize" if code.islower() else "get_envelope"
    reference = classify(operation, json_answer({name: code, "message": "m"}, 400))
    read = classify(operation, json_answer({name: code.swapcase(), "message": "reworded"}, status))
    assert (read.kind, read.code, read.retry_after_s) == (
        reference.kind,
        reference.code,
        reference.retry_after_s,
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, DecisionKind.BASE_MOVED),
        (400, DecisionKind.REJECTED),
        (401, DecisionKind.AUTH_EXPIRED),
        (403, DecisionKind.REJECTED),
        (404, DecisionKind.REJECTED),
        (408, DecisionKind.UNKNOWN),
        (429, DecisionKind.THROTTLED),
        (500, DecisionKind.UNKNOWN),
        (502, DecisionKind.UNKNOWN),
        (503, DecisionKind.UNKNOWN),
    ],
)
@pytest.mark.parametrize(
    "body", [b"", b"<html>no</html>", b"[]", b'"text"', b'{"error":{"x":1}}', b'{"errorCode":"NEW_ONE"}']
)
def test_answer_without_a_known_code_is_read_by_its_status(
    status: int, kind: DecisionKind, body: bytes
) -> None:
    assert classify("get_envelope", ProviderResponse(status=status, headers={}, body=body)).kind is kind


def test_polling_limit_holds_back_one_envelope_and_not_the_account() -> None:
    one = classify("get_envelope", json_answer({"errorCode": "Hourly_Envelope_Polling_Limit_Exceeded"}, 429))
    whole = classify("get_envelope", json_answer({"errorCode": "BURST_APIINVOCATION_LIMIT_EXCEEDED"}, 429))
    assert (one.kind, one.per_object) == (DecisionKind.THROTTLED, True)
    assert (whole.kind, whole.per_object, whole.retry_after_s) == (DecisionKind.THROTTLED, False, 30.0)


def test_retry_after_wins_when_it_is_said() -> None:
    answer = json_answer({"errorCode": "BURST_APIINVOCATION_LIMIT_EXCEEDED"}, 429, {"retry-after": "7"})
    assert classify("get_envelope", answer).retry_after_s == 7.0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-ratelimit-remaining": "9"}, None),
        (
            {
                "x-ratelimit-remaining": "9",
                "x-ratelimit-reset": "1772709000",
                "date": "Thu, 05 Mar 2026 11:00:00 GMT",
            },
            (9, 600.0),
        ),
        (
            {
                "x-ratelimit-remaining": "2900",
                "x-ratelimit-reset": "1772709000",
                "date": "Thu, 05 Mar 2026 11:00:00 GMT",
                "x-burstlimit-remaining": "400",
            },
            (400, 30.0),
        ),
        ({"x-burstlimit-remaining": "nonsense"}, None),
        ({"x-ratelimit-remaining": "9", "x-ratelimit-reset": "1", "date": "yesterday"}, None),
    ],
)
def test_tighter_limit_of_the_headers_counts(
    headers: dict[str, str], expected: tuple[int, float] | None
) -> None:
    assert limit_headers(ProviderResponse(status=200, headers=headers)) == expected
