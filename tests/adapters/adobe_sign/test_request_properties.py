"""Whatever envelope comes: every request uses documented attributes and values only.

The oracle is the sandbox's catalogue, written by another hand from the provider's documentation and read
here as data.
"""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.adobe_sign import ADAPTER
from adapters.adobe_sign.mapping import AUTHENTICATION, FIELD, ROLE, recipient_status
from adapters.kit.exchange import ProviderRequest, ProviderResponse
from adapters.kit.port import SendMode
from adapters.kit.scripted import body_of
from normalizer.envelope import Expiration, Reminders
from normalizer.field import Anchor, FieldType
from normalizer.ids import Kind, print_id
from normalizer.recipient import AccessCode, AuthenticationLevel, AuthenticationMethod, Phone, Role
from normalizer.status import RecipientStatus
from tests.adapters.adobe_sign.probe import HOOKED, NOTHING, REF, answer
from tests.adapters.adobe_sign.samples import NOW, document, envelope, field, recipient

CATALOGUE = json.loads(
    (Path(__file__).parents[3] / "adapters/adobe_sign/sandbox/catalogue.json").read_text(encoding="utf-8")
)
ENUMS = CATALOGUE["enums"]
SHAPES = {
    ("POST", "agreements"): "AgreementCreationInfo",
    ("PUT", "formFields"): "FormFieldPutInfo",
    ("PUT", "state"): "AgreementStateInfo",
    ("POST", "webhooks"): "WebhookInfo",
}
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=30)


def check(value: object, rule: str, where: str) -> None:
    """One value against one rule of the catalogue, such as "required list:FileInfo"."""
    kind, _, name = rule.removeprefix("required ").partition(":")
    if kind == "list":
        assert isinstance(value, list), where
        for item in value:
            check(item, f"object:{name}" if name in CATALOGUE else name, where)
    elif kind == "object":
        check_object(value, name, where)
    elif kind == "enum":
        assert value in ENUMS[name], f"{where}: {value!r}"
    else:
        types = {
            "text": str,
            "email": str,
            "date": str,
            "integer": int,
            "number": (int, float),
            "boolean": bool,
        }
        assert isinstance(value, types[kind]), f"{where}: {value!r} is no {kind}"
        assert kind == "boolean" or not isinstance(value, bool), where


def check_object(value: object, name: str, where: str) -> None:
    assert isinstance(value, dict), where
    rules = CATALOGUE[name]
    assert value.keys() <= rules.keys(), f"{where}: undocumented {value.keys() - rules.keys()}"
    missing = {key for key, rule in rules.items() if rule.startswith("required")} - value.keys()
    assert not missing, f"{where}: without {missing}"
    for key, item in value.items():
        check(item, rules[key], f"{where}.{key}")


class AnsweringExchange:
    """Answers every request of a create as the provider would, and keeps what was sent."""

    def __init__(self, made) -> None:
        self.requests: list[ProviderRequest] = []
        self._members = [
            {
                "id": f"set-{each.id}",
                "name": print_id(Kind.RECIPIENT, each.id),
                "status": "NOT_YET_VISIBLE",
                "memberInfos": [{"id": "m", "email": each.email}],
            }
            for each in made.recipients
            if each.role.acts
        ]

    async def __call__(self, request: ProviderRequest) -> ProviderResponse:
        self.requests.append(request)
        last = request.path.rpartition("/")[2]
        if request.method == "PUT":
            return NOTHING
        if request.method == "POST":
            return answer({"id": REF, "transientDocumentId": "3AAA"}, 201)
        known = {"members": {"participantSets": self._members}, "formFields": {"fields": []}}
        return answer(known.get(last, {"id": REF, "status": "AUTHORING"}), etag="e")

    async def learned(self, provider_ref: str) -> None:
        assert provider_ref == REF

    async def pause(self, seconds: float) -> None:
        assert seconds > 0


