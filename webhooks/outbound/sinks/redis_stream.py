"""Adds each webhook to a stream of a tenant's Redis or Valkey: one XADD, and its answer is the success.

An entry has the fields `id`, `type`, `body` (the exact bytes) and one for each header, so that a consumer
verifies it as it would over HTTP. The client speaks RESP2 and nothing but AUTH, SELECT and XADD: no server
tells it where else to go. Must never create a consumer group, nor read.
"""

import asyncio

from redis.asyncio import Connection
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from webhooks.outbound.client import Answer
from webhooks.outbound.guard import Guard
from webhooks.outbound.mailbox import Route
from webhooks.outbound.sinks.broker import attempt_on
from webhooks.outbound.sinks.port import OutgoingMessage
from webhooks.outbound.sinks.stock import Stock
from webhooks.outbound.sinks.target import StreamTarget
from webhooks.outbound.sinks.trust import Trust
from webhooks.outbound.sinks.wire import Wire, open_wire

_OWN_FIELDS = frozenset({"id", "type", "body"})
_ANSWER_BYTES = 16_384


class RedisStreamSink:
    def __init__(self, guard: Guard, trust: Trust, *, connect_timeout_s: float) -> None:
        self._guard = guard
        self._trust = trust
        self._connect_timeout_s = connect_timeout_s
        self._stock = Stock(self._open)

    async def send(self, route: Route, message: OutgoingMessage) -> Answer:
        command = _command(route, message)
        return await attempt_on(self._stock, route, lambda link: link.run(command), _describe)

    async def close(self) -> None:
        await self._stock.close()

    async def _open(self, route: Route) -> "_StreamLink":
        url = route.url
        if url is None:
            raise ValueError("a route without a URL is not sent to")
        tls = await self._trust.for_route(route) if url.scheme == "rediss" else None
        wire = await open_wire(self._guard, url, tls, within_s=self._connect_timeout_s)
        user, password = route.credentials()
        link = _StreamLink(wire, _Given(wire, int(url.raw_path.strip("/") or 0), user, password))
        await link.greet(route.timeout_s)
        return link


class _Given(Connection):
    """redis-py's connection over a wire that is made and vetted already; it never makes another one."""

    def __init__(self, wire: Wire, database: int, user: str, password: str) -> None:
        super().__init__(
            db=database,
            username=user or None,
            password=password or None,
            socket_timeout=None,  # the attempt has one deadline for everything
            socket_connect_timeout=None,
            protocol=2,  # RESP3 lets a server push "move to that address"
            driver_info=None,
        )
        self._wire: Wire | None = wire

    async def _connect(self) -> None:
        if self._wire is None:
            raise ConnectionResetError("the connection has ended")
        self._reader, self._writer = self._wire.reader, self._wire.writer
        self._wire = None


class _StreamLink:
    def __init__(self, wire: Wire, connection: _Given) -> None:
        self._wire = wire
        self._connection = connection

    @property
    def is_usable(self) -> bool:
        return self._connection.is_connected and self._wire.is_open

    async def greet(self, within_s: float) -> None:
        ending = asyncio.get_running_loop().call_later(within_s, self.abort)
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except BaseException:  # cancelled too: a link that was not greeted is nobody's to end
            self.abort()
            await self._connection.disconnect(nowait=True)
            raise
        finally:
            ending.cancel()

    async def run(self, command: list[str | bytes | int]) -> None:
        self._wire.reader.allow(_ANSWER_BYTES)
        await self._connection.send_command(*command)
        await self._connection.read_response()
        self._wire.reader.allow(0)  # nothing is owed to us now: whoever goes on talking is cut off

    def abort(self) -> None:
        self._wire.abort()

    async def close(self) -> None:
        await self._connection.disconnect()


def _command(route: Route, message: OutgoingMessage) -> list[str | bytes | int]:
    target = route.target
    if not isinstance(target, StreamTarget):
        raise TypeError("a stream's route has a stream as its target")
    command: list[str | bytes | int] = ["XADD", target.stream]
    if target.maxlen is not None:
        command += ["MAXLEN", "~", target.maxlen]
    command += ["*", "id", message.id, "type", message.type, "body", message.body]
    for name, value in message.headers.items():
        if name.lower() not in _OWN_FIELDS:
            command += [name, value]
    return command


def _describe(error: Exception) -> str:
    match error:
        case AuthenticationError():
            return f"the server refused the credentials: {error}"
        case ResponseError():
            return f"the server refused the entry: {error}"
        case RedisError() | OSError():
            return f"the connection broke: {error}"
        case _:
            return f"the server does not talk as Redis does ({type(error).__name__})"
