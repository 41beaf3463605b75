"""The catalogue of webhook events: complete, valid, and true of what the gateway makes."""

import itertools
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway.envelopes.facts import envelope_event, recipient_event
from gateway.envelopes.model import StoredEnvelope, StoredRecipient
from normalizer.canonical import canonical_bytes
from normalizer.catalogue import samples
from normalizer.catalogue.schemas import (
    FULL,
    THIN,
    body_schema,
    data_schema,
    example_body,
    example_data,
)
from normalizer.catalogue.table import CATALOGUE
from normalizer.catalogue.versions import API_VERSION, API_VERSIONS
from normalizer.events import SYSTEM, Event, Source, SourceKind
from normalizer.ids import Ids
from normalizer.recipient import Role
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import LEDGER_TYPE_OF, VOCABULARY, EventType
from tests.normalizer.announced import faults_of
from webhooks.outbound.compose import LedgerReference, compose_body, message_id

EVERY = [(type_, payload) for type_ in EventType for payload in (FULL, THIN)]
NOW = datetime(2026, 11, 1, 12, 30, 15, 678000, tzinfo=UTC)
SERVICES: Any = SimpleNamespace(ids=Ids(lambda: NOW), clock=SimpleNamespace(now=lambda: NOW))
SOURCE = Source(kind=SourceKind.API)


def test_every_event_type_is_in_the_catalogue_in_every_version():
    assert set(CATALOGUE) == set(EventType)
    assert {type_: tuple(entry.forms) for type_, entry in CATALOGUE.items()} == dict.fromkeys(
        EventType, API_VERSIONS
    )


@pytest.mark.parametrize("type_", EventType)
def test_entry_says_in_words_what_happened_and_when_it_is_sent(type_):
    entry = CATALOGUE[type_]
    assert entry.type is type_
    assert entry.description == VOCABULARY[LEDGER_TYPE_OF[type_]].meaning
    assert entry.sent_when.endswith(".")
    assert len(entry.sent_when) > 40


@pytest.mark.parametrize(("type_", "payload"), EVERY)
def test_schemas_are_valid_stand_alone_and_describe_every_member(type_, payload):
    for schema in (data_schema(type_, payload), body_schema(type_, payload)):
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert b"$ref" not in msgspec.json.encode(schema)
    members = data_schema(type_, payload)["properties"]
    for name, member in members.items():
        described = [member, *member.get("properties", {}).values()]
        undescribed = [one for one in described if "description" not in one and one["type"] != "object"]
        assert undescribed == [], name


@pytest.mark.parametrize(("type_", "payload"), EVERY)
def test_example_is_what_its_own_schema_asks_for(type_, payload):
    body = msgspec.json.decode(msgspec.json.encode(example_body(type_, payload)))
    assert faults_of(body, payload) == []
    assert body["data"] == msgspec.to_builtins(example_data(type_, payload))


@pytest.mark.parametrize(("type_", "payload"), EVERY)
def test_example_is_the_body_that_the_deliverer_would_compose(type_, payload):
    shown = example_body(type_, payload)
    ledger: Any = shown["ledger"]
    composed = compose_body(
        message=samples.EVENT_ID,
        type_=str(type_),
        occurred_at=NOW,
        tenant_id=samples.TENANT,
        sequence=samples.SEQUENCE,
        data=canonical_bytes(example_data(type_)),
        payload=payload,
        ledger=LedgerReference(ledger["chain"], ledger["seq"], bytes.fromhex(ledger["hash"])),
    )
    assert msgspec.json.decode(composed) == msgspec.json.decode(msgspec.json.encode(shown))


def stored_recipient(role: Role, status: RecipientStatus) -> StoredRecipient:
    return msgspec.convert(
        {
            **dict.fromkeys(StoredRecipient.__struct_fields__, ""),
            "id": UUID(int=4),
            "position": 0,
            "name": "Ada \u2028 Lovelace",
            "email": "Ada@example.com",
            "role": str(role),
            "routing_order": 3,
            "status": status,
            "access_code": None,
            "knowledge": None,
            "embedded": False,
            "delivered_at": None,
            "completed_at": None,
            "further_authentication": (),
        },
        StoredRecipient,
    )


