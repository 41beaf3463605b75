"""What the provider cannot do: refused by name, or told as a degradation; nothing is dropped in silence."""

from datetime import timedelta

import pytest

from adapters.adobe_sign import ADAPTER
from normalizer.document import DOCX
from normalizer.envelope import Degradation, Expiration, Reminders
from normalizer.errors import UnsupportedFeature
from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Role
from tests.adapters.adobe_sign.samples import (
    NOW,
    anchored,
    connection,
    document,
    envelope,
    field,
    recipient,
)

MEGABYTE = 1024 * 1024


def losses(made, **changes) -> list[Degradation]:
    return list(ADAPTER.check(connection(**changes), made))


def test_plain_envelope_loses_nothing() -> None:
    made = envelope(
        fields=(field(), anchored(2)),
        recipients=(recipient(1), recipient(4, role=Role.CARBON_COPY, routing_order=1)),
        reminders=Reminders(first_after_hours=1, every_hours=24),
        expiration=Expiration(at=NOW + timedelta(days=10)),
        language="pt-BR",
    )
    assert losses(made) == []


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"reminders": Reminders(1, 72)}, Degradation("reminder cadence", "every 72 hours", "weekly")),
        ({"reminders": Reminders(1, 12)}, Degradation("reminder cadence", "every 12 hours", "daily")),
        ({"reminders": Reminders(0, 24)}, Degradation("first reminder", "after 0 hours", "after 1 hour")),
        (
            {"expiration": Expiration(NOW + timedelta(days=9), warn_days=3)},
            Degradation("expiry warning", "3 days before", "no warning by the provider"),
        ),
        ({"language": "tlh"}, Degradation("language", "tlh", "the account's default")),
        (
            {"recipients": (recipient(1, language="fr"),), "language": "de"},
            Degradation("language per recipient", "fr", "the envelope's language"),
        ),
        (
            {"recipients": (recipient(1), recipient(4, role=Role.CARBON_COPY))},
            Degradation("routing order of carbon copies", "order 4", "mailed at start and end"),
        ),
        (
            {"recipients": (recipient(1, embedded=True), recipient(2))},
            Degradation("embedded signing", "no e-mail to embedded recipients", "everybody is mailed"),
        ),
        (
            {"recipients": (recipient(1, role=Role.REVIEWER),)},
            Degradation("role reviewer", "reviewer", "emulated"),
        ),
        (
            {"recipients": (recipient(1, authentication=AuthenticationMethod.PHONE_CALL),)},
            Degradation("authentication phone_call", "phone_call", "degraded"),
        ),
        (
            {"template_ref": "T-1", "recipients": (recipient(1, template_role="Buyer"),)},
            Degradation("template roles", "fields by role name", "fields by the order of recipients"),
        ),
    ],
)
def test_weaker_form_is_told(changes, lost) -> None:
    assert losses(envelope(**changes)) == [lost]


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"recipients": (recipient(1, role=Role.IN_PERSON),)}, "role in_person"),
        (
            {"recipients": (recipient(1, authentication=AuthenticationMethod.CERTIFICATE),)},
            "authentication certificate",
        ),
        ({"documents": (document(media_type="video/mp4"),)}, "media type video/mp4"),
        ({"documents": (document(size_bytes=11 * MEGABYTE),)}, "documents over 10485760 bytes"),
        (
            {"documents": (document(media_type=DOCX, pages=()),), "fields": (field(),)},
            "fields with coordinates on documents without known page sizes",
        ),
        ({"template_ref": "T-1", "fields": (field(),)}, "fields with coordinates beside a template"),
        ({"fields": (anchored(type=FieldType.RADIO),)}, "anchored radio buttons"),
        ({"subject": "x" * 256}, "subjects over 255 characters"),
    ],
)
def test_unsupported_feature_is_refused_by_name(changes, feature) -> None:
    with pytest.raises(UnsupportedFeature) as raised:
        losses(envelope(**changes))
    assert (raised.value.provider, raised.value.feature) == ("adobe_sign", feature)


def test_connection_may_allow_larger_documents_up_to_what_the_provider_grants() -> None:
    large = envelope(documents=(document(size_bytes=50 * MEGABYTE),))
    assert losses(large, max_document_bytes=50 * MEGABYTE) == []
    beyond = envelope(documents=(document(size_bytes=101 * MEGABYTE),))
    with pytest.raises(UnsupportedFeature):
        losses(beyond, max_document_bytes=500 * MEGABYTE)


def test_word_document_without_coordinates_is_converted_by_the_provider() -> None:
    made = envelope(documents=(document(media_type=DOCX, pages=()),), fields=(anchored(),))
    assert losses(made) == []


@pytest.mark.parametrize(("order", "is_refused"), [(2, False), (0, True)])
def test_word_document_is_refused_only_where_it_moves_the_pages_of_a_placed_field(order, is_refused) -> None:
    word = document(2, media_type=DOCX, pages=(), order=order)
    made = envelope(documents=(document(1, order=1), word), fields=(field(1, document_id=document(1).id),))
    if is_refused:
        with pytest.raises(UnsupportedFeature) as raised:
            losses(made)
        assert raised.value.feature == "fields with coordinates on documents without known page sizes"
    else:
        assert losses(made) == []


def test_sender_who_signs_too_is_told_that_no_mail_may_come() -> None:
    acting_for = {"credentials": {"api_user": "Ada@example.com"}}
    assert losses(envelope(), **acting_for) == [
        Degradation("mail to the sender", "asked by e-mail", "perhaps no e-mail; use a signing URL")
    ]
    assert losses(envelope(recipients=(recipient(2),)), **acting_for) == []
