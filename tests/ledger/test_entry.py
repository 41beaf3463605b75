"""The format of version 1, pinned: a change of these values makes old ledgers unreadable."""

import json
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from uuid import UUID

import pytest

from ledger import chain
from ledger.entry import Sealed, compose_draft, personal_of
from normalizer.canonical import NotCanonical, canonical_bytes
from normalizer.events import SYSTEM, Actor, ActorType
from tests.ledger.builders import ENVELOPE, TENANT, make_event

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
EVENT_ID = UUID("0190a000-0000-7000-8000-0000000000aa")
BODY = (
    b'{"actor":{"credential_id":"key_1","id":"u-17","type":"user"},"clock_suspect":false,'
    b'"data":{"a":"\xc3\xa9","pages":3},"event_id":"0190a000-0000-7000-8000-0000000000aa",'
    b'"event_type":"document_uploaded","occurred_at":"2026-01-15T12:00:00.000000Z",'
    b'"pii":[{"commit":"Yw==","ct":"Y3Q=","kid":"0190a000-0000-7000-8000-0000000000bb","nonce":"bg==",'
    b'"path":"/actor"}],'
    b'"resource":{"id":"0190a000-0000-7000-8000-0000000000e1","type":"envelope"},'
    b'"source":{"kind":"api","provider":"","provider_event_id":"","raw_sha256":"","request_id":"req-1"},'
    b'"tenant_id":"0190a000-0000-7000-8000-000000000001","v":1}'
)


def compose(**changes):
    event = make_event(**{"id": EVENT_ID, "occurred_at": NOW, "facts": {"pages": 3, "a": "é"}, **changes})
    sealed = Sealed("/actor", UUID("0190a000-0000-7000-8000-0000000000bb"), b"n", b"ct", b"c")
    return compose_draft(event, [sealed], NOW)


def test_body_of_version_1_is_these_bytes():
    draft = compose()
    assert draft.body == BODY
    assert draft.body == canonical_bytes(json.loads(draft.body))
    assert (draft.tenant_id, draft.chain_id, draft.event_id) == (TENANT, f"env:{ENVELOPE}", EVENT_ID)


def test_hashes_of_version_1_are_these_values():
    chain_id = f"env:{ENVELOPE}"
    body_hash = chain.hash_body(BODY)
    genesis = chain.hash_genesis(TENANT, chain_id)
    assert body_hash == sha256(b"countersign/ledger-body/v1\0" + BODY).digest()
    assert genesis == sha256(b"countersign/ledger-genesis/v1\0" + TENANT.bytes + chain_id.encode()).digest()
    link = chain.hash_link(chain_id, 1, 1_768_478_400_000_001, genesis, body_hash)
    preimage = (
        b"countersign/ledger-link/v1\0\x00\x28" + chain_id.encode() + bytes(7) + b"\x01"
        + (1_768_478_400_000_001).to_bytes(8, "big") + genesis + body_hash
    )  # fmt: skip
    assert link == sha256(preimage).digest()


async def test_hashes_in_sql_are_those_in_python(store):
    chain_id = f"env:{ENVELOPE}"
    genesis, body_hash = chain.hash_genesis(TENANT, chain_id), chain.hash_body(BODY)
    for moment in (
        NOW,
        NOW + timedelta(microseconds=1),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ):
        microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        row = await store.owner.fetchrow(
            "SELECT ledger_genesis_v1($1, $2) AS genesis, ledger_body_v1($3) AS body,"
            " ledger_link_v1($2, 7, $4, $5, $6) AS link",
            TENANT, chain_id, BODY, moment, genesis, body_hash,
        )  # fmt: skip
        assert (row["genesis"], row["body"]) == (genesis, body_hash)
        assert row["link"] == chain.hash_link(chain_id, 7, microseconds, genesis, body_hash)


@pytest.mark.parametrize(
    ("offset", "suspect"),
    [
        (timedelta(0), False),
        (timedelta(minutes=5), False),
        (timedelta(minutes=5, microseconds=1), True),
        (timedelta(hours=-24), False),
        (timedelta(hours=-24, microseconds=-1), True),
    ],
)
def test_source_whose_clock_is_far_off_is_marked(offset, suspect):
    assert json.loads(compose(occurred_at=NOW + offset).body)["clock_suspect"] is suspect


def test_time_of_another_zone_is_written_in_utc():
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert json.loads(compose(occurred_at=elsewhere).body)["occurred_at"] == "2026-01-15T12:00:00.000000Z"


def test_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="aware"):
        compose(occurred_at=NOW.replace(tzinfo=None))


def test_lone_surrogate_in_a_text_is_refused():
    with pytest.raises(NotCanonical):
        compose(resource_id="\ud800")


def test_envelopes_event_without_a_tenant_is_refused():
    with pytest.raises(ValueError, match="tenant"):
        compose(tenant_id=None)


def test_actors_personal_values_are_one_sealed_object_under_their_address():
    (personal,) = personal_of(make_event())
    assert (personal.path, personal.subject) == ("/actor", "ann@example.com")
    assert json.loads(personal.value) == {
        "email": "Ann@Example.com",
        "ip_address": "192.0.2.7",
        "name": "Ann Example",
        "user_agent": "DMS/1",
    }


def test_actor_without_an_address_is_sealed_under_type_and_id():
    (personal,) = personal_of(
        make_event(actor=Actor(type=ActorType.RECIPIENT, id="r-1", ip_address="192.0.2.1"))
    )
    assert personal.subject == "recipient:r-1"


def test_actor_without_personal_values_seals_nothing():
    assert personal_of(make_event(actor=SYSTEM)) == ()


def test_actors_id_that_is_an_address_is_sealed_and_left_out_of_the_body():
    actor = Actor(type=ActorType.USER, id="Ann@Example.com")
    (personal,) = personal_of(make_event(actor=actor))
    assert personal.subject == "ann@example.com"
    assert b"xample.com" not in compose(actor=actor).body