@st.composite
def recipients(draw):
    count = draw(st.integers(1, 5))
    made = []
    for number in range(1, count + 1):
        role = Role.SIGNER if number == 1 else draw(st.sampled_from([*ROLE, Role.CARBON_COPY]))
        made.append(
            recipient(
                number,
                name=draw(WORDS),
                role=role,
                routing_order=draw(st.integers(0, 50)),
                authentication=draw(st.sampled_from(list(AUTHENTICATION))),
                access_code=AccessCode(draw(WORDS)),
                phone=Phone("49", "301234567"),
                embedded=draw(st.booleans()),
                note=draw(st.just("") | WORDS),
            )
        )
    return tuple(made)


@st.composite
def envelopes(draw):
    people = draw(recipients())
    acting = [each.id for each in people if each.role.acts]
    documents = tuple(document(number) for number in range(1, draw(st.integers(1, 3)) + 1))
    fields = []
    for number in range(1, draw(st.integers(0, 6)) + 1):
        anchor = draw(st.none() | st.just(Anchor("Sign here", 3.5, 7.25)))
        kinds = [kind for kind in FieldType if anchor is None or kind is not FieldType.RADIO]
        fields.append(
            field(
                number,
                document_id=draw(st.sampled_from(documents)).id,
                recipient_id=draw(st.sampled_from(acting)),
                type=draw(st.sampled_from(kinds)),
                page=draw(st.integers(1, 2)),
                x=draw(st.floats(0, 400)),
                y=draw(st.floats(0, 800)),
                anchor=anchor,
                required=draw(st.booleans()),
                read_only=draw(st.booleans()),
                label=draw(st.just("") | WORDS),
                value=draw(st.just("") | WORDS),
                options=draw(st.sampled_from([(), ("a", "b")])),
                group=draw(st.sampled_from(["", "g"])),
            )
        )
    return envelope(
        subject=draw(WORDS),
        message=draw(st.just("") | WORDS),
        documents=documents,
        recipients=people,
        fields=tuple(fields),
        authentication_level=draw(st.sampled_from(list(AuthenticationLevel))),
        reminders=draw(st.none() | st.builds(Reminders, st.integers(0, 500), st.integers(1, 500))),
        expiration=draw(st.none() | st.just(Expiration(NOW + timedelta(days=9)))),
        language=draw(st.sampled_from(["", "de", "en-GB", "pt_BR", "tlh"])),
    )


@settings(max_examples=150, deadline=None)
@given(envelopes(), st.sampled_from(list(SendMode)))
def test_requests_use_documented_attributes_only(made, mode) -> None:
    exchange = AnsweringExchange(made)
    asyncio.run(ADAPTER.create_envelope(exchange, HOOKED, made, mode, NOW))
    checked = set()
    for request in exchange.requests:
        shape = SHAPES.get((request.method, request.path.rpartition("/")[2]))
        if shape is not None:
            check_object(json.loads(body_of(request)), shape, shape)
            checked.add(shape)
        else:
            assert request.method == "GET" or request.path == "/transientDocuments"
    assert "AgreementCreationInfo" in checked
    orders = [
        each["order"]
        for request in exchange.requests
        if request.path == "/agreements"
        for each in json.loads(body_of(request))["participantSetsInfo"]
    ]
    assert set(orders) == set(range(1, max(orders) + 1))


@pytest.mark.parametrize("kind", FieldType)
def test_every_field_type_has_documented_words(kind) -> None:
    words = FIELD[kind]
    assert words.content_type in ENUMS["ContentType"]
    assert words.input_type in ENUMS["InputType"]
    assert not words.validation or words.validation in ENUMS["Validation"]


def test_tables_cover_what_the_capabilities_promise() -> None:
    declared = ADAPTER.capabilities
    assert set(ROLE) | {Role.CARBON_COPY} == set(declared.roles)
    assert set(AUTHENTICATION) == set(declared.authentication)
    assert set(declared.roles) == set(Role) - {Role.IN_PERSON}
    assert set(declared.authentication) == set(AuthenticationMethod) - {AuthenticationMethod.CERTIFICATE}


@given(WORDS)
def test_unmapped_participant_word_is_unknown(word) -> None:
    assert recipient_status(f"X_{word}") is RecipientStatus.UNKNOWN
