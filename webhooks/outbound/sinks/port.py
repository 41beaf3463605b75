"""The port that every way out goes through.

A sink MUST send exactly the body's bytes and every header it is given, MUST bound the whole of it, connection
included, by the route's time-out, and MUST answer instead of raising, whatever a receiver does: no status and
words are a failed attempt, which the route's schedule decides on. It MUST connect to nothing that the guard has
not vetted at that moment, and MUST NOT be called while a transaction is open. Success is a 2xx: over HTTP the
receiver's own, otherwise 200 when the server has taken the message for certain.
"""

from collections.abc import Awaitable, Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from webhooks.outbound.client import Answer
from webhooks.outbound.mailbox import Route

TAKEN = 200


class OutgoingMessage(msgspec.Struct, frozen=True):
    """`id`: the webhook-id. `headers`: the signatures', the content's and the endpoint's own. `ordering_key`:
    the envelope, None for what is about no envelope.
    """

    id: str
    type: str
    body: bytes
    headers: Mapping[str, str]
    ordering_key: UUID | None = None


class Sink(Protocol):
    def send(self, route: Route, message: OutgoingMessage) -> Awaitable[Answer]: ...

    async def close(self) -> None:
        """Ends every connection. The sink is not used afterwards."""
