"""Publishes each webhook to an exchange of a tenant's AMQP 0-9-1 broker; the broker's confirm is the success.

Messages are persistent and mandatory: one that no queue takes comes back, and is a failure. `message_id` is the
webhook's id, and every header stands in the message's headers, so that a consumer verifies it as it would over
HTTP. Must never declare anything: exchanges, queues and their rights are the tenant's.
Source: AMQP 0-9-1 (mandatory, frame sizes); RabbitMQ, consumer acknowledgements and publisher confirms.
"""

import asyncio
import contextlib

from aio_pika import Connection, DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractExchange
from aiormq.connection import TransportFactory
from aiormq.exceptions import (
    AMQPConnectionError,
    AMQPError,
    AuthenticationError,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)
from pamqp.commands import Basic
from pamqp.commands import Connection as ConnectionMethods
from pamqp.exceptions import AMQPInternalError
from yarl import URL

from normalizer.ids import Kind, print_id
from webhooks.outbound.client import Answer
from webhooks.outbound.guard import Guard
from webhooks.outbound.mailbox import Route
from webhooks.outbound.sinks.broker import attempt_on
from webhooks.outbound.sinks.port import OutgoingMessage
from webhooks.outbound.sinks.stock import Stock
from webhooks.outbound.sinks.target import ExchangeTarget
from webhooks.outbound.sinks.trust import Trust
from webhooks.outbound.sinks.wire import Wire, WireFailed, open_wire

_ANSWER_BYTES = 65_536  # on top of the message, which comes back when no queue takes it
_SMALLEST_FRAME = 4096  # AMQP 0-9-1, frame-min-size: a smaller one would cut a message into crumbs
_USUAL_FRAME = 131_072


class AmqpSink:
    def __init__(self, guard: Guard, trust: Trust, *, connect_timeout_s: float) -> None:
        self._guard = guard
        self._trust = trust
        self._connect_timeout_s = connect_timeout_s
        self._stock = Stock(self._open)

    async def send(self, route: Route, message: OutgoingMessage) -> Answer:
        target = route.target
        if not isinstance(target, ExchangeTarget):
            raise TypeError("an exchange's route has an exchange as its target")
        key = print_id(Kind.ENVELOPE, message.ordering_key) if message.ordering_key else message.id
        routing_key = target.routing_key_for(message.type, key)
        return await attempt_on(
            self._stock, route, lambda link: link.publish(message, routing_key), _describe
        )

    async def close(self) -> None:
        await self._stock.close()

    async def _open(self, route: Route) -> "_ExchangeLink":
        url, target = route.url, route.target
        if url is None or not isinstance(target, ExchangeTarget):
            raise ValueError("a route without a URL or target is not sent to")
        tls = await self._trust.for_route(route) if url.scheme == "amqps" else None
        wire = await open_wire(self._guard, url, tls, within_s=self._connect_timeout_s)
        user, password = route.credentials()
        if user or password:
            url = url.with_user(user).with_password(password)
        link = _ExchangeLink(wire, url)
        await link.greet(target.exchange, route.timeout_s)
        return link


class _Given(TransportFactory):
    """The wire that is made and vetted already."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def create(self, url: URL, **options: object) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return self._wire.reader, self._wire.writer


class _ExchangeLink:
    def __init__(self, wire: Wire, url: URL) -> None:
        self._wire = wire
        self._connection = Connection(url)
        self._connection.kwargs["transport_factory"] = _Given(wire)
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None

    @property
    def is_usable(self) -> bool:
        return (
            self._wire.is_open
            and self._connection.connected.is_set()
            and self._channel is not None
            and not self._channel.is_closed
        )

    async def greet(self, exchange: str, within_s: float) -> None:
        ending = asyncio.get_running_loop().call_later(within_s, self.abort)
        try:
            await self._connection.connect()
            self._vet_frame_size()
            self._channel = self._connection.channel(publisher_confirms=True, on_return_raises=True)
            await self._channel.initialize()
            if exchange:
                self._exchange = await self._channel.get_exchange(exchange, ensure=False)
            else:
                self._exchange = self._channel.default_exchange
        except BaseException:  # cancelled too: a link that was not greeted is nobody's to end
            self.abort()
            with contextlib.suppress(Exception):  # what led here is the error to report
                await self._connection.close()
            raise
        finally:
            ending.cancel()

    def _vet_frame_size(self) -> None:
        if self._connection.transport is None:
            raise WireFailed("the broker closed the connection")
        tune = self._connection.transport.connection.connection_tune
        if tune.frame_max == 0:  # without a limit
            tune.frame_max = _USUAL_FRAME
        if tune.frame_max < _SMALLEST_FRAME:
            raise WireFailed("the broker allows frames that are smaller than AMQP's smallest")

    async def publish(self, message: OutgoingMessage, routing_key: str) -> None:
        if self._exchange is None:
            raise RuntimeError("the link has not been greeted")
        self._wire.reader.allow(len(message.body) + _ANSWER_BYTES)
        await self._exchange.publish(
            Message(
                message.body,
                headers=dict(message.headers),
                content_type="application/json",
                delivery_mode=DeliveryMode.PERSISTENT,
                message_id=message.id,
                type=message.type,
                app_id="countersign",
            ),
            routing_key,
            mandatory=True,
        )

    def abort(self) -> None:
        self._wire.abort()

    async def close(self) -> None:
        await self._connection.close()


def _describe(error: Exception) -> str:
    match error:
        case PublishError(frame=Basic.Return() as returned):
            return f"no queue takes it: {returned.reply_text} for routing key {returned.routing_key}"
        case DeliveryError():
            return "the broker did not take the message (negative confirm)"
        case ProbableAuthenticationError() | AuthenticationError():
            return f"the broker refused the credentials: {_words(error)}"
        case AMQPConnectionError() | OSError():
            return f"the connection broke: {_words(error)}"
        case AMQPError() | AMQPInternalError(args=(_, ConnectionMethods.Close())):
            return f"the broker refused it: {_words(error)}"
        case _:
            return f"the broker does not talk as AMQP 0-9-1 does ({type(error).__name__})"


def _words(error: Exception) -> str:
    """The broker's own, where it said some."""
    for part in error.args:
        if isinstance(part, ConnectionMethods.Close):
            return part.reply_text
    return next((str(part) for part in error.args if isinstance(part, str)), type(error).__name__)
