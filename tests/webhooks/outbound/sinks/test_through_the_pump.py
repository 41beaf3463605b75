"""From an endpoint as a tenant makes it to what arrives: every way out, through the whole deliverer."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import aio_pika
import pytest_asyncio
from aiohttp import web
from redis.asyncio import Redis
from yarl import URL

from config.secret import Secret
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Receiver, always, serve
from tests.webhooks.outbound.sinks.certificates import DAY, authority
from tests.webhooks.outbound.sinks.rabbit import PASSWORD, USER, Rabbit
from tests.webhooks.outbound.sinks.stands import gated
from webhooks.outbound.endpoint import EndpointChange, OAuth
from webhooks.outbound.mailbox import read_routes
from webhooks.outbound.sinks.target import SinkKind

STREAM = "t:signatures"


@pytest_asyncio.fixture
async def stream(redis_url: Secret) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url.reveal()) as client:
        yield client


async def test_an_events_way_into_a_stream_ends_with_an_entry_that_verifies(
    hub: Hub, stream: Redis, redis_url
):
    server = URL(redis_url.reveal())
    tenant = await hub.tenant()
    async with gated(server.port) as gate:
        await gate.shut()  # away at first
        made = await hub.endpoint(
            tenant,
            f"redis://127.0.0.1:{gate.port}/0",
            sink=SinkKind.REDIS_STREAM,
            sink_target=f"{STREAM}?maxlen=1000",
            sink_secret=Secret(f":{server.password}"),
            headers={"X-Word": "blue"},
        )
        [sent] = await hub.emit(tenant)
        async with hub.delivering(default_schedule_delays_s=(0.05,) * 100):
            await hub.until(hub.attempts)
            await gate.open()
            await hub.settled(1)
    [(_, fields)] = await stream.xrange(STREAM)
    entry = {name.decode(): value for name, value in fields.items()}
    body = json.loads(entry["body"])
    assert (entry["id"].decode(), entry["type"].decode()) == (sent, "envelope.sent")
    assert (body["id"], body["type"], entry["X-Word"]) == (sent, "envelope.sent", b"blue")
    signed = b".".join((entry["webhook-id"], entry["webhook-timestamp"], entry["body"]))
    assert _v1(made.secret, signed) in entry["webhook-signature"].decode().split()
    first, *_ = await hub.attempts()
    assert first["error"].startswith("no connection")


async def test_an_events_way_to_an_exchange_ends_with_a_message_that_verifies(hub: Hub, rabbit: Rabbit):
    tenant = await hub.tenant()
    connection = await aio_pika.connect(f"amqp://{USER}:{PASSWORD}@127.0.0.1:{rabbit.port}/")
    async with connection:
        channel = await connection.channel()
        made = await hub.endpoint(
            tenant,
            f"amqp://127.0.0.1:{rabbit.port}/",
            sink=SinkKind.AMQP,
            sink_target="/pumped.{type}",
            sink_secret=Secret(f"{USER}:{PASSWORD}"),
            sensitive_headers={"X-Key": Secret("a-value")},
        )
        [sent] = await hub.emit(tenant)
        async with hub.delivering(default_schedule_delays_s=(0.05,) * 100):
            await hub.until(hub.attempts)  # no queue takes it yet
            queue = await channel.declare_queue("pumped.envelope.sent", exclusive=True)
            await hub.settled(1)
        message = await queue.get(no_ack=True)
    assert (message.message_id, message.type) == (sent, "envelope.sent")
    assert (message.content_type, message.delivery_mode) == (
        "application/json",
        aio_pika.DeliveryMode.PERSISTENT,
    )
    assert message.headers["X-Key"] == "a-value"
    signed = b".".join(
        (message.headers["webhook-id"].encode(), message.headers["webhook-timestamp"].encode(), message.body)
    )
    assert _v1(made.secret, signed) in message.headers["webhook-signature"].split()
    first, *_ = await hub.attempts()
    assert first["error"] == "no queue takes it: NO_ROUTE for routing key pumped.envelope.sent"


async def test_an_endpoints_certificate_token_and_headers_go_with_every_request(hub: Hub):
    async def issue(request: web.Request, received) -> web.Response:
        return web.json_response({"access_token": "a-token", "token_type": "Bearer"})

    async def answer(request: web.Request, received) -> web.Response:
        known = received.headers.get("Authorization") == "Bearer a-token"
        return web.Response(status=204 if known else 401)

    client = authority().issue("tenant")
    tls = authority().server_context(asks_for=authority().pem)
    tenant = await hub.tenant()
    async with serve(answer) as receiver, serve(issue) as issuer:
        async with gated(URL(receiver.url).port, tls) as gate:
            await hub.endpoint(
                tenant,
                f"https://127.0.0.1:{gate.port}/hook",
                headers={"X-Word": "blue"},
                sensitive_headers={"X-Key": Secret("a-value")},
                client_certificate=client.pem,
                client_key=Secret(client.key_pem),
                server_ca=authority().pem,
                oauth=OAuth(token_url=issuer.url, client_id="c"),
                oauth_secret=Secret("a-secret"),
            )
            await hub.emit(tenant, 3)
            async with hub.delivering():
                await hub.settled(3)
    assert len(issuer.requests) == 1
    for request in receiver.requests:
        assert (request.headers["X-Word"], request.headers["X-Key"]) == ("blue", "a-value")
        assert request.headers["Content-Type"] == "application/json"
        assert request.headers["webhook-id"].startswith("evt_")


async def test_headers_that_are_ours_are_left_out_although_they_were_stored(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, headers={"X-Word": "blue"})
    stored = {
        "X-Word": "blue", "webhook-id": "evt_0", "Webhook-Signature": "v1,x", "X-SIGNATURE-Event": "x",
        "Host": "evil.example.com", "content-type": "text/html", "Transfer-Encoding": "chunked",
        "Connection": "close", "Expect": "100-continue",
    }  # fmt: skip
    await hub.store.hub.execute(
        "UPDATE webhook_endpoints SET headers = $2 WHERE id = $1", made.endpoint.id, json.dumps(stored)
    )
    [sent] = await hub.emit(tenant)
    async with hub.delivering():
        await hub.settled(1)
    [request] = receiver.requests
    lower = {name.lower() for name in request.headers}
    assert (request.headers["X-Word"], request.id) == ("blue", sent)
    assert request.headers["Host"] == URL(receiver.url).authority
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Signature-Event"] == "envelope.sent"
    assert lower.isdisjoint({"transfer-encoding", "expect", "connection"})


async def test_a_certificate_that_ends_is_told_as_the_reason(hub: Hub, receiver: Receiver):
    client = authority().issue("tenant")
    tenant = await hub.tenant()
    made = await hub.endpoint(
        tenant, receiver.url, client_certificate=client.pem, client_key=Secret(client.key_pem)
    )
    old = authority().issue("tenant", until=-timedelta(minutes=1), since=-2 * DAY, key=client.key)
    await hub.store.hub.execute(
        "UPDATE webhook_endpoints SET client_certificate = $2 WHERE id = $1", made.endpoint.id, old.pem
    )
    await hub.emit(tenant)
    async with hub.delivering(default_schedule_delays_s=()):
        await hub.settled(1, "exhausted")
    [attempt] = await hub.attempts()
    assert attempt["error"].startswith("not sent: the endpoint's client certificate ended at ")
    assert receiver.requests == []


async def test_a_changed_secret_is_used_from_the_next_message_on(hub: Hub, stream: Redis, redis_url):
    server = URL(redis_url.reveal())
    tenant = await hub.tenant()
    made = await hub.endpoint(
        tenant,
        f"redis://127.0.0.1:{server.port}/0",
        sink=SinkKind.REDIS_STREAM,
        sink_target=STREAM,
        sink_secret=Secret(":not-this"),
    )
    async with hub.delivering(default_schedule_delays_s=(0.05,) * 100):
        await hub.emit(tenant)
        await hub.until(hub.attempts)
        change = EndpointChange(sink_secret=Secret(f":{server.password}"))
        await hub.desk.change(tenant, made.endpoint.id, change, ACTOR, SOURCE)
        await hub.settled(1)
    first, *_ = await hub.attempts()
    assert first["error"].startswith("the server refused the credentials")
    assert "not-this" not in str(await hub.attempts())


async def test_a_route_shows_no_secret(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, sensitive_headers={"X-Key": Secret("a-value")})
    async with hub.delivering() as deliverer:
        routes = await read_routes(
            hub.store.hub, [made.endpoint.id], hub.vault, hub.guard, deliverer._settings
        )
    route = routes[made.endpoint.id]
    assert route.headers == {"X-Key": "a-value"}
    assert "a-value" not in repr(route)


async def test_a_broker_that_hangs_holds_up_no_other_endpoint(hub: Hub, receiver: Receiver):
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    receiver.answer = always(204)
    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    tenant = await hub.tenant()
    for kind, scheme, target in ((SinkKind.AMQP, "amqp", "/q"), (SinkKind.REDIS_STREAM, "redis", "s")):
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        await hub.endpoint(
            tenant, url, sink=kind, sink_target=target, sink_secret=Secret("u:p"), timeout_seconds=30
        )
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering(in_flight=64, batch_size=16, grace_s=0.1):
        sent = await hub.put(tenant, 40)
        await hub.until(lambda: len(receiver.requests) == 40, within_s=15)
    assert sorted(receiver.ids) == sorted(sent)
    server.close()


def _v1(secret: Secret, signed: bytes) -> str:
    """What a receiver computes that has nothing but the secret and the standard's text."""
    key = base64.b64decode(secret.reveal().removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
