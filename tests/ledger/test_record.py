"""Record writes entries and outbox rows together, for one tenant, or nothing at all."""

import asyncio
import itertools
import json
from uuid import uuid4

import asyncpg
import pytest

from config.database import Database
from ledger import chain
from normalizer.canonical import NotCanonical
from normalizer.vocabulary import LedgerType
from tests.fixtures.ledger import make_ledger
from tests.ledger.builders import ENVELOPE, OTHER, TENANT, make_announced, make_event


async def record(ledger, database, *events, tenant=TENANT):
    async with database.transaction(tenant) as tx:
        entries = await ledger.recorder.record(tx, events)
        await tx.commit()
    return entries


async def test_record_of_several_events_links_them_in_the_order_given(store, ledger):
    events = [make_event(), make_announced(), make_event(envelope_id=None)]
    entries = await record(ledger, store.app, *events)
    assert [(entry.chain_id, entry.seq) for entry in entries] == [
        (f"env:{ENVELOPE}", 1),
        (f"env:{ENVELOPE}", 2),
        (f"tenant:{TENANT}", 1),
    ]
    rows = await store.hub.fetch("SELECT * FROM ledger_entries ORDER BY chain_id, seq")
    assert [row["event_id"] for row in rows] == [event.id for event in events]
    assert rows[0]["prev_hash"] == chain.hash_genesis(TENANT, f"env:{ENVELOPE}")
    assert rows[1]["prev_hash"] == rows[0]["hash"] == entries[0].hash


async def test_record_of_an_announced_event_puts_it_into_the_outbox_with_its_place_in_the_ledger(
    store, ledger
):
    event = make_announced(announcement={"b": 1, "a": "é"})
    (entry,) = await record(ledger, store.app, event)
    outbox = await store.hub.fetchrow("SELECT * FROM outbox_events")
    pending = await store.hub.fetchrow("SELECT * FROM outbox_pending")
    assert (outbox["tenant_id"], outbox["id"], outbox["type"]) == (TENANT, event.id, "envelope.sent")
    assert (outbox["envelope_id"], outbox["occurred_at"]) == (ENVELOPE, event.occurred_at)
    assert outbox["data"] == '{"a":"é","b":1}'.encode()
    assert (outbox["chain_id"], outbox["ledger_seq"], outbox["ledger_hash"]) == (
        entry.chain_id,
        entry.seq,
        entry.hash,
    )
    assert (pending["event_id"], pending["tenant_id"]) == (event.id, TENANT)


async def test_fan_out_after_a_commit_is_woken_once_and_only_for_announced_events(store, ledger):
    await record(ledger, store.app, make_event())
    assert ledger.wakes == []
    await record(ledger, store.app, make_announced(), make_announced())
    assert ledger.wakes == [1]


async def test_record_in_a_transaction_that_rolls_back_leaves_nothing(store, ledger):
    async with store.app.transaction(TENANT) as tx:
        await ledger.recorder.record(tx, [make_announced()])
    for table in ("ledger_entries", "ledger_heads", "outbox_events", "outbox_pending", "subject_keys"):
        assert await store.hub.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert ledger.wakes == []
    # The key of the rolled-back transaction must not seal anything: it would be lost for ever.
    await record(ledger, store.app, make_event())
    body = json.loads(await store.hub.fetchval("SELECT body FROM ledger_entries"))
    kids = {str(row["kid"]) for row in await store.hub.fetch("SELECT kid FROM subject_keys")}
    assert {item["kid"] for item in body["pii"]} <= kids


async def test_record_with_known_subjects_takes_one_round_trip(store, ledger):
    await record(ledger, store.app, make_event())
    store.app.reset_counters()
    await record(ledger, store.app, make_event(), make_announced(), make_event())
    assert store.app.round_trips == 3  # BEGIN, record, COMMIT


async def test_record_of_nothing_asks_the_database_nothing(store, ledger):
    async with store.app.transaction(TENANT) as tx:
        store.app.reset_counters()
        assert await ledger.recorder.record(tx, []) == ()
        assert store.app.round_trips == 0


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(make_event(tenant_id=OTHER), id="another tenant's"),
        pytest.param(make_event(tenant_id=None, envelope_id=None), id="the system's"),
        pytest.param(make_event(type=LedgerType.ENVELOPE_SENT), id="announced without announcement"),
        pytest.param(make_event(announcement={"a": 1}), id="announcement without a webhook name"),
    ],
)
async def test_record_of_an_event_that_does_not_fit_is_refused_before_anything_is_written(
    store, ledger, event
):
    async with store.app.transaction(TENANT) as tx:
        with pytest.raises(ValueError):
            await ledger.recorder.record(tx, [make_event(), event])
        await tx.commit()
    assert await store.hub.fetchval("SELECT count(*) FROM ledger_entries") == 0


