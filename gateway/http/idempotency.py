"""Idempotency-Key on every POST and PATCH of the API: the first request works, the others get its answer.

The body is read before the key is claimed, for the fingerprint covers it; a large one goes through a file. A
claim whose owner died is taken over and the work resumed from its recovery point. Rules for callers:
docs/idempotency.md. Must never show one caller another's answer: rows are found by tenant, key and route.
Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

import hashlib
import logging
import re
import tempfile
from typing import IO, Any, cast
from uuid import UUID, uuid4

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send
from litestar.types import Scope as AsgiScope

from config.errors import StoreUnavailable
from config.logging import request_id
from config.vault import Place
from gateway.claims import Claim
from gateway.http.problems import BadRequest, TooLarge, send_store_loss
from gateway.services import Caller, Services
from gateway.tenants.api_keys import KeyRow
from normalizer.errors import IdempotencyConflict

logger = logging.getLogger("countersign.http")

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?\Z")
_KEPT_HEADERS = frozenset({"content-type", "location", "retry-after", "preference-applied"})
_IN_MEMORY = 1024 * 1024
_CHUNK = 256 * 1024


class Idempotency(ASGIMiddleware):
    scopes = (ScopeType.HTTP,)

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        scope = cast("HTTPScope", scope)  # `scopes` above lets nothing else in
        caller: Caller | None = scope["state"].get("caller")
        if scope["method"] not in {"POST", "PATCH"} or caller is None:
            await next_app(scope, receive, send)
            return
        header = next(
            (v.decode("latin-1") for k, v in scope["headers"] if k.lower() == b"idempotency-key"), None
        )
        if header is None:
            row: KeyRow = scope["state"]["key_row"]
            if row.require_idempotency:
                raise BadRequest(
                    "This tenant asks for an Idempotency-Key.",
                    remedy="Send a random key with each new request.",
                )
            await next_app(scope, receive, send)
            return
        key = _read_key(header)
        limit = self._limit(scope)
        _check_declared(scope, limit)
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
            fingerprint = await _read_body(scope, receive, body, limit)
            await self._within_claim(scope, _Replay(body), send, next_app, caller, key, fingerprint)

    def _limit(self, scope: HTTPScope) -> int:
        settings = self._services.settings
        is_file = scope["route_handler"].opt.get("body") == "document"
        return settings.limit.document_bytes if is_file else settings.http.body_bytes

    async def _within_claim(
        self,
        scope: HTTPScope,
        receive: Receive,
        send: Send,
        next_app: ASGIApp,
        caller: Caller,
        key: str,
        fingerprint: bytes,
    ) -> None:
        token = uuid4()
        route = f"{scope['method']} {scope['path']}"[:200]
        row = await self._services.database.fetchrow(
            "SELECT * FROM claim_idempotency_key($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            caller.tenant_id,
            caller.key_id,
            route,
            key,
            self._services.ids.new(),
            fingerprint,
            token,
            self._services.settings.idempotency.claim_s,
            request_id.get() or "",
        )
        assert row is not None  # noqa: S101 - the function returns one row on every path
        match row["outcome"]:
            case "reused":
                raise IdempotencyConflict("This key was used for another request.", reused=True)
            case "busy":
                raise IdempotencyConflict("The first request with this key still runs.", reused=False)
            case "replay":
                await self._replay(caller.tenant_id, row, send)
                return
        claim = Claim(
            id=row["id"],
            principal=caller.key_id,
            route=route,
            key=key,
            token=token,
            resource_id=row["resource_id"],
            advanced=row["recovery_point"] != "started",
            resumed=row["outcome"] == "resumed",
        )
        scope["state"]["claim"] = claim
        answer = _Answer(send)
        how = "release"
        try:
            await next_app(scope, receive, answer.catch)
            how = _what_to_do(answer.status, claim)
        finally:
            # An error on its way out leaves no answer here: the key is free for a retry.
            if answer.status == 0:
                how = "release" if claim.advanced else "drop"
            is_kept = await self._try_end(caller, route, key, token, claim, how, answer)
        await (answer.flush() if is_kept else send_store_loss(send))

    async def _try_end(
        self, caller: Caller, route: str, key: str, token: UUID, claim: Claim, how: str, answer: "_Answer"
    ) -> bool:
        """False: there is an answer that could not be kept. Raises StoreUnavailable where there is none: the framework
        can say so only while it believes that nothing was answered.
        """
        try:
            await self._end(caller, route, key, token, claim, how, answer)
        except StoreUnavailable:
            if answer.status == 0:
                raise
            logger.warning("an answer could not be kept; the request is answered 503", exc_info=True)
            return False
        return True

    async def _end(
        self, caller: Caller, route: str, key: str, token: UUID, claim: Claim, how: str, answer: "_Answer"
    ) -> None:
        body = None
        if how == "store":
            place = Place("idempotency_keys", "body", claim.id)
            body = await self._services.vault.encrypt(
                self._services.database, caller.tenant_id, place, bytes(answer.body)
            )
        await self._services.database.execute(
            "SELECT end_idempotency_key($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10)",
            caller.tenant_id,
            caller.key_id,
            route,
            key,
            token,
            how,
            answer.status or None,
            msgspec.json.encode(answer.kept_headers()).decode(),
            body,
            self._services.settings.idempotency.retention_s,
        )

    async def _replay(self, tenant_id: UUID, row: Any, send: Send) -> None:
        place = Place("idempotency_keys", "body", row["id"])
        body = await self._services.vault.decrypt(self._services.database, tenant_id, place, row["body"])
        kept: list[list[str]] = msgspec.json.decode(row["headers"])
        headers = [(name.encode(), value.encode("latin-1")) for name, value in kept]
        headers += [
            (b"content-length", str(len(body)).encode()),
            (b"idempotency-replayed", b"true"),
            (b"original-request-id", row["request_id"].encode("latin-1", "replace")),
        ]
        await send({"type": "http.response.start", "status": row["status"], "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})


def _what_to_do(status: int, claim: Claim) -> str:
    """Definite answers are kept; what is open or was refused before any work leaves the key usable."""
    if status < 400:
        # 202 about something that was made here: a repetition tells how far it is. Without that it is the answer,
        # and the work must not be done again.
        return "release" if status == 202 and claim.advanced else "store"
    if not claim.advanced:
        return "drop"
    # The work began: a definite refusal is the answer; an outage is not, a retry goes on.
    return "store" if status < 500 and status != 429 else "release"


def _read_key(header: str) -> str:
    """A bare token or a structured-field string in quotes; 1 to 255 printable characters."""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not _KEY.match(key):
        raise BadRequest(
            "The Idempotency-Key is empty, too long or has control characters.",
            remedy="Send 1 to 255 printable characters, for example a random UUID.",
        )
    return key


def _check_declared(scope: HTTPScope, limit: int) -> None:
    """A body that says itself that it is too large is not read."""
    declared = next((value for name, value in scope["headers"] if name.lower() == b"content-length"), b"")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise TooLarge(f"This route takes {limit} bytes.")


async def _read_body(scope: HTTPScope, receive: Receive, target: IO[bytes], limit: int) -> bytes:
    """Spools the body and returns the fingerprint: method, path, query, content type and every byte."""
    content_type = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
    digest = hashlib.sha256()
    for part in (scope["method"].encode(), scope["path"].encode(), scope["query_string"], content_type):
        digest.update(len(part).to_bytes(4, "big") + part)
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadRequest("The connection ended before the body did.")
        chunk = message["body"]
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"This route takes {limit} bytes.")
        digest.update(chunk)
        target.write(chunk)
        if not message["more_body"]:
            break
    target.seek(0)
    return digest.digest()


class _Replay:
    """Gives the spooled body to the application as if it came from the network."""

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body
        self._done = False

    async def __call__(self) -> Any:
        if self._done:
            return {"type": "http.disconnect"}
        chunk = self._body.read(_CHUNK)
        following = self._body.read(1)
        if following:
            self._body.seek(-1, 1)
        self._done = not following
        return {"type": "http.request", "body": chunk, "more_body": bool(following)}


class _Answer:
    """Holds the answer back until it is stored: what a caller has seen can be replayed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[Message] = []
        self.status = 0
        self.body = bytearray()

    async def catch(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")
        self._messages.append(message)

    def kept_headers(self) -> list[tuple[str, str]]:
        start = next((one for one in self._messages if one["type"] == "http.response.start"), None)
        if start is None:
            return []
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
        return [(name, value) for name, value in pairs if name.lower() in _KEPT_HEADERS]

    async def flush(self) -> None:
        for message in self._messages:
            await self._send(message)
