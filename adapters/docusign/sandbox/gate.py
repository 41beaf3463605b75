"""Every API call passes here: token, account, limits, faults before and after, and the provider's headers.

The answer of a handler is held back until its faults are decided and the snapshot is on disk, so that an
answer that was sent is an answer that a restart remembers.
"""

import asyncio
import os
import socket
import stat
import uuid
from typing import cast

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from .catalogue import JsonObject
from .faults import Fault, FaultKind
from .refusals import Refusal
from .world import World

_HTML_ERROR = (
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
    b"<body><h1>502 Bad Gateway</h1><p>nginx (sandbox fault)</p></body></html>"
)


class Held:
    """A handler's answer, kept back."""

    def __init__(self) -> None:
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""

    async def receive_from(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
        elif message["type"] == "http.response.body":
            self.body += message["body"]

    def become(
        self, status: int, body: bytes, media_type: bytes = b"application/json; charset=utf-8"
    ) -> None:
        self.status, self.body = status, body
        self.headers = [(b"content-type", media_type)]

    def add(self, headers: dict[str, str]) -> None:
        self.headers += [(name.lower().encode(), value.encode()) for name, value in headers.items()]


class RequestBody:
    """What the caller sends. An answer before the end of it would make the server reset the connection, and the
    caller would lose the answer: whatever nobody read is read before answering.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_read = False

    async def receive(self) -> HTTPReceiveMessage:
        message = cast("HTTPReceiveMessage", await self._receive())
        self._is_read = message["type"] != "http.request" or not message["more_body"]
        return message

    async def drain(self) -> None:
        while not self._is_read:
            await self.receive()


def api_gate(app: ASGIApp) -> ASGIApp:
    """The middleware of the API and of OAuth."""

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            raise RuntimeError("the sandbox speaks HTTP only")
        world: World = scope["litestar_app"].state.world
        operation = str(scope["route_handler"].name)
        held = Held()
        body = RequestBody(receive)
        is_counted = not operation.startswith("oauth.")
        if world.faults.take(FaultKind.RESET_BEFORE, operation):
            drop_connection(scope)
            return
        slow = world.faults.take(FaultKind.SLOW, operation)
        if slow:
            await _sleep(world, slow.seconds or 5.0)
        limited = world.faults.take(FaultKind.HTTP_429, operation)
        broken = world.faults.take(FaultKind.HTTP_500_HTML, operation)
        if limited:
            _answer_limited(held, limited)
        elif broken:
            held.become(broken.status or 502, _HTML_ERROR, b"text/html")
        else:
            await _run(app, scope, body.receive, held, world, operation, is_counted=is_counted)
        await body.drain()
        await _send(scope, send, held, world, operation, limited)

    return enter


async def _run(
    app: ASGIApp,
    scope: HTTPScope,
    receive: Receive,
    held: Held,
    world: World,
    operation: str,
    *,
    is_counted: bool,
) -> None:
    try:
        if is_counted:
            _authorize(scope, world, operation)
            world.limits.count()
            envelope_id = scope["path_params"].get("envelope_id")
            if scope["method"] == "GET" and envelope_id:
                world.limits.poll(str(envelope_id))
    except Refusal as refusal:
        held.become(refusal.row.status, msgspec.json.encode(refusal.body()))
        return
    await app(scope, receive, held.receive_from)


async def _send(
    scope: HTTPScope, send: Send, held: Held, world: World, operation: str, limited: Fault | None
) -> None:
    world.save()
    lost = world.faults.take(FaultKind.TIMEOUT_AFTER_ACCEPT, operation) if held.status < 300 else None
    if lost:
        await _sleep(world, lost.seconds or 120.0)
    if held.status < 300 and world.faults.take(FaultKind.RESET_AFTER, operation):
        drop_connection(scope)
        return
    if held.status < 300 and world.faults.take(FaultKind.HTTP_500_AFTER_ACCEPT, operation):
        held.become(500, _HTML_ERROR, b"text/html")
    if held.status < 300 and world.faults.take(FaultKind.EMBEDDED_ERROR_DETAILS, operation):
        held.become(held.status, _with_embedded_error(held.body))
    if limited is None or limited.has_headers:
        held.add(world.limits.headers())
    held.add({"X-DocuSign-TraceToken": str(uuid.uuid4()), "X-DocuSign-Node": "SANDBOX1"})
    held.headers = [pair for pair in held.headers if pair[0].lower() != b"content-length"]
    held.headers.append((b"content-length", str(len(held.body)).encode()))
    await send({"type": "http.response.start", "status": held.status, "headers": held.headers})
    await send({"type": "http.response.body", "body": held.body, "more_body": False})


def _authorize(scope: HTTPScope, world: World, operation: str) -> None:
    header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
    scheme, _, token = header.partition(" ")
    if not header:
        raise Refusal("api-token-missing")
    expires_at = world.state.tokens.get(token)
    if scheme.lower() != "bearer" or expires_at is None or expires_at <= world.now():
        raise Refusal("api-token-invalid")
    if world.faults.take(FaultKind.TOKEN_EXPIRED, operation):
        del world.state.tokens[token]
        raise Refusal("api-token-invalid")
    account = scope["path_params"].get("account_id")
    if account is not None and str(account).lower() != world.settings.account_id:
        raise Refusal("api-account-foreign")


def _answer_limited(held: Held, fault: Fault) -> None:
    """A rate-limit answer; status 400 is the form that was used before 2026."""
    code = fault.code or "HOURLY_APIINVOCATION_LIMIT_EXCEEDED"
    message = "The maximum number of API invocations has been exceeded. (sandbox fault)"
    held.become(fault.status or 429, msgspec.json.encode({"errorCode": code, "message": message}))


def _with_embedded_error(body: bytes) -> bytes:
    """A success answer in which an item carries an error."""
    error = {"errorCode": "RECIPIENT_UPDATE_FAILED", "message": "The update failed. (sandbox fault)"}
    shown: JsonObject = msgspec.json.decode(body)
    lists = [
        value for value in shown.values() if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    for item in lists[0] if lists else [shown]:
        item["errorDetails"] = error
    return msgspec.json.encode(shown)


async def _sleep(world: World, seconds: float) -> None:
    """Sleeps, but not past the server's end."""
    try:
        await asyncio.wait_for(world.is_stopping.wait(), timeout=seconds)
    except TimeoutError:
        return


def drop_connection(scope: HTTPScope) -> None:
    """Cuts the client's connection without an answer.

    ASGI has no verb for that, so the accepted socket is found among this process's descriptors by its peer.
    """
    client = scope["client"]
    if client is None:
        return
    peer = (client[0], int(client[1]))  # the server gives the port as text
    for number in range(3, 4096):
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            found = socket.socket(fileno=os.dup(number))
        except OSError:
            continue
        with found:
            try:
                if found.getpeername()[:2] == peer:
                    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    found.shutdown(socket.SHUT_RDWR)
                    return
            except OSError:
                continue


def page_gate(app: ASGIApp) -> ASGIApp:
    """The middleware of the pages and the control API: keeps what was changed, refuses foreign pages."""

    async def enter(scope: Scope, receive: Receive, send: Send) -> None:
        world: World = scope["litestar_app"].state.world
        if scope["type"] != ScopeType.HTTP:
            raise RuntimeError("the sandbox speaks HTTP only")
        site = dict(scope["headers"]).get(b"sec-fetch-site", b"none")
        if scope["method"] != "GET" and site not in {b"same-origin", b"none"}:
            raise Refusal("page-foreign-form")  # a page of another site must not sign for anybody
        held = Held()
        await app(scope, receive, held.receive_from)
        world.save()
        await send({"type": "http.response.start", "status": held.status, "headers": held.headers})
        await send({"type": "http.response.body", "body": held.body, "more_body": False})

    return enter