async def test_record_of_facts_with_a_float_is_refused(store, ledger):
    with pytest.raises(NotCanonical):
        await record(ledger, store.app, make_event(facts={"amount": 1.5}))


async def test_app_role_without_a_tenant_cannot_record(store, ledger):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await record(ledger, store.app, make_event(), tenant=None)


async def test_app_role_calling_the_function_for_another_tenant_is_refused(store):
    for tenants in ([OTHER], [None]):
        with pytest.raises(asyncpg.PostgresError) as refused:
            async with store.app.transaction(TENANT) as tx:
                await tx.driver.fetch(
                    "SELECT * FROM ledger_append($1,$2,$3,$4,$5,$6,ARRAY[now()],$7)",
                    tenants, [f"env:{ENVELOPE}"], [uuid4()], ["x"], ["y"], ["z"], [b"{}"],
                )  # fmt: skip
        assert refused.value.sqlstate == "42501"


async def test_hub_role_records_for_several_tenants_and_the_system_in_one_round_trip(store, ledger):
    events = [
        make_announced(),
        make_announced(tenant_id=OTHER, envelope_id=uuid4()),
        make_event(tenant_id=None, envelope_id=None),
    ]
    await record(ledger, store.hub, *events, tenant=None)
    store.hub.reset_counters()
    again = [make_event(tenant_id=event.tenant_id, envelope_id=event.envelope_id) for event in events]
    entries = await record(ledger, store.hub, *again, tenant=None)
    assert store.hub.round_trips == 3
    assert [entry.seq for entry in entries] == [2, 2, 2]
    assert entries[2].chain_id == "system"
    tenants = await store.hub.fetch("SELECT tenant_id FROM ledger_heads ORDER BY tenant_id")
    assert [row["tenant_id"] for row in tenants] == sorted([chain.SYSTEM_TENANT, TENANT, OTHER])


async def test_many_first_appends_on_one_new_chain_at_once_all_get_a_place(store):
    ledgers = [make_ledger() for _ in range(4)]  # four processes: nothing of theirs is shared
    events = [make_event() for _ in range(32)]
    async with await Database.connect(store.app_url, pool_size=32) as wide:
        await asyncio.gather(*(record(ledgers[n % 4], wide, event) for n, event in enumerate(events)))
    rows = await store.hub.fetch("SELECT seq, event_id FROM ledger_entries ORDER BY seq")
    assert [row["seq"] for row in rows] == list(range(1, 33))
    assert {row["event_id"] for row in rows} == {event.id for event in events}


async def test_batches_over_the_same_chains_in_opposite_orders_do_not_deadlock(store, ledger):
    envelopes = [uuid4() for _ in range(8)]
    await record(ledger, store.app, make_event())

    async def one(order):
        for _ in range(5):
            await record(ledger, store.app, *(make_event(envelope_id=envelope) for envelope in order))

    await asyncio.gather(one(envelopes), one(envelopes[::-1]), one(envelopes[4:] + envelopes[:4]))
    assert await store.hub.fetchval("SELECT min(seq) FROM ledger_heads WHERE seq > 1") == 15


async def test_events_of_several_chains_in_turns_keep_their_order_in_each_and_get_their_own_places(
    store, ledger
):
    envelopes = sorted(
        (uuid4() for _ in range(3)), reverse=True
    )  # not in the order in which heads are locked
    await record(ledger, store.app, make_event(envelope_id=envelopes[1]))
    events = [make_event(envelope_id=envelopes[place]) for place in (0, 1, 0, 2, 1, 0)]
    entries = await record(ledger, store.app, *events)
    assert [entry.seq for entry in entries] == [1, 2, 2, 1, 3, 3]
    rows = await store.hub.fetch("SELECT event_id, chain_id, seq, hash FROM ledger_entries")
    stored = {row["event_id"]: (row["chain_id"], row["seq"], row["hash"]) for row in rows}
    for event, entry in zip(events, entries, strict=True):
        assert stored[event.id] == (f"env:{event.envelope_id}", entry.seq, entry.hash)
    for row in await store.hub.fetch(
        "SELECT e.prev_hash, coalesce(b.hash, ledger_genesis_v1(e.tenant_id, e.chain_id)) AS before"
        " FROM ledger_entries e LEFT JOIN ledger_entries b ON b.chain_id = e.chain_id AND b.seq = e.seq - 1"
    ):
        assert row["prev_hash"] == row["before"]


async def test_recorded_time_never_runs_backwards_within_a_chain(store, ledger):
    entries = await record(ledger, store.app, *(make_event() for _ in range(50)))
    rows = await store.hub.fetch("SELECT recorded_at FROM ledger_entries ORDER BY seq")
    moments = [row["recorded_at"] for row in rows]
    assert all(later > earlier for earlier, later in itertools.pairwise(moments))
    assert len(entries) == 50
