"""The main job: what was committed arrives signed, once, in order, with few statements."""

import asyncio
import json

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from normalizer.ids import Kind, print_id
from normalizer.vocabulary import EventType
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver, always, serve
from tests.webhooks.outbound.test_sign import naive_design_signature
from webhooks.outbound.compose import API_VERSION
from webhooks.outbound.sent import read_sent


async def test_an_event_that_was_committed_arrives_signed_for_both_kinds_of_receiver(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    envelope = hub.ids.new()
    async with hub.delivering():
        [event_id] = await hub.emit(tenant, envelope_id=envelope)
        await hub.settled(1)
    [request] = receiver.requests
    assert request.headers["Content-Type"] == "application/json"
    Webhook(made.secret.reveal()).verify(request.body, request.headers)
    assert request.headers["X-Signature-Signature"] == naive_design_signature(
        made.secret.reveal(), request.headers["X-Signature-Timestamp"], request.body
    )
    body = json.loads(request.body)
    assert body.pop("timestamp").endswith("Z")
    entry = await hub.store.hub.fetchrow(
        "SELECT seq, encode(hash, 'hex') AS hash FROM ledger_entries WHERE event_type = 'envelope_sent'"
    )
    assert (body["ledger"].pop("seq"), body["ledger"].pop("hash")) == (entry["seq"], entry["hash"])
    assert list(body.pop("ledger")) == ["chain"]
    assert body == {
        "id": event_id,
        "type": "envelope.sent",
        "tenant_id": print_id(Kind.TENANT, tenant),
        "sequence": 1,
        "api_version": API_VERSION,
        "data": {"envelope_id": print_id(Kind.ENVELOPE, envelope), "number": 0},
    }
    assert request.headers["X-Signature-Event"] == body["type"]
    [attempt] = await hub.attempts()
    assert (attempt["outcome"], attempt["status"], attempt["error"]) == ("succeeded", 204, "")


async def test_an_event_that_was_rolled_back_is_never_delivered(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        async with hub.store.app.transaction(tenant) as tx:
            await hub.record_in(tx, tenant)
            await tx.rollback()
        [kept] = await hub.emit(tenant)
        await hub.settled(1)
    assert receiver.ids == [kept]


async def test_every_attempt_sends_the_same_bytes_and_id(hub: Hub, receiver: Receiver):
    receiver.answer = always(500)
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.settled(1, "exhausted")
    assert len(receiver.requests) == 4
    assert len({request.body for request in receiver.requests}) == 1
    assert len(set(receiver.ids)) == 1


async def test_endpoints_get_the_types_they_asked_for_under_their_own_sequence(hub: Hub):
    async with serve() as everything, serve() as some, serve() as strangers:
        tenant, other = await hub.tenant(), await hub.tenant()
        await hub.endpoint(tenant, everything.url)
        await hub.endpoint(tenant, some.url, events=("envelope.completed",))
        await hub.endpoint(other, strangers.url)
        async with hub.delivering():
            for type_ in (EventType.ENVELOPE_SENT, EventType.ENVELOPE_COMPLETED, EventType.ENVELOPE_VOIDED):
                await hub.emit(tenant, 2, type_=type_)
            await hub.settled(8)
    assert sorted(json.loads(r.body)["sequence"] for r in everything.requests) == [1, 2, 3, 4, 5, 6]
    assert sorted(json.loads(r.body)["sequence"] for r in some.requests) == [1, 2]
    assert {json.loads(r.body)["type"] for r in some.requests} == {"envelope.completed"}
    assert strangers.requests == []


async def test_the_events_of_one_envelope_arrive_in_their_order_even_when_the_first_fails(
    hub: Hub, receiver: Receiver
):
    async def fail_first(request: web.Request, received) -> web.Response:
        first_tries = [r for r in receiver.requests if json.loads(r.body)["sequence"] == 1]
        is_first = json.loads(received.body)["sequence"] == 1
        return web.Response(status=503 if is_first and len(first_tries) < 3 else 204)

    receiver.answer = fail_first
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.emit(tenant, 5, envelope_id=hub.ids.new())
    others = await hub.emit(tenant, 5)
    async with hub.delivering():
        await hub.settled(10)
    sequences = [json.loads(r.body)["sequence"] for r in receiver.requests]
    assert [n for n in sequences if n <= 5] == [1, 1, 1, 2, 3, 4, 5]
    # Other envelopes did not wait for the failing one.
    assert set(others) <= set(receiver.ids[: receiver.ids.index(receiver.ids[-1])] + receiver.ids[-1:])
    assert sequences.index(6) < sequences.index(2)


async def test_many_events_are_delivered_once_each_with_few_statements(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url, max_in_flight=64)
    sent = await hub.put(tenant, 600)
    hub.store.hub.reset_counters()
    async with hub.delivering() as deliverer:
        await hub.until(lambda: deliverer.pump.delivered == 600)
        statements = hub.store.hub.statements
    assert sorted(receiver.ids) == sorted(sent)
    assert statements < 300
    assert [row["sequence"] for row in await hub.deliveries()] == list(range(1, 601))


async def test_an_endpoint_never_gets_more_at_once_than_its_cap_from_two_deliverers(
    hub: Hub, receiver: Receiver
):
    async def slow(request: web.Request, received) -> web.Response:
        await asyncio.sleep(0.02)
        return web.Response(status=204)

    receiver.answer = slow
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url, max_in_flight=3)
    sent = await hub.put(tenant, 40)
    async with hub.delivering(), hub.delivering():
        await hub.settled(40)
    assert sorted(receiver.ids) == sorted(sent)
    assert receiver.most_in_flight == 3


async def test_connections_are_used_again(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url, max_in_flight=4)
    await hub.put(tenant, 60)
    async with hub.delivering():
        await hub.settled(60)
    assert len(receiver.peers) <= 4


async def test_retries_leave_half_of_the_slots_to_first_attempts(hub: Hub, receiver: Receiver):
    gate = asyncio.Event()
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url, max_in_flight=64)

    async def fail_then_hang(request: web.Request, received) -> web.Response:
        if receiver.ids.count(received.id) > 1:
            await gate.wait()
            return web.Response(status=204)
        return web.Response(status=500)

    receiver.answer = fail_then_hang
    first = await hub.put(tenant, 20)
    async with hub.delivering(in_flight=8, batch_size=8):
        await hub.until(lambda: all(first_id in receiver.ids for first_id in first))
        await hub.until(lambda: receiver.in_flight == 4)
        receiver.answer = always(204)
        late = await hub.put(tenant, 3)
        await hub.until(lambda: set(late) <= set(receiver.ids))
        assert receiver.in_flight == 4
        gate.set()
        await hub.settled(23)


async def test_an_event_is_recorded_in_todays_version(hub: Hub):
    """The column's default is what the recorder's forms are of: a new version moves both."""
    tenant = await hub.tenant()
    await hub.emit(tenant)
    assert await hub.store.hub.fetchval("SELECT api_version FROM outbox_events") == API_VERSION


async def test_a_body_is_made_in_the_version_in_which_its_event_was_recorded(hub: Hub, receiver: Receiver):
    """Of a version that this process does not know nothing is sent, and nothing shown as if it had been."""
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.emit(tenant)
    await hub.store.hub.execute("UPDATE outbox_events SET api_version = '2020-01-01'")
    async with hub.delivering():
        await hub.settled(1, "exhausted")
    assert receiver.requests == []
    assert {row["error"].split(":")[0] for row in await hub.attempts()} == {"not sent"}
    [delivery] = await hub.deliveries()
    with pytest.raises(ValueError, match="no version"):
        await read_sent(hub.store.app, tenant, delivery["id"])
