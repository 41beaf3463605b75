"""Health, readiness, metrics and the page of error codes. They need no key and tell no secret.

/health answers for the process alone and echoes the nonce of this start, so that a stray process cannot
answer in its place. /ready asks the stores.
"""

import asyncio
from importlib import resources
from typing import Any

from litestar import Response, get
from redis.exceptions import RedisError

from config.errors import StoreUnavailable
from config.settings_source import start_nonce
from gateway import metrics
from gateway.http.dependencies import TheServices
from gateway.sweep_figures import SWEEPS

_ERRORS = resources.files("gateway.http").joinpath("errors.md").read_text(encoding="utf-8")

# States with a partial index each: what has ended well is never counted, there are millions of it.
_DELIVERIES = ("pending", "exhausted", "held")
_MESSAGES = ("parked", "unprocessable", "dead", "quarantined")
_FIGURES = (
    "SELECT (SELECT count(*) FROM envelopes WHERE dispatch_state IN ('creating', 'unknown')) AS unsettled,"
    " (SELECT count(*) FROM engine_envelopes WHERE status = 'sealing' AND seal_attempts >= 3) AS seals_delayed,"
    " (SELECT max(waited_s) FROM ready_mailboxes() WHERE active AND NOT blocked) AS oldest,"
    " (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM engine_notices WHERE state = 'waiting')"
    " AS notice_oldest,"
    " (SELECT count(*) FROM engine_notices WHERE ended_at > now() - interval '1 hour'"
    "  AND state IN ('failed', 'bounced')) AS notices_failed,"
    " (SELECT count(*) FROM blob_checks WHERE damage <> '') AS damaged,"
    " (SELECT count(*) FROM certificates WHERE NOT revoked"
    "  AND not_valid_after < now() + interval '30 days') AS certificates_ending, "
    + ", ".join(
        f"(SELECT count(*) FROM {table} WHERE state = '{state}') AS {what}_{state}"
        for table, what, states in (
            ("deliveries", "delivery", _DELIVERIES),
            ("inbox_messages", "message", _MESSAGES),
        )
        for state in states
    )
)


@get("/health", opt={"open": True}, include_in_schema=False)
async def health() -> dict[str, str]:
    return {"status": "ok", "nonce": start_nonce()}


@get("/docs/errors", opt={"open": True}, include_in_schema=False)
async def error_codes() -> Response[str]:
    """What a problem's `type` leads to: every code, and what to do."""
    return Response(_ERRORS, media_type="text/markdown; charset=utf-8")


@get("/ready", opt={"open": True}, include_in_schema=False)
async def ready(services: TheServices) -> Response[dict[str, Any]]:
    """200 when PostgreSQL answers; Redis away is told and is no reason not to serve."""
    checks: dict[str, str] = {}
    try:
        async with asyncio.timeout(2):
            await services.database.fetchval("SELECT 1")
        checks["database"] = "ok"
    except (StoreUnavailable, TimeoutError):
        checks["database"] = "away"
    try:
        async with asyncio.timeout(2):
            await services.redis.ping()
        checks["redis"] = "ok"
    except (RedisError, OSError, TimeoutError):
        checks["redis"] = "away"
    is_ready = checks["database"] == "ok"
    return Response({"ready": is_ready, **checks}, status_code=200 if is_ready else 503)


@get("/metrics", opt={"open": True}, include_in_schema=False)
async def prometheus(services: TheServices) -> Response[bytes]:
    """Prometheus' text format; figures from SQL are read now."""
    try:
        row = await services.hub.fetchrow(_FIGURES)
    except StoreUnavailable:
        row = None
    if row is not None:
        metrics.UNSETTLED.set(row["unsettled"])
        metrics.SEALS_DELAYED.set(row["seals_delayed"])
        metrics.BLOBS_DAMAGED.set(row["damaged"])
        metrics.CERTIFICATES_ENDING.set(row["certificates_ending"])
        metrics.OLDEST_NOTICE.set(max(0.0, float(row["notice_oldest"] or 0)))
        metrics.FAILED_NOTICES.set(row["notices_failed"])
        metrics.OLDEST_DUE.set(max(0.0, float(row["oldest"] or 0)))
        for state in _DELIVERIES:
            metrics.UNDELIVERED.labels(state).set(row[f"delivery_{state}"])
        for state in _MESSAGES:
            metrics.INBOX.labels(state).set(row[f"message_{state}"])
    await SWEEPS.refresh(services.hub)
    return Response(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
