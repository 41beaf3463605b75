"""A tenant's webhook receiver: verifies every post in both ways, and remembers what came.

The design's rule is written here as a receiver would write it from the documents, on purpose without a line of
the sender's code. The standard rule is checked by the package `standardwebhooks` when it is installed.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from importlib import import_module, metadata
from typing import Any, Self

import msgspec
from aiohttp import web

_TOLERANCE_S = 300


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One post. `problems` is empty when both signatures hold."""

    id: str
    type: str
    envelope_id: str
    sequence: int
    by_standard: bool
    by_design: bool
    problems: tuple[str, ...]


class Receiver:
    """Use as `async with Receiver() as receiver`; posts are refused until it knows its secrets."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.url = ""
        self.standard_library = _standard_library()
        self._secret = self._standard_secret = ""
        self._news = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    def trust(self, secret: str, standard_secret: str) -> None:
        self._secret, self._standard_secret = secret, standard_secret

    def of(self, envelope_id: str) -> list[Received]:
        """What came about an envelope, in the sender's order."""
        return sorted(
            (one for one in self.received if one.envelope_id == envelope_id), key=lambda one: one.sequence
        )

    async def wait_for(self, is_there: Callable[[], bool], within_s: float) -> bool:
        """False when the time is over first."""
        try:
            async with asyncio.timeout(within_s), self._news:
                await self._news.wait_for(is_there)
        except TimeoutError:
            return False
        return True

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=1024 * 1024)
        application.router.add_post("/hooks", self._receive)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hooks"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._secret:
            return web.Response(status=503)
        problems = []
        for verify, secret in (
            (self._verify_standard, self._standard_secret),
            (verify_by_design, self._secret),
        ):
            try:
                verify(body, request.headers, secret)
                problems.append("")
            except Exception as error:  # noqa: BLE001  (whatever a verifier raises means: not verified)
                problems.append(f"{type(error).__name__}: {error}")
        content = json.loads(body) if not all(problems) else {}
        told = Received(
            id=request.headers.get("webhook-id", ""),
            type=str(content.get("type", "")),
            envelope_id=_envelope_of(content),
            sequence=int(content.get("sequence", 0)),
            by_standard=not problems[0],
            by_design=not problems[1],
            problems=tuple(problem for problem in problems if problem),
        )
        async with self._news:
            self.received.append(told)
            self._news.notify_all()
        return web.Response(status=401 if told.problems else 204)

    def _verify_standard(self, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        if self.standard_library:
            import_module("standardwebhooks").Webhook(secret).verify(body, dict(headers))
        else:
            verify_by_standard(body, headers, secret)


def verify_by_design(body: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Raises ValueError. The design documents: HMAC-SHA-256 over timestamp, dot and body, in hexadecimal."""
    timestamp = headers["X-Signature-Timestamp"]
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(headers["X-Signature-Signature"], f"sha256={expected}"):
        raise ValueError("X-Signature-Signature does not fit the body")
    if headers["X-Signature-Event"] != json.loads(body)["type"]:
        raise ValueError("X-Signature-Event is not the body's type")
    _check_time(timestamp)


def verify_by_standard(body: bytes, headers: Mapping[str, str], secret: str) -> None:
    """Raises ValueError. Standard Webhooks 1.0.0, for where its package is not installed."""
    message, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(mac).decode()
    if not any(hmac.compare_digest(one, expected) for one in headers["webhook-signature"].split()):
        raise ValueError("webhook-signature does not fit the body")
    _check_time(timestamp)


def _check_time(timestamp: str) -> None:
    if abs(time.time() - int(timestamp)) > _TOLERANCE_S:
        raise ValueError("the timestamp is too far from now")


def _envelope_of(content: Mapping[str, Any]) -> str:
    envelope = content.get("data", {}).get("envelope", {})
    return str(envelope.get("id", "")) if isinstance(envelope, dict) else ""


def _standard_library() -> str:
    """Name and version of the package, empty when it is not installed."""
    try:
        return f"standardwebhooks {metadata.version('standardwebhooks')}"
    except metadata.PackageNotFoundError:
        return ""
