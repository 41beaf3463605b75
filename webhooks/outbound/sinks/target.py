"""Where in a sink a message goes: which stream, or which exchange under which routing key.

A stream: `signatures`, or `signatures?maxlen=100000` to let the server trim it to about that many entries.
An exchange: `exchange/routing.key`; `/queue` is the default exchange, which leads to the queue of that name.
`{type}` in a routing key becomes the event's type, `{key}` the envelope's id: what a topic exchange or a
consistent-hash exchange routes by. An HTTP endpoint has no target: its URL says it all.
"""

import re
from enum import StrEnum

import msgspec

from normalizer.errors import Finding, ValidationFailed

LONGEST_TARGET = 255

_STREAM = re.compile(r"(?P<stream>[A-Za-z0-9_.:{}-]{1,200})(?:\?maxlen=(?P<maxlen>[1-9][0-9]{0,8}))?\Z")
_EXCHANGE = re.compile(r"[A-Za-z0-9_.:-]{0,127}\Z")
_ROUTING_KEY = re.compile(r"(?:[A-Za-z0-9_.:/-]|\{type\}|\{key\}){1,200}\Z")


class SinkKind(StrEnum):
    HTTP = "http"
    REDIS_STREAM = "redis_stream"
    AMQP = "amqp"


class StreamTarget(msgspec.Struct, frozen=True):
    stream: str
    maxlen: int | None = None


class ExchangeTarget(msgspec.Struct, frozen=True):
    """`exchange` empty: the default one."""

    exchange: str
    routing_key: str

    def routing_key_for(self, type_: str, ordering_key: str) -> str:
        return self.routing_key.replace("{type}", type_).replace("{key}", ordering_key)


Target = StreamTarget | ExchangeTarget


def read_target(sink: SinkKind, text: str) -> Target | None:
    """None for HTTP. Raises ValidationFailed with what is wrong and what to write instead."""
    match sink:
        case SinkKind.HTTP:
            if text:
                raise _refuse("an HTTP endpoint has no target", "Leave sink_target out: the URL says it all.")
            return None
        case SinkKind.REDIS_STREAM:
            return _read_stream(text)
        case SinkKind.AMQP:
            return _read_exchange(text)


def _read_stream(text: str) -> StreamTarget:
    found = _STREAM.match(text)
    if found is None:
        raise _refuse(
            "this names no stream",
            "Use letters, digits and _.:-{} and, if wanted, ?maxlen=100000 at the end.",
        )
    return StreamTarget(found["stream"], int(found["maxlen"]) if found["maxlen"] else None)


def _read_exchange(text: str) -> ExchangeTarget:
    exchange, slash, routing_key = text.partition("/")
    if not slash or len(text) > LONGEST_TARGET or not _EXCHANGE.match(exchange):
        raise _refuse("this names no exchange and routing key", "Use exchange/routing.key, or /queue.")
    if not _ROUTING_KEY.match(routing_key):
        raise _refuse(
            "the routing key has other than letters, digits, _.:/-, {type} and {key}, or is empty",
            "Use exchange/signatures.{type}, for example.",
        )
    return ExchangeTarget(exchange, routing_key)


def _refuse(problem: str, remedy: str) -> ValidationFailed:
    return ValidationFailed(
        f"This sink target is not possible: {problem}.", (Finding("/sink_target", problem, remedy),)
    )
