"""One real server of each sink's kind behind a gate, told and asked in the same words."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import aio_pika
import msgspec
from aiohttp import web
from redis.asyncio import Redis
from yarl import URL

from config.secret import Secret
from config.settings import DeliverySettings
from tests.webhooks.outbound.receiver import Receiver, serve
from tests.webhooks.outbound.sinks.gate import Gate
from tests.webhooks.outbound.sinks.rabbit import PASSWORD, USER, Rabbit
from webhooks.outbound.client import Answer, WebhookClient
from webhooks.outbound.guard import Guard
from webhooks.outbound.mailbox import Route
from webhooks.outbound.schedule import RetryProfile, Schedule
from webhooks.outbound.sign import SignatureProfile
from webhooks.outbound.sinks.port import OutgoingMessage
from webhooks.outbound.sinks.senders import close_sinks, open_sinks
from webhooks.outbound.sinks.target import ExchangeTarget, SinkKind, StreamTarget

LOOPBACK = ("127.0.0.1:*",)
BODY = '{"id":"evt_1","type":"envelope.sent","data":{"note":"ä \\u0000 \\n"}}'.encode() + b" " * 7
HEADERS = {
    "webhook-id": "evt_1",
    "webhook-timestamp": "1767323045",
    "webhook-signature": "v1,abc v1,def",
    "X-Signature-Event": "envelope.sent",
    "Content-Type": "application/json",
    "X-Tenant-Word": "blue, green",
}


def make_message(number: int = 1, **more) -> OutgoingMessage:
    made = OutgoingMessage(f"evt_{number}", "envelope.sent", BODY, {**HEADERS, "webhook-id": f"evt_{number}"})
    return msgspec.structs.replace(made, **more)


def make_route(url: str, **more) -> Route:
    made = Route(
        endpoint_id=uuid4(),
        revision=1,
        max_in_flight=8,
        timeout_s=5.0,
        schedule=Schedule(RetryProfile.DESIGN, (), DeliverySettings()),
        profile=SignatureProfile.BOTH,
        url=URL(url),
    )
    return msgspec.structs.replace(made, **more)


@dataclass(frozen=True)
class Taken:
    body: bytes
    headers: Mapping[str, str]


@dataclass
class Stand:
    """`wrong`: what a route is changed by so that the server knows its sender, but not the place or the type."""

    kind: SinkKind
    gate: Gate
    sinks: Mapping
    route: Route
    wrong: dict
    stranger: dict
    receiver: Receiver | None = None
    redis: Redis | None = None
    queue: object = None
    _seen: list[Taken] = field(default_factory=list)

    async def send(self, number: int = 1, *, message: OutgoingMessage | None = None, **changes) -> Answer:
        route = msgspec.structs.replace(self.route, **changes)
        return await self.sinks[self.kind].send(route, message or make_message(number))

    async def taken(self) -> list[Taken]:
        """Everything that has arrived so far, in order."""
        match self.kind:
            case SinkKind.HTTP:
                return [Taken(one.body, one.headers) for one in self.receiver.requests]
            case SinkKind.REDIS_STREAM:
                entries = await self.redis.xrange(self.route.target.stream)
                return [
                    Taken(fields[b"body"], {key.decode(): value.decode() for key, value in fields.items()})
                    for _, fields in entries
                ]
            case SinkKind.AMQP:
                while (message := await self.queue.get(no_ack=True, fail=False)) is not None:
                    self._seen.append(Taken(message.body, dict(message.headers)))
                return self._seen


@asynccontextmanager
async def sinks_of(guard: Guard | None = None, *, connect_timeout_s: float = 2.0) -> AsyncIterator[Mapping]:
    guard = guard or Guard(LOOPBACK)
    client = WebhookClient(guard, response_bytes=4096, connect_timeout_s=connect_timeout_s)
    await client.open()
    sinks = open_sinks(client, guard, connect_timeout_s=connect_timeout_s)
    try:
        yield sinks
    finally:
        await close_sinks(sinks)
        await client.close()
        guard.close()


@asynccontextmanager
async def gated(port: int, tls=None) -> AsyncIterator[Gate]:
    gate = Gate(port, tls)
    await gate.open()
    try:
        yield gate
    finally:
        await gate.shut()


@asynccontextmanager
async def http_stand(tls=None) -> AsyncIterator[Stand]:
    async def answer(request: web.Request, received) -> web.Response:
        if request.path == "/nobody":
            return web.Response(status=404)
        return web.Response(status=401 if "X-Stranger" in request.headers else 204)

    async with serve(answer) as receiver, gated(URL(receiver.url).port, tls) as gate, sinks_of() as sinks:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{gate.port}"
        yield Stand(
            SinkKind.HTTP, gate, sinks, make_route(f"{url}/hook"), {"url": URL(f"{url}/nobody")}, {}, receiver
        )


@asynccontextmanager
async def redis_stand(redis_url: Secret, tls=None) -> AsyncIterator[Stand]:
    behind = URL(redis_url.reveal())
    async with (
        gated(behind.port, tls) as gate,
        sinks_of() as sinks,
        Redis.from_url(redis_url.reveal()) as redis,
    ):
        await redis.set("no-stream", "a text")
        route = make_route(
            f"{'rediss' if tls else 'redis'}://127.0.0.1:{gate.port}/0",
            sink=SinkKind.REDIS_STREAM,
            target=StreamTarget("signatures"),
            password=Secret(behind.password),
        )
        yield Stand(
            SinkKind.REDIS_STREAM,
            gate,
            sinks,
            route,
            {"target": StreamTarget("no-stream")},
            {"password": Secret("a-wrong-password")},
            redis=redis,
        )


@asynccontextmanager
async def amqp_stand(rabbit: Rabbit, tls=None) -> AsyncIterator[Stand]:
    name = f"q{UUID(int=uuid4().int).hex[:12]}"
    connection = await aio_pika.connect(f"amqp://{USER}:{PASSWORD}@127.0.0.1:{rabbit.port}/")
    async with gated(rabbit.port, tls) as gate, sinks_of() as sinks:
        channel = await connection.channel()
        exchange = await channel.declare_exchange(f"x{name}", aio_pika.ExchangeType.TOPIC, durable=True)
        queue = await channel.declare_queue(name, durable=True)
        await queue.bind(exchange, "signatures.#")
        route = make_route(
            f"{'amqps' if tls else 'amqp'}://127.0.0.1:{gate.port}/",
            sink=SinkKind.AMQP,
            target=ExchangeTarget(exchange.name, "signatures.{type}"),
            user=USER,
            password=Secret(PASSWORD),
        )
        try:
            yield Stand(
                SinkKind.AMQP,
                gate,
                sinks,
                route,
                {"target": ExchangeTarget(exchange.name, "nobody.listens")},
                {"password": Secret("a-wrong-password")},
                queue=queue,
            )
        finally:
            with contextlib.suppress(Exception):
                await queue.delete(if_unused=False, if_empty=False)
                await exchange.delete()
            await connection.close()
