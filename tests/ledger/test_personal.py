"""Personal data is readable while its subject's key exists, nowhere in clear, and gone afterwards."""

import asyncio
import json
from uuid import uuid4

import msgspec
import pytest

from ledger.check import check_everything
from ledger.entry import Body
from ledger.personal import Damaged, SubjectKey
from ledger.read import read_chain, read_head
from normalizer.events import Personal
from tests.fixtures.ledger import make_ledger
from tests.ledger.builders import ANN, API, ENVELOPE, OTHER, TENANT, make_event
from tests.ledger.test_record import record

CHAIN = f"env:{ENVELOPE}"
BOB = Personal("/recipients/0/email", "bob@example.com", "Bob@Example.com")


async def read(ledger, database, tenant=TENANT, chain=CHAIN, **page):
    async with database.transaction(tenant) as tx:
        return await read_chain(tx, ledger.subjects, tenant, chain, **page)


async def erase(store, ledger, subject):
    async with store.hub.transaction() as tx:
        kid = await ledger.subjects.find_kid(tx, TENANT, subject)
        await tx.driver.execute("DELETE FROM subject_keys WHERE tenant_id = $1 AND kid = $2", TENANT, kid)
        await tx.commit()


async def test_entry_read_by_another_process_is_what_was_recorded(store, ledger):
    event = make_event(personal=(BOB,))
    (place,) = await record(ledger, store.app, event)
    (entry,) = await read(make_ledger(), store.app)
    assert (entry.chain_id, entry.seq, entry.hash) == (place.chain_id, place.seq, place.hash)
    assert (entry.event_id, entry.event_type, entry.occurred_at) == (event.id, event.type, event.occurred_at)
    assert (entry.resource_type, entry.resource_id) == (event.resource_type, event.resource_id)
    assert (entry.actor, entry.source, dict(entry.facts)) == (ANN, API, dict(event.facts))
    assert entry.personal == {"/recipients/0/email": "Bob@Example.com"}
    assert not entry.clock_suspect


async def test_chain_is_read_in_pages(store, ledger):
    events = [make_event() for _ in range(5)]
    await record(ledger, store.app, *events)
    first = await read(ledger, store.app, limit=2)
    rest = await read(ledger, store.app, after=first[-1].seq)
    assert [entry.event_id for entry in (*first, *rest)] == [event.id for event in events]
    async with store.app.transaction(TENANT) as tx:
        head = await read_head(tx, TENANT, CHAIN)
        assert await read_head(tx, TENANT, f"env:{uuid4()}") is None
    assert (head.seq, head.hash) == (5, rest[-1].hash)


async def test_another_tenants_chain_reads_as_empty(store, ledger):
    await record(ledger, store.app, make_event())
    assert await read(ledger, store.app, tenant=OTHER) == ()


async def test_no_table_shows_a_personal_value(store, ledger):
    await record(ledger, store.app, make_event(personal=(BOB,)))
    for table in ("ledger_entries", "subject_keys"):
        for row in await store.hub.fetch(f"SELECT * FROM {table}"):
            shown = b" ".join(
                value if isinstance(value, bytes) else str(value).encode() for value in row.values()
            )
            # Long enough that no digest and no ciphertext spells them by chance.
            for value in (b"ann example", b"ann@exam", b"bob@exam", b"192.0.2.7", b"dms/1"):
                assert value not in shown.lower()


async def test_erased_subject_reads_as_erased_the_others_stay_and_the_chain_verifies(store, ledger):
    await record(ledger, store.app, make_event(personal=(BOB,)))
    await erase(store, ledger, "bob@example.com")
    (entry,) = await read(ledger, store.app)
    assert entry.personal == {"/recipients/0/email": "[erased]"}
    assert entry.actor == ANN
    await erase(store, ledger, "ann@example.com")
    (entry,) = await read(ledger, store.app)
    assert (entry.actor.id, entry.actor.name, entry.actor.ip_address) == ("u-17", "[erased]", "[erased]")
    assert (await check_everything(store.hub)).valid


async def test_subject_that_returns_after_erasure_gets_a_new_key_once_the_old_one_is_forgotten(store, ledger):
    await record(ledger, store.app, make_event(personal=(BOB,)))
    await erase(store, ledger, "bob@example.com")
    ledger.clock.advance(301)
    await record(ledger, store.app, make_event(personal=(BOB,)))
    before, after = await read(ledger, store.app)
    assert before.personal == {BOB.path: "[erased]"}
    assert after.personal == {BOB.path: BOB.value}


