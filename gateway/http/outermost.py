"""The outermost layer: a request id, security headers, metrics and one log line for every request.

Also for what no route answers. The id is taken from X-Request-Id when it is harmless, else made here.
"""

import re
import secrets
import time

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from config.logging import log_wide, within_request
from gateway import metrics
from gateway.http.rate_limit import Allowance

_HARMLESS = re.compile(r"[A-Za-z0-9._\-]{8,100}\Z")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
]


def outermost(app: ASGIApp) -> ASGIApp:
    """Wraps the whole application."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        identifier = _request_id(scope)
        started = time.perf_counter()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name.lower() for name, _ in message["headers"]}
                extra = [pair for pair in _HEADERS if pair[0] not in present]
                allowance: Allowance | None = scope.get("state", {}).get("allowance")
                if allowance is not None:
                    extra.extend(allowance.headers())
                message["headers"] = [*message["headers"], *extra, (b"x-request-id", identifier.encode())]
            await send(message)

        with within_request(identifier):
            try:
                await app(scope, receive, send_marked)
            finally:
                _note(scope, status, time.perf_counter() - started)

    return handle


def _note(scope: Scope, status: int, seconds: float) -> None:
    # The template, not the path: a path has too many values, and may have been typed by anybody.
    route = scope.get("path_template") or "unknown"
    method = str(scope.get("method", ""))
    metrics.REQUESTS.labels(method, route, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(method, route).observe(seconds)
    caller = scope.get("state", {}).get("caller")
    log_wide(
        "http.request",
        method=method,
        route=route,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        tenant_id=str(caller.tenant_id) if caller else None,
        key_id=str(caller.key_id) if caller else None,
    )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name.lower() == b"x-request-id":
            given = value.decode("latin-1")
            if _HARMLESS.match(given):
                return given
    return f"req_{secrets.token_hex(12)}"
