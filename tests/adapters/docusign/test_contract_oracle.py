"""Every body that the adapter can send is what the official client's models know and would send themselves."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.docusign.capabilities import CAPABILITIES
from adapters.docusign.definition import content_of
from adapters.kit.exchange import BlobChunk
from adapters.kit.port import SendMode
from normalizer.document import DOCX, PDF
from normalizer.envelope import Envelope, Expiration, Reminders
from normalizer.field import Anchor, FieldType
from normalizer.recipient import AccessCode, AuthenticationLevel, Phone, Role
from tests.adapters.docusign import samples
from tests.adapters.docusign.oracle import as_the_client_serializes, unknown_keys

_words = st.text(min_size=1, max_size=30)
_coordinates = st.floats(min_value=0, max_value=900, allow_nan=False)


def body_of(
    envelope: Envelope, mode: SendMode = SendMode.SEND, uploads: dict[int, str] | None = None, **changes
) -> Any:
    """The create request's body with `PDF!` streamed in for each document."""
    content = content_of(
        samples.connection(**changes), envelope, mode, samples.NOW, uploads or {}, samples.WORKFLOWS
    )
    streamed = base64.b64encode(b"PDF!")
    return json.loads(b"".join(streamed if isinstance(chunk, BlobChunk) else chunk for chunk in content))


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    count = draw(st.integers(1, 3))
    documents = tuple(
        samples.document(n, name=draw(_words), media_type=draw(st.sampled_from([PDF, DOCX])))
        for n in range(1, count + 1)
    )
    people = tuple(draw(_recipients(n)) for n in range(1, draw(st.integers(1, 4)) + 1))
    fields = []
    for number, person in enumerate(people, start=1):
        if person.role in {Role.SIGNER, Role.IN_PERSON}:
            fields += [draw(_fields(100 * number + n, number, count)) for n in range(draw(st.integers(1, 5)))]
    return samples.envelope(
        subject=draw(st.text(min_size=1, max_size=100)),
        message=draw(st.text(max_size=50)),
        documents=documents,
        recipients=people,
        fields=tuple(fields),
        reminders=draw(st.none() | st.builds(Reminders, st.integers(1, 999), st.integers(1, 999))),
        expiration=draw(
            st.none()
            | st.builds(
                lambda hours, warn: Expiration(samples.NOW + timedelta(hours=hours), warn),
                st.integers(1, 9999),
                st.integers(0, 9),
            )
        ),
        authentication_level=draw(st.sampled_from(AuthenticationLevel)),
        language=draw(st.sampled_from(["", "de", "pt-BR", "tlh"])),
    )


def _recipients(number: int) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda **drawn: samples.recipient(number, **drawn),
        name=_words,
        role=st.sampled_from(Role),
        routing_order=st.integers(1, 5),
        authentication=st.sampled_from(sorted(CAPABILITIES.authentication)),
        access_code=st.builds(AccessCode, _words),
        phone=st.just(Phone("49", "3012345")),
        embedded=st.booleans(),
        host_name=_words,
        host_email=st.just("host@example.com"),
        note=st.text(max_size=20),
    )


def _fields(number: int, person: int, documents: int) -> st.SearchStrategy[Any]:
    anchors = st.builds(Anchor, _words, st.floats(-50, 50), st.floats(-50, 50))
    return st.builds(
        lambda **drawn: samples.field(number, person=person, **drawn),
        document_id=st.integers(1, documents).map(lambda n: samples.uid(100 + n)),
        type=st.sampled_from(FieldType),
        x=_coordinates,
        y=_coordinates,
        width=_coordinates,
        height=_coordinates,
        anchor=st.none() | anchors,
        required=st.booleans(),
        read_only=st.booleans(),
        label=st.text(max_size=20),
        value=st.sampled_from(["", "true", "red"]),
        options=st.just(("red", "green")),
        group=st.sampled_from(["", "plan", "size"]),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(envelope=envelopes(), mode=st.sampled_from(SendMode))
def test_create_body_of_any_envelope_is_known_to_and_equal_with_the_official_models(
    envelope: Envelope, mode: SendMode
) -> None:
    # Also what `check` refuses: it must not make a body that DocuSign could misread.
    body = body_of(envelope, mode)
    assert unknown_keys(body, "EnvelopeDefinition") == []
    assert as_the_client_serializes(body, "EnvelopeDefinition") == body


def test_oracle_finds_a_misspelt_key_and_a_bare_boolean() -> None:
    body = body_of(samples.envelope())
    body["emailSubjekt"] = "x"
    body["notification"] = {"useAccountDefaults": True}
    assert len(unknown_keys(body, "EnvelopeDefinition")) == 2


def test_create_body_of_the_rich_envelope_is_known_to_and_equal_with_the_official_models() -> None:
    body = body_of(samples.rich_envelope())
    assert unknown_keys(body, "EnvelopeDefinition") == []
    assert as_the_client_serializes(body, "EnvelopeDefinition") == body
    arrays = {array for people in body["recipients"].values() for p in people for array in p.get("tabs", {})}
    assert arrays >= {
        "signHereTabs",
        "initialHereTabs",
        "radioGroupTabs",
        "listTabs",
        "signerAttachmentTabs",
        "approveTabs",
        "declineTabs",
    }


def test_create_body_from_a_template_is_known_to_and_equal_with_the_official_models() -> None:
    person = samples.recipient(template_role="Signer")
    body = body_of(samples.envelope(documents=(), fields=(), recipients=(person,), template_ref="t1"))
    assert unknown_keys(body, "EnvelopeDefinition") == []
    assert as_the_client_serializes(body, "EnvelopeDefinition") == body
    assert "documents" not in body
    assert "customFields" not in body  # beside a composite template they would be lost
    (composite,) = body["compositeTemplates"]
    assert composite["serverTemplates"] == [{"sequence": "1", "templateId": "t1"}]
    assert composite["inlineTemplates"][0]["recipients"]["signers"][0]["roleName"] == "Signer"


def test_uploaded_document_is_named_by_its_address_and_not_streamed() -> None:
    envelope = samples.envelope(documents=(samples.document(1), samples.document(2)))
    body = body_of(envelope, uploads={1: "/chunked_uploads/u1"})
    assert unknown_keys(body, "EnvelopeDefinition") == []
    assert [set(document) & {"documentBase64", "remoteUrl"} for document in body["documents"]] == [
        {"documentBase64"},
        {"remoteUrl"},
    ]


def test_text_that_looks_like_a_stream_mark_stays_text() -> None:
    body = body_of(samples.envelope(subject='\x000\x00","documentBase64":"'))
    assert body["emailSubject"] == '\x000\x00","documentBase64":"'
    assert body["documents"][0]["documentBase64"] == "UERGIQ=="


@pytest.mark.parametrize("number", range(1, 4))
def test_recipient_id_is_the_place_in_the_envelope_and_carries_our_id(number: int) -> None:
    people = tuple(samples.recipient(n, role=Role.CARBON_COPY) for n in range(1, 4))
    body = body_of(samples.envelope(recipients=people, fields=()))
    member = body["recipients"]["carbonCopies"][number - 1]
    assert member["recipientId"] == str(number)
    assert member["customFields"] == [f"countersign_recipient_id={people[number - 1].id}"]
