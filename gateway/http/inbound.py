"""Webhooks from providers over HTTP: the exact bytes to the door, its answer back. No key, no JSON, no schema.

Must never touch the body: not decompress it, not decode it, not wait for what is longer than allowed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request, Response, get, post
from litestar.params import FromPath
from litestar.types import Receive

from adapters.kit.port import Reply
from gateway import metrics
from gateway.http.client_address import client_address
from gateway.http.client_certificate import client_certificate
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import OPEN
from gateway.jobs.bell import JobBell
from gateway.services import Services
from gateway.tenants.find_sender import SenderDirectory
from webhooks.inbound.keep import MessageKeeper
from webhooks.inbound.ports import Client
from webhooks.inbound.receive import Door, Headers
from webhooks.inbound.refusals import Refusals
from webhooks.inbound.throttle import Throttle

_TAKEN: dict[str, Any] = {**OPEN, "status_code": 200}


@asynccontextmanager
async def open_door(services: Services) -> AsyncIterator[Door]:
    """The door of one process; the application keeps it as `state.door`. Closing it writes what is pending."""
    bell = JobBell(services.settings)
    door = Door(
        SenderDirectory(services).find,
        MessageKeeper(services.hub, services.vault, services.ids),
        Refusals(services.hub, services.clock),
        Throttle(services.settings.limit.inbound_per_minute, services.clock),
        bell.ring_inbox,
        _count,
        body_bytes=services.settings.inbox.body_bytes,
    )
    try:
        yield door
    finally:
        await door.aclose()
        await bell.aclose()


@get("/{provider_path:str}/{path_key:str}", **_TAKEN)
async def challenge(
    request: Request[Any, Any, Any],
    services: TheServices,
    provider_path: FromPath[str],
    path_key: FromPath[str],
) -> Response[bytes]:
    """A provider asks whether its webhooks are wanted here."""
    door: Door = request.app.state.door
    client = _client(request, services)
    return _response(await door.challenge(provider_path, path_key, _headers(request), client))


@post("/{provider_path:str}/{path_key:str}", request_max_body_size=None, **_TAKEN)
async def receive(
    request: Request[Any, Any, Any],
    services: TheServices,
    provider_path: FromPath[str],
    path_key: FromPath[str],
) -> Response[bytes]:
    """A provider's webhook. Its size is the door's to limit."""
    door: Door = request.app.state.door
    try:
        reply = await door.receive(
            provider_path,
            path_key,
            _headers(request),
            _chunks(request.receive),
            _client(request, services),
        )
    except _Gone:
        reply = Reply(400)  # nobody reads it: the provider hung up before the end and will post again
    return _response(reply)


class _Gone(Exception):
    """The client left before its body was complete."""


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        if message["type"] == "http.request":
            if message["body"]:
                yield message["body"]
            if not message.get("more_body", False):
                return


def _client(request: Request[Any, Any, Any], services: Services) -> Client:
    proxies = services.settings.http.trusted_proxies
    header = services.settings.inbox.client_certificate_header
    return Client(client_address(request.scope, proxies), client_certificate(request.scope, header, proxies))


def _headers(request: Request[Any, Any, Any]) -> Headers:
    return tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.scope["headers"]
    )


def _response(reply: Reply) -> Response[bytes]:
    headers = {name: value for name, value in reply.headers if name.lower() != "content-type"}
    media_type = next((value for name, value in reply.headers if name.lower() == "content-type"), None)
    return Response(
        reply.body, status_code=reply.status, headers=headers, media_type=media_type or "text/plain"
    )


def _count(provider: str, verdict: str) -> None:
    metrics.INBOUND.labels(provider, verdict).inc()
