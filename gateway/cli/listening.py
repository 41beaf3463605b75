"""The receiver of `countersign listen`: takes a delivery, verifies its raw bytes, prints a line, passes it on.

What cannot be verified is answered 401, told on standard error and goes no further. What is passed on goes with
exactly the bytes and headers that came, and its answer goes back as it is, so that the gateway decides by it.
"""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec
from aiohttp import web
from multidict import CIMultiDict

from config.secret import Secret
from webhooks.verify import NotVerified, Verified, verify_any

_MOST_BYTES = 4 * 2**20
_MOST_ANSWER = 65_536
_FORWARD_TIMEOUT = aiohttp.ClientTimeout(total=30)
# Of one connection and not of the message (RFC 9110 section 7.6.1); host and length are made anew.
_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
        "transfer-encoding", "upgrade", "host", "content-length",
    }
)  # fmt: skip
_ADDED_BY_THE_LIBRARY = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One verified delivery. `answer`: what the address it was passed on to answered; None: nowhere, 0: nothing."""

    received_at: datetime
    verified: Verified
    body: bytes
    answer: int | None


class Printer:
    """One line per message; with `as_json` one JSON document per line, with the whole body."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def message(self, message: Message) -> None:
        event: dict[str, Any] = json.loads(message.body)
        latency_ms = _latency_ms(event, message.received_at)
        if self._as_json:
            document = {
                "received_at": message.received_at.isoformat(timespec="milliseconds"),
                "verified_by": message.verified.scheme,
                "latency_ms": latency_ms,
                "forwarded": message.answer,
                "body": event,
            }
            print(json.dumps(document, ensure_ascii=True), flush=True)
            return
        parts = [
            f"{message.received_at.astimezone():%H:%M:%S}",
            f"{message.verified.type:<24}",
            f"#{_plain(event.get('sequence', '-'))}",
            _plain(_envelope_of(event)) or "-",
            f"verified by {message.verified.scheme}",
            "-" if latency_ms is None else f"{latency_ms} ms",
        ]
        if message.answer is not None:
            parts.append(f"-> {message.answer or 'no answer'}")
        print("  ".join(parts), flush=True)

    def refused(self, reason: str) -> None:
        print(f"refused: {_plain(reason)}", file=sys.stderr, flush=True)


class Listener:
    """A server on loopback. Until it knows its secret it takes nothing."""

    def __init__(self, printer: Printer, *, port: int = 0, forward: str = "") -> None:
        self.secret: Secret | None = None
        self.url = ""
        self._printer = printer
        self._port = port
        self._forward = forward
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        """Raises OSError when the port is taken."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_post("/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=10.0, handle_signals=False)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except BaseException:  # whoever failed to enter is not asked to leave
            await self._runner.cleanup()
            raise
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        self._session = aiohttp.ClientSession(
            timeout=_FORWARD_TIMEOUT, auto_decompress=False, skip_auto_headers=_ADDED_BY_THE_LIBRARY
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finishes what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _receive(self, request: web.Request) -> web.Response:
        if self.secret is None:
            return web.Response(status=503, headers={"Retry-After": "1"})
        received_at = datetime.now(UTC)
        body = await request.read()
        try:
            verified = verify_any(request.headers.items(), body, self.secret.reveal())
        except NotVerified as refusal:
            self._printer.refused(str(refusal))
            return web.Response(status=401, text="not verified")
        answer, status = await self._answer(request, body)
        self._printer.message(Message(received_at=received_at, verified=verified, body=body, answer=status))
        return answer

    async def _answer(self, request: web.Request, body: bytes) -> tuple[web.Response, int | None]:
        """The answer, and the status of the address that it was passed on to."""
        if not self._forward:
            return web.Response(status=204), None
        if self._session is None:
            raise AssertionError("the listener was not entered")
        headers = _kept(request.headers.items())
        try:
            async with self._session.post(
                self._forward, data=body, headers=headers, allow_redirects=False
            ) as answer:
                content = await _read(answer)
                kept = _kept(answer.headers.items())
                return web.Response(status=answer.status, body=content, headers=kept), answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = f"{type(error).__name__} at the address it was passed on to"
            return web.Response(status=502, text=words), 0


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The beginning of it: the gateway keeps no more than this either."""
    content = bytearray()
    async for chunk in answer.content.iter_chunked(_MOST_ANSWER):
        content += chunk
        if len(content) >= _MOST_ANSWER:
            break
    return bytes(content[:_MOST_ANSWER])


def _kept(headers: Iterable[tuple[str, str]]) -> "CIMultiDict[str]":
    return CIMultiDict((name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP)


def _envelope_of(event: dict[str, Any]) -> object:
    """Its id; "" for an event about none. What is thin, or about deliveries, has it as `envelope_id`."""
    data = event.get("data")
    if not isinstance(data, dict):
        return ""
    envelope = data.get("envelope")
    return envelope.get("id", "") if isinstance(envelope, dict) else data.get("envelope_id", "")


def _latency_ms(event: dict[str, Any], received_at: datetime) -> int | None:
    """From the moment of the event; None when the body names none."""
    try:
        happened_at = datetime.fromisoformat(event["timestamp"])
        return round((received_at - happened_at).total_seconds() * 1000)
    except (KeyError, TypeError, ValueError):
        return None


def _plain(value: object) -> str:
    """Nothing that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value))[:300]
