"""The vocabulary: every type has one row, and every audit event of the design documents has its word."""

import re

import pytest

from normalizer.vocabulary import LEDGER_TYPE_OF, VOCABULARY, EventType, LedgerType

# Audit events that the two design documents name.
DESIGNED = [
    "envelope_created",
    "envelope_sent",
    "envelope_voided",
    "envelope_completed",
    "document_uploaded",
    "field_added",
    "field_removed",
    "recipient_added",
    "recipient_viewed",
    "recipient_declined",
    "recipient_completed",
    "access_token_generated",
    "signature_requested",
    "signature_viewed",
    "signature_signed",
    "signature_declined",
    "signature_delegated",
    "document_downloaded",
    "document_modified",
    "authentication_success",
    "authentication_failed",
    "workflow_completed",
    "workflow_cancelled",
    "workflow_expired",
    "signature_captured",
    "field_completed",
    "sms_verification_sent",
    "sms_verification_completed",
    "mfa_completed",
    "certificate_used",
    "certificate_verified",
]
# They are recorded by what is built later: the signing engine, certificates and workflows.
LATER = [
    "workflow_created",
    "workflow_started",
]


def test_every_ledger_type_has_one_row_and_a_meaning() -> None:
    assert set(VOCABULARY) == set(LedgerType)
    assert all(word.ledger is kind and word.meaning.endswith(".") for kind, word in VOCABULARY.items())


def test_every_webhook_type_belongs_to_one_ledger_type() -> None:
    announced = [word.webhook for word in VOCABULARY.values() if word.webhook]
    assert sorted(announced) == sorted(EventType)
    assert {kind: VOCABULARY[ledger].webhook for kind, ledger in LEDGER_TYPE_OF.items()} == {
        one: one for one in EventType
    }


@pytest.mark.parametrize("name", DESIGNED)
def test_a_designed_audit_event_is_a_type_or_another_name_of_one(name: str) -> None:
    also = {other for word in VOCABULARY.values() for other in word.also}
    assert name in {str(kind) for kind in LedgerType} | also


def test_what_comes_later_is_not_there_yet_and_no_name_is_used_twice() -> None:
    also = [other for word in VOCABULARY.values() for other in word.also]
    names = [*map(str, LedgerType), *also]
    assert len(names) == len(set(names))
    assert not set(LATER) & set(names), "move it from LATER to DESIGNED"


def test_names_have_the_form_that_their_readers_expect() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", kind) for kind in EventType)
    assert all(re.fullmatch(r"[a-z0-9_]+", kind) for kind in LedgerType)
