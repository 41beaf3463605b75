"""What goes over the wire, what the feeds tell and what the catalogue says are the same thing."""

import json

from aiohttp import web

from normalizer.catalogue.schemas import FULL, THIN
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import EventType
from tests.normalizer.announced import faults_of
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Received, Receiver
from webhooks.outbound.feed import FeedFilter, read_endpoint_feed, read_feed


def bodies_at(receiver: Receiver, path: str) -> list[bytes]:
    return [request.body for request in receiver.requests if request.path == path]


async def test_every_attempt_sends_the_bytes_that_the_endpoints_feed_tells_full_and_thin(
    hub: Hub, receiver: Receiver
):
    async def fail_twice(_: web.Request, received: Received) -> web.StreamResponse:
        seen = [request.body for request in receiver.requests].count(received.body)
        return web.Response(status=204 if seen > 2 else 503)

    receiver.answer = fail_twice
    tenant = await hub.tenant()
    full = await hub.endpoint(tenant, receiver.url + "/full")
    thin = await hub.endpoint(tenant, receiver.url + "/thin", payload="thin")
    async with hub.delivering():
        await hub.emit(tenant, 3)
        await hub.settled(6)
    for endpoint, path in ((full, "/hook/full"), (thin, "/hook/thin")):
        owed = await read_endpoint_feed(hub.store.app, tenant, endpoint.endpoint.id, after=0, limit=100)
        assert [event.sequence for event in owed.events] == [1, 2, 3]
        sent = bodies_at(receiver, path)
        assert len(sent) == 9
        assert {event.body for event in owed.events} == set(sent)
    assert set(bodies_at(receiver, "/hook/full")).isdisjoint(bodies_at(receiver, "/hook/thin"))


async def test_payload_that_is_changed_meanwhile_does_not_change_what_was_promised(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, payload="thin")
    async with hub.delivering():
        [before] = await hub.emit(tenant)
        await hub.settled(1)
    await hub.store.hub.execute(
        "UPDATE webhook_endpoints SET payload = 'full', revision = revision + 1 WHERE id = $1",
        made.endpoint.id,
    )
    owed = await read_endpoint_feed(hub.store.app, tenant, made.endpoint.id, after=0, limit=10)
    assert [event.body for event in owed.events] == bodies_at(receiver, "/hook")
    assert json.loads(receiver.requests[0].body)["id"] == before


async def test_test_event_and_operational_events_are_as_the_catalogue_says_in_both_forms(
    hub: Hub, receiver: Receiver
):
    async def refuse_some(request: web.Request, _: Received) -> web.StreamResponse:
        return web.Response(
            status=410 if request.path.endswith("gone") else 500 if "bad" in request.path else 204
        )

    receiver.answer = refuse_some
    tenant = await hub.tenant()
    bad = await hub.endpoint(tenant, receiver.url + "/bad", events=("envelope.sent",))
    gone = await hub.endpoint(tenant, receiver.url + "/gone", events=("envelope.sent",))
    named = tuple(type_ for type_ in EventType if type_.is_operational)
    watchers = {
        FULL: await hub.endpoint(tenant, receiver.url + "/full", events=named),
        THIN: await hub.endpoint(tenant, receiver.url + "/thin", events=named, payload=THIN),
    }
    async with hub.delivering():
        await hub.emit(tenant)
        for made in watchers.values():
            await hub.desk.send_test(tenant, made.endpoint.id, ACTOR, SOURCE)
        await hub.until(lambda: all(len(bodies_at(receiver, f"/hook/{form}")) == 3 for form in watchers))
    for form in watchers:
        told = {body["type"]: body for body in map(json.loads, bodies_at(receiver, f"/hook/{form}"))}
        assert set(told) == {"endpoint.test", "delivery.exhausted", "endpoint.disabled"}
        assert [fault for body in told.values() for fault in faults_of(body, form)] == []
        assert told["delivery.exhausted"]["data"]["endpoint_id"] == print_id(Kind.ENDPOINT, bad.endpoint.id)
        assert told["endpoint.disabled"]["data"]["endpoint_id"] == print_id(Kind.ENDPOINT, gone.endpoint.id)
    feed = await read_feed(hub.store.app, tenant, FeedFilter())
    kinds = [json.loads(body)["type"] for body in feed.bodies]
    assert sorted(kinds) == ["delivery.exhausted", "endpoint.disabled", "envelope.sent"]
