"""What an envelope loses at DocuSign, and what is refused."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.docusign.adapter import DocuSign
from adapters.docusign.definition import days_until
from normalizer.envelope import Envelope, Expiration, Reminders
from normalizer.errors import UnsupportedFeature, ValidationFailed
from normalizer.field import FieldType
from normalizer.recipient import (
    AccessCode,
    AuthenticationLevel,
    AuthenticationMethod,
    Phone,
    Role,
)
from tests.adapters.docusign import samples
from tests.adapters.docusign.test_contract_oracle import body_of


def check(envelope: Envelope, **changes: Any) -> set[str]:
    return {lost.feature for lost in DocuSign().check(samples.connection(**changes), envelope)}


def one(**changes: Any) -> Envelope:
    return samples.envelope(recipients=(samples.recipient(**changes),))


def test_plain_envelope_loses_nothing() -> None:
    assert check(samples.envelope()) == set()


@pytest.mark.parametrize(
    ("envelope", "feature"),
    [
        (samples.envelope(expiration=Expiration(samples.NOW + timedelta(days=3))), "expiration"),
        (samples.envelope(reminders=Reminders(36, 72)), "reminders"),
        (samples.envelope(reminders=Reminders(48, 60)), "reminders"),
        (
            samples.envelope(recipients=(samples.recipient(), samples.recipient(2, role=Role.APPROVER))),
            "role approver",
        ),
        (
            samples.envelope(recipients=(samples.recipient(), samples.recipient(2, role=Role.REVIEWER))),
            "role reviewer",
        ),
        (one(authentication=AuthenticationMethod.SMS, phone=Phone("1", "5551234567")), "authentication sms"),
        (samples.envelope(language="tlh"), "language"),
    ],
)
def test_weaker_form_is_told(envelope: Envelope, feature: str) -> None:
    assert check(envelope) == {feature}


def test_reminders_in_whole_days_lose_nothing() -> None:
    assert check(samples.envelope(reminders=Reminders(48, 72))) == set()


@pytest.mark.parametrize(
    "envelope",
    [
        one(authentication=AuthenticationMethod.EMAIL_OTP),
        one(authentication=AuthenticationMethod.PROVIDER_LOGIN),
        one(authentication=AuthenticationMethod.CERTIFICATE),
        one(name="x" * 101),
        one(note="x" * 1001),
        one(access_code=AccessCode("x" * 51)),
        one(role=Role.CARBON_COPY),  # with a field
        one(role=Role.APPROVER),  # with a signature
        samples.envelope(fields=()),
        samples.envelope(subject="x" * 101),
        samples.envelope(message="x" * 10_001),
        samples.envelope(reference="x" * 101),
        samples.envelope(template_ref="t"),  # with documents
        samples.envelope(documents=(samples.document(media_type="image/png"),)),
        samples.envelope(documents=(samples.document(size_bytes=50 * 1024 * 1024 + 1),)),
        samples.envelope(
            recipients=(samples.recipient(), samples.recipient(2, role=Role.CARBON_COPY, embedded=True))
        ),
    ],
)
def test_what_docusign_does_not_have_is_refused(envelope: Envelope) -> None:
    with pytest.raises(UnsupportedFeature):
        check(envelope)


@pytest.mark.parametrize(
    "envelope",
    [
        one(authentication=AuthenticationMethod.SMS),
        one(authentication=AuthenticationMethod.ACCESS_CODE),
        one(role=Role.IN_PERSON),
        samples.envelope(authentication_level=AuthenticationLevel.SMS),
    ],
)
def test_proof_without_its_means_is_invalid(envelope: Envelope) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check(envelope)
    assert refused.value.findings[0].where.startswith("/recipients/0/")


def test_connections_own_document_limit_counts() -> None:
    large = samples.envelope(documents=(samples.document(size_bytes=2000),))
    check(large, max_document_bytes=2000)
    with pytest.raises(UnsupportedFeature):
        check(large, max_document_bytes=1999)


def test_level_of_the_envelope_is_asked_of_everybody_who_acts_and_the_stronger_check_wins() -> None:
    people = (
        samples.recipient(1, authentication=AuthenticationMethod.ID_VERIFICATION),
        samples.recipient(2, phone=Phone("49", "3012345")),
        samples.recipient(3, role=Role.CARBON_COPY),
    )
    envelope = samples.envelope(
        recipients=people,
        fields=(samples.field(1), samples.field(2, person=2)),
        authentication_level=AuthenticationLevel.SMS,
    )
    body = body_of(envelope)
    first, second = body["recipients"]["signers"]
    assert first["identityVerification"] == {"workflowId": "wf-id"}
    assert second["identityVerification"]["workflowId"] == "wf-phone"
    assert "identityVerification" not in body["recipients"]["carbonCopies"][0]
    assert "authentication sms" in check(envelope)


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=30), 30),
        (timedelta(days=29, seconds=1), 30),
        (timedelta(hours=1), 1),
        (timedelta(0), 1),
        (timedelta(days=-3), 1),
    ],
)
def test_days_until_expiry_are_rounded_up_and_at_least_one(left: timedelta, days: int) -> None:
    assert days_until(Expiration(samples.NOW + left), samples.NOW) == days


def test_envelope_without_deadlines_leaves_the_accounts_own_in_force() -> None:
    assert body_of(samples.envelope())["notification"] == {"useAccountDefaults": "true"}
    only_expiry = body_of(samples.envelope(expiration=Expiration(samples.NOW + timedelta(hours=30))))
    assert only_expiry["notification"] == {
        "useAccountDefaults": "false",
        "reminders": {"reminderEnabled": "false"},
        "expirations": {"expireEnabled": "true", "expireAfter": "2", "expireWarn": "0"},
    }


def test_required_signature_is_told_by_its_inverse() -> None:
    fields = tuple(
        samples.field(n, type=kind, required=required)
        for n, (kind, required) in enumerate(
            [(FieldType.SIGNATURE, True), (FieldType.INITIALS, False), (FieldType.TEXT, True)], start=1
        )
    )
    tabs = body_of(samples.envelope(fields=fields))["recipients"]["signers"][0]["tabs"]
    assert (tabs["signHereTabs"][0]["optional"], tabs["initialHereTabs"][0]["optional"]) == ("false", "true")
    assert (tabs["textTabs"][0]["required"], "optional" in tabs["textTabs"][0]) == ("true", False)


def test_connection_without_webhook_address_asks_for_no_events() -> None:
    assert "eventNotification" not in body_of(samples.envelope(), webhook_url="")
    hook = body_of(samples.envelope())["eventNotification"]
    assert (hook["includeHMAC"], hook["requireAcknowledgment"], hook["loggingEnabled"]) == ("true",) * 3
    assert "documents" not in hook["eventData"]["includeData"]


def test_expiry_after_more_days_than_docusign_counts_is_refused() -> None:
    body_of(samples.envelope(expiration=Expiration(samples.NOW + timedelta(days=999))))
    with pytest.raises(UnsupportedFeature):
        body_of(samples.envelope(expiration=Expiration(samples.NOW + timedelta(days=999, seconds=1))))


def test_labels_that_repeat_are_made_unique_because_tabs_with_one_label_share_their_value() -> None:
    prices = (samples.field(n, type=FieldType.TEXT, label="price") for n in (1, 2))
    fields = (*prices, samples.field(3))
    tabs = body_of(samples.envelope(fields=fields))["recipients"]["signers"][0]["tabs"]
    assert [tab["tabLabel"] for tab in tabs["textTabs"]] == ["price", f"price {samples.uid(302)}"]
    assert tabs["signHereTabs"][0]["tabLabel"] == str(samples.uid(303))


def test_radio_buttons_without_a_group_do_not_exclude_each_other() -> None:
    fields = tuple(samples.field(n, type=FieldType.RADIO, label=f"b{n}") for n in (1, 2))
    tabs = body_of(samples.envelope(fields=fields))["recipients"]["signers"][0]["tabs"]
    assert [len(group["radios"]) for group in tabs["radioGroupTabs"]] == [1, 1]
    grouped = tuple(samples.field(n, type=FieldType.RADIO, group="plan", label=f"b{n}") for n in (1, 2))
    tabs = body_of(samples.envelope(fields=grouped))["recipients"]["signers"][0]["tabs"]
    (group,) = tabs["radioGroupTabs"]
    assert (group["groupName"], [radio["value"] for radio in group["radios"]]) == ("plan", ["b1", "b2"])
