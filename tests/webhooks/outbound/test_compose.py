"""A webhook's bytes: full and thin, with the ledger's entry, and the same at every attempt."""

import json
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.routes import API
from normalizer.canonical import canonical_bytes
from normalizer.catalogue.payloads import API_PATH
from normalizer.catalogue.versions import API_VERSIONS
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import EventType
from webhooks.outbound.compose import (
    API_VERSION,
    FULL,
    THIN,
    LedgerReference,
    compose_body,
    message_id,
    refer_to_ledger,
)

TENANT = UUID("01935d1e-0000-7000-8000-000000000001")
EVENT = UUID("01935d1e-0000-7000-8000-000000000002")
ENVELOPE = print_id(Kind.ENVELOPE, UUID("01935d1e-0000-7000-8000-000000000003"))
RECIPIENT = print_id(Kind.RECIPIENT, UUID("01935d1e-0000-7000-8000-000000000004"))
ENDPOINT = print_id(Kind.ENDPOINT, UUID("01935d1e-0000-7000-8000-000000000005"))
DELIVERY = print_id(Kind.DELIVERY, UUID("01935d1e-0000-7000-8000-000000000006"))
MOMENT = datetime(2026, 11, 1, 12, 30, 15, 678901, tzinfo=UTC)
PERSONAL = "Ada Lovelace \u2028 <ada@example.com>"
SUMMARY = {
    "id": ENVELOPE,
    "status": "sent",
    "name": PERSONAL,
    "reference": PERSONAL,
    "provider": "alpha",
    "sender_id": PERSONAL,
}
PERSON = {
    "id": RECIPIENT,
    "status": "delivered",
    "name": PERSONAL,
    "email": PERSONAL,
    "role": "signer",
    "routing_order": 1,
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-z_]{1,8}\Z"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
summaries = st.fixed_dictionaries(
    {"id": st.just(ENVELOPE), "status": st.sampled_from(["sent", "completed"]), "name": st.text(max_size=40)}
)
people = st.fixed_dictionaries(
    {"id": st.just(RECIPIENT), "status": st.just("sent"), "name": st.just(PERSONAL)}
)
full_forms = st.fixed_dictionaries(
    {"envelope": summaries},
    optional={"recipient": people, "reason": st.text(max_size=40), "more": json_values},
)
references = st.builds(
    LedgerReference,
    chain=st.sampled_from([f"env:{EVENT}", f"tenant:{TENANT}"]),
    seq=st.integers(1, 2**53),
    hash=st.binary(min_size=32, max_size=32),
)


def body_of(data, *, payload=FULL, ledger=None, at=MOMENT, sequence=7) -> bytes:
    return compose_body(
        message=message_id(EVENT),
        type_=str(EventType.ENVELOPE_SENT),
        occurred_at=at,
        tenant_id=TENANT,
        sequence=sequence,
        data=canonical_bytes(data),
        payload=payload,
        ledger=ledger,
    )


@given(
    data=full_forms,
    payload=st.sampled_from([FULL, THIN]),
    ledger=st.none() | references,
    offset=st.integers(-14, 14),
    sequence=st.integers(1, 2**53),
)
def test_body_composed_again_is_the_same_bytes_and_says_what_was_given(
    data, payload, ledger, offset, sequence
):
    first = body_of(data, payload=payload, ledger=ledger, sequence=sequence)
    # A driver may hand the same moment and the same bytes over in other clothes at the next attempt.
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=offset)))
    again = (
        None if ledger is None else refer_to_ledger(ledger.chain, ledger.seq, bytes(bytearray(ledger.hash)))
    )
    assert body_of(data, payload=payload, ledger=again, at=elsewhere, sequence=sequence) == first
    said = json.loads(first)
    assert list(said)[:7] == ["id", "type", "timestamp", "tenant_id", "sequence", "api_version", "data"]
    assert (said["sequence"], said["timestamp"]) == (sequence, "2026-11-01T12:30:15.678Z")
    if payload == FULL:
        assert said["data"] == data
        assert canonical_bytes(data) in first
    if ledger is not None:
        assert said["ledger"] == {"chain": ledger.chain, "seq": ledger.seq, "hash": ledger.hash.hex()}
    else:
        assert "ledger" not in said