async def test_the_same_new_subject_recorded_by_many_processes_at_once_gets_one_key(store):
    ledgers = [make_ledger() for _ in range(6)]
    await asyncio.gather(
        *(record(one, store.app, make_event(envelope_id=uuid4(), personal=(BOB,))) for one in ledgers)
    )
    # One for Ann, one for Bob, one for the tenant's tags.
    assert await store.hub.fetchval("SELECT count(*) FROM subject_keys") == 3
    bodies = [
        msgspec.json.decode(row["body"], type=Body)
        for row in await store.hub.fetch("SELECT body FROM ledger_entries")
    ]
    assert len({sealed.kid for body in bodies for sealed in body.pii if sealed.path == BOB.path}) == 1


async def test_two_tenants_keep_different_keys_and_tags_for_one_person(store, ledger):
    await record(ledger, store.app, make_event())
    await record(ledger, store.app, make_event(tenant_id=OTHER), tenant=OTHER)
    rows = await store.hub.fetch("SELECT tag, kid FROM subject_keys WHERE tag <> ''")
    assert len({row["tag"] for row in rows}) == len({row["kid"] for row in rows}) == 2


async def test_damaged_values_read_as_damaged_and_hide_nothing_else(store, ledger):
    from tests.ledger.test_verification import tamper

    await record(ledger, store.app, make_event(personal=(BOB,)), make_event())
    body = json.loads(await store.hub.fetchval("SELECT body FROM ledger_entries WHERE seq = 1"))
    (bob,) = (sealed for sealed in body["pii"] if sealed["path"] == BOB.path)
    await tamper(
        store,
        "UPDATE ledger_entries SET body = convert_to(replace(convert_from(body, 'UTF8'),"
        f" '{bob['commit']}', '{'A' * 43}='), 'UTF8') WHERE seq = 1",
    )
    first, second = await read(ledger, store.app)
    assert first.personal == {BOB.path: "[damaged]"}
    assert first.actor == second.actor == ANN


def test_sealed_value_opens_only_where_it_was_sealed_and_under_its_key():
    key, event_id = SubjectKey(uuid4(), bytes(range(32))), uuid4()
    sealed = key.seal(event_id, "/a", "value")
    assert key.open(event_id, sealed) == "value"
    other = SubjectKey(key.kid, bytes(32))
    replace = msgspec.structs.replace
    for opener, event, changed in (
        (other, event_id, sealed),
        (key, uuid4(), sealed),
        (key, event_id, replace(sealed, path="/b")),
        (key, event_id, replace(sealed, ct=sealed.ct[:-1] + bytes([sealed.ct[-1] ^ 1]))),
        (key, event_id, replace(sealed, nonce=bytes(12))),
        (key, event_id, replace(sealed, nonce=b"")),
        (key, event_id, replace(sealed, commit=bytes(32))),
    ):
        with pytest.raises(Damaged):
            opener.open(event, changed)


async def test_wrapped_key_moved_to_another_subject_does_not_open(store, ledger):
    await record(ledger, store.app, make_event(personal=(BOB,)))
    rows = await store.hub.fetch("SELECT kid, wrapped FROM subject_keys WHERE tag <> '' ORDER BY kid")
    connection = store.owner
    async with connection.transaction(TENANT) as tx:
        await tx.driver.execute(
            "UPDATE subject_keys SET wrapped = $1 WHERE kid = $2", rows[0]["wrapped"], rows[1]["kid"]
        )
        await tx.commit()
    (entry,) = await read(ledger, store.app)
    assert "[damaged]" in {entry.personal[BOB.path], entry.actor.name}


async def test_unknown_subjects_of_a_batch_are_fetched_together(store, ledger):
    await record(ledger, store.app, make_event())
    store.app.reset_counters()
    people = tuple(
        Personal(f"/recipients/{n}/email", f"p{n}@example.com", f"p{n}@example.com") for n in range(20)
    )
    await record(ledger, store.app, make_event(personal=people))
    assert store.app.round_trips == 4  # BEGIN, keys, append, COMMIT
