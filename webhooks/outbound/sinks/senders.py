"""All sinks of a deliverer, by kind: opened once, shared by everything that is under way."""

from collections.abc import Mapping

from webhooks.outbound.client import WebhookClient
from webhooks.outbound.guard import Guard
from webhooks.outbound.sinks.amqp import AmqpSink
from webhooks.outbound.sinks.http import HttpSink
from webhooks.outbound.sinks.port import Sink
from webhooks.outbound.sinks.redis_stream import RedisStreamSink
from webhooks.outbound.sinks.target import SinkKind
from webhooks.outbound.sinks.trust import Trust

Sinks = Mapping[SinkKind, Sink]


def open_sinks(client: WebhookClient, guard: Guard, *, connect_timeout_s: float) -> Sinks:
    """The client stays its owner's; everything else ends with `close_sinks`."""
    trust = Trust()
    return {
        SinkKind.HTTP: HttpSink(client),
        SinkKind.REDIS_STREAM: RedisStreamSink(guard, trust, connect_timeout_s=connect_timeout_s),
        SinkKind.AMQP: AmqpSink(guard, trust, connect_timeout_s=connect_timeout_s),
    }


async def close_sinks(sinks: Sinks) -> None:
    for sink in sinks.values():
        await sink.close()