def test_full_body_holds_the_stored_bytes_as_they_are():
    stored = b'{"b" : 1,  "a":"\\u00e9"}'
    body = compose_body(
        message=message_id(EVENT),
        type_="envelope.sent",
        occurred_at=MOMENT,
        tenant_id=TENANT,
        sequence=1,
        data=stored,
    )
    assert body == (
        b'{"id":"' + message_id(EVENT).encode() + b'","type":"envelope.sent","timestamp":"2026-11-01T12:30:15.678Z",'
        b'"tenant_id":"' + print_id(Kind.TENANT, TENANT).encode() + b'","sequence":1,'
        b'"api_version":"' + API_VERSION.encode() + b'","data":' + stored + b"}"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("full", "thin"),
    [
        pytest.param(
            {"envelope": SUMMARY, "reason": PERSONAL},
            {"envelope_id": ENVELOPE, "status": "sent", "url": f"{API}/envelopes/{ENVELOPE}"},
            id="an envelope",
        ),
        pytest.param(
            {"envelope": SUMMARY, "recipient": PERSON, "reason": PERSONAL},
            {
                "envelope_id": ENVELOPE,
                "status": "sent",
                "recipient_id": RECIPIENT,
                "recipient_status": "delivered",
                "url": f"{API}/envelopes/{ENVELOPE}",
            },
            id="a recipient",
        ),
        pytest.param(
            {"endpoint_id": ENDPOINT, "description": PERSONAL},
            {"endpoint_id": ENDPOINT, "url": f"{API}/webhooks/{ENDPOINT}"},
            id="an endpoint",
        ),
        pytest.param(
            {
                "endpoint_id": ENDPOINT,
                "delivery_id": DELIVERY,
                "event_id": message_id(EVENT),
                "error": PERSONAL,
            },
            {
                "endpoint_id": ENDPOINT,
                "delivery_id": DELIVERY,
                "event_id": message_id(EVENT),
                "url": f"{API}/deliveries/{DELIVERY}",
            },
            id="a delivery",
        ),
        pytest.param(
            {"endpoint_id": ENDPOINT, "delivery_id": DELIVERY, "reason": PERSONAL},
            {"endpoint_id": ENDPOINT, "delivery_id": DELIVERY, "url": f"{API}/webhooks/{ENDPOINT}"},
            id="an endpoint's end",
        ),
    ],
)
def test_thin_data_of_each_form_holds_ids_statuses_and_where_to_read(full, thin):
    body = body_of(full, payload=THIN)
    assert json.loads(body)["data"] == thin
    assert canonical_bytes(thin) in body


@given(full_forms)
def test_thin_data_never_holds_a_name_a_reason_or_an_address(data):
    thin = json.loads(body_of(data, payload=THIN))["data"]
    assert set(thin) <= {"envelope_id", "status", "recipient_id", "recipient_status", "url"}
    assert PERSONAL not in thin.values()


def test_thin_url_begins_with_the_path_of_the_api():
    assert API_PATH == API


RELEASED = {
    ("2026-11-01", FULL): (
        b'{"id":"evt_7zzzzzzzzzzzzzzzzzzzzzzzzz","type":"envelope.completed","timestamp":"2026-11-01T12:30:15.678Z",'
        b'"tenant_id":"ten_7zzzzzzzzzzzzzzzzzzzzzzzzz","sequence":7,"api_version":"2026-11-01","data":'
        b'{"envelope":{"id":"env_1","name":"Lease","status":"completed"}},'
        b'"ledger":{"chain":"env:1","seq":3,"hash":"0001"}}'
    ),
    ("2026-11-01", THIN): (
        b'{"id":"evt_7zzzzzzzzzzzzzzzzzzzzzzzzz","type":"envelope.completed","timestamp":"2026-11-01T12:30:15.678Z",'
        b'"tenant_id":"ten_7zzzzzzzzzzzzzzzzzzzzzzzzz","sequence":7,"api_version":"2026-11-01","data":'
        b'{"envelope_id":"env_1","status":"completed","url":"/api/v1/signatures/envelopes/env_1"},'
        b'"ledger":{"chain":"env:1","seq":3,"hash":"0001"}}'
    ),
}


@pytest.mark.parametrize(("version", "payload"), RELEASED)
def test_a_released_version_makes_the_bytes_that_it_made_when_it_was_released(version: str, payload: str):
    """Deliveries of before an upgrade are tried again and replayed after it: never change these bytes."""
    largest = UUID(int=2**128 - 1)
    body = compose_body(
        message=message_id(largest),
        type_="envelope.completed",
        occurred_at=MOMENT,
        tenant_id=largest,
        sequence=7,
        data=b'{"envelope":{"id":"env_1","name":"Lease","status":"completed"}}',
        payload=payload,
        ledger=LedgerReference("env:1", 3, b"\x00\x01"),
        version=version,
    )
    assert body == RELEASED[version, payload]


def test_every_version_has_its_released_bytes():
    assert {version for version, _ in RELEASED} == set(API_VERSIONS)


def test_body_of_an_unknown_version_is_refused():
    with pytest.raises(ValueError, match="no version"):
        compose_body(
            message=message_id(EVENT),
            type_="envelope.sent",
            occurred_at=MOMENT,
            tenant_id=TENANT,
            sequence=1,
            data=b"{}",
            version="2020-01-01",
        )


def test_body_of_an_unknown_payload_is_refused():
    with pytest.raises(ValueError, match="no payload"):
        body_of({"envelope": SUMMARY}, payload="fat")


@pytest.mark.parametrize("row", [(None, 1, b"x"), ("env:1", None, b"x"), ("env:1", 1, None)])
def test_ledger_reference_of_a_row_without_an_entry_is_none(row):
    assert refer_to_ledger(*row) is None