def stored_envelope(status: EnvelopeStatus, provider: str | None) -> StoredEnvelope:
    texts = {"name": 'A "name"', "sender_id": "", "external_reference": "é"}
    nothing = dict.fromkeys(StoredEnvelope.__struct_fields__)
    numbers = dict.fromkeys(("expiry_warn_days", "dispatch_epoch", "lookups", "version"), 1)
    lists = {"degraded": (), "recipients": (), "documents": (), "fields": ()}
    return StoredEnvelope(
        **{
            **nothing,
            **numbers,
            **lists,
            **texts,
            "tenant_id": samples.TENANT,
            "id": UUID(int=3),
            "status": status,
            "provider": provider,
        }
    )


def announced_as(event: Event, payload: str) -> dict[str, Any]:
    assert event.announcement is not None
    return msgspec.json.decode(
        compose_body(
            message=message_id(event.id),
            type_=str(VOCABULARY[event.type].webhook),
            occurred_at=event.occurred_at,
            tenant_id=samples.TENANT,
            sequence=1,
            data=canonical_bytes(event.announcement),
            payload=payload,
        )
    )


@pytest.mark.parametrize("type_", [type_ for type_ in EventType if type_.startswith("envelope.")])
def test_every_announcement_of_an_envelope_is_as_the_catalogue_says(type_):
    for status, provider, reason, payload in itertools.product(
        EnvelopeStatus, (None, "internal"), ("", "Why?"), (FULL, THIN)
    ):
        event = envelope_event(
            SERVICES,
            LEDGER_TYPE_OF[type_],
            stored_envelope(EnvelopeStatus.DRAFT, provider),
            SYSTEM,
            SOURCE,
            status=status,
            reason=reason,
        )
        assert faults_of(announced_as(event, payload), payload) == []


@pytest.mark.parametrize("type_", [type_ for type_ in EventType if type_.startswith("recipient.")])
def test_every_announcement_of_a_recipient_is_as_the_catalogue_says(type_):
    cases = [
        *itertools.product(Role, (RecipientStatus.SENT,), ("", "Why?")),
        *itertools.product((Role.SIGNER,), RecipientStatus, ("Why?",)),
    ]
    for (role, status, reason), payload in itertools.product(cases, (FULL, THIN)):
        event = recipient_event(
            SERVICES,
            LEDGER_TYPE_OF[type_],
            stored_envelope(EnvelopeStatus.SENT, "internal"),
            stored_recipient(role, status),
            SYSTEM,
            SOURCE,
            reason=reason,
        )
        assert faults_of(announced_as(event, payload), payload) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("data", "envelope", "colour"), "red"),
        (("data", "envelope", "status"), "almost"),
        (("data", "envelope", "id"), "rcp_01jdehw000e008000000000003"),
        (("data", "reason"), None),
        (("sequence",), 0),
        (("api_version",), "2020-01-01"),
        (("tenant_id",), "ten_8zzzzzzzzzzzzzzzzzzzzzzzzz"),
        (("ledger", "hash"), "abc"),
        (("more",), 1),
    ],
)
def test_body_that_differs_from_the_catalogue_is_found(path, value):
    body = msgspec.json.decode(msgspec.json.encode(example_body(EventType.ENVELOPE_DECLINED)))
    assert faults_of(body, FULL) == []
    place = body
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    assert len(faults_of(body, FULL)) == 1


def test_thin_body_is_no_full_one_and_the_other_way_round():
    for payload, other in ((FULL, THIN), (THIN, FULL)):
        body = msgspec.json.decode(msgspec.json.encode(example_body(EventType.RECIPIENT_SENT, payload)))
        assert faults_of(body, other) != []


def test_current_version_is_the_last_one():
    assert API_VERSIONS[-1] == API_VERSION
    assert sorted(API_VERSIONS) == list(API_VERSIONS)
