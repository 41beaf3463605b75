"""The doctor's look at the hub: whether providers reach us, what they know that we do not, and what waits.

Asks providers and reads figures. Must change nothing, neither here nor at a provider, and must never show a secret:
a connection's webhook address is one.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import msgspec

from adapters.kit.exchange import Exchange, ProviderRequest, ProviderResponse
from adapters.kit.port import InProcess, WebhookAdministration
from gateway.cli.doctor_finding import Finding
from gateway.services import Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.connection_cache import OpenConnection
from gateway.tenants.inbound_rules import find_rule_problems
from gateway.tenants.open_connection import open_connection
from gateway.tenants.webhook_checks import look_at_webhooks
from normalizer.ids import Kind, print_id
from webhooks.inbound.ports import SenderRules

_SKEW_S = 60.0  # half of what the strictest of the other side's checks allow
_ASK_S = 10.0
_WAITED_S = 300.0
_FANNED_OUT_S = 60.0
_REQUEST = "countersign-doctor"  # the gateway names it in its answer, whatever stands in front does not
_OWN_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


class _Row(msgspec.Struct, frozen=True):
    tenant_id: UUID
    id: UUID
    provider: str
    receive_webhooks: bool
    digests: tuple[str, ...]
    subject: str
    created_s: float
    last_whole_s: float | None
    last_error: str


async def examine_hub(services: Services) -> list[Finding]:
    """Everything, in the order in which an operator would ask."""
    findings = [await _examine_address(services), await _examine_clock(services)]
    for row in await _connections(services):
        findings += await _examine_connection(services, row)
    look_ups: tuple[Callable[[Services], Awaitable[list[Finding]]], ...] = (
        _examine_drift,
        _examine_inbox,
        _examine_fan_out,
        _examine_deliveries,
        _examine_endpoints,
    )
    for look_up in look_ups:
        findings += await look_up(services)
    return findings


async def _examine_address(services: Services) -> Finding:
    what, base = "public address", services.settings.countersign.public_base_url.rstrip("/")
    host = urlsplit(base).hostname or ""
    if host in _OWN_MACHINE or host.endswith(".localhost"):
        says = f"{base} is this machine's own: only sandboxes on it can send webhooks here"
        if services.settings.is_production:
            return Finding(what, ok=False, says=f"{says}; set COUNTERSIGN_PUBLIC_BASE_URL")
        return Finding(what, ok=True, says=says, note=True)
    try:
        async with httpx.AsyncClient(timeout=_ASK_S, trust_env=False, follow_redirects=False) as client:
            health = await client.get(f"{base}/health")
            inbound = await client.get(
                f"{base}/webhooks/signatures/nobody/nothing", headers={"x-request-id": _REQUEST}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        says = (
            f"{base} does not answer ({type(error).__name__}); check DNS, certificate, proxy and that it runs"
        )
        return Finding(what, ok=False, says=says)
    if not _is_ours(health):
        says = (
            f"{base}/health answers {health.status_code} and not as this gateway; does the proxy lead to it?"
        )
        return Finding(what, ok=False, says=says)
    if inbound.status_code != httpx.codes.NOT_FOUND or inbound.headers.get("x-request-id") != _REQUEST:
        says = (
            f"{base} serves, but /webhooks/signatures/ answers {inbound.status_code} instead of a 404 of ours; "
            "the proxy must let providers' posts through untouched"
        )
        return Finding(what, ok=False, says=says)
    return Finding(what, ok=True, says=f"{base} answers, and leads providers' posts to this gateway")


def _is_ours(answer: httpx.Response) -> bool:
    try:
        told = msgspec.json.decode(answer.content, type=dict[str, object])
    except msgspec.MsgspecError:
        return False
    return answer.status_code == httpx.codes.OK and told.get("status") == "ok" and "nonce" in told


async def _examine_clock(services: Services) -> Finding:
    told: datetime = await services.hub.fetchval("SELECT clock_timestamp()")
    return _skew("clock", "the database's", (services.clock.now() - told).total_seconds())


def _skew(what: str, whose: str, skew_s: float) -> Finding:
    if abs(skew_s) > _SKEW_S:
        way = "ahead of" if skew_s > 0 else "behind"
        says = f"this machine's clock is {abs(skew_s):.0f} s {way} {whose}; synchronise it (NTP)"
        return Finding(what, ok=False, says=says)
    return Finding(what, ok=True, says=f"agrees with {whose} to {abs(skew_s):.0f} s")


async def _connections(services: Services) -> list[_Row]:
    rows = await services.hub.fetch(
        "SELECT c.tenant_id, c.id, c.provider, c.receive_webhooks,"
        " extract(epoch FROM now() - c.created_at)::float8 AS created_s,"
        " c.client_certificate_sha256 AS digests, c.client_certificate_subject AS subject,"
        " extract(epoch FROM now() - s.last_whole_at)::float8 AS last_whole_s,"
        " COALESCE(s.last_error, '') AS last_error FROM connections c LEFT JOIN connection_sweeps s"
        " ON s.tenant_id = c.tenant_id AND s.connection_id = c.id WHERE c.active ORDER BY c.created_at, c.id"
    )
    return [msgspec.convert(dict(row), _Row) for row in rows]


async def _examine_connection(services: Services, row: _Row) -> list[Finding]:
    named = f"{print_id(Kind.CONNECTION, row.id)} ({row.provider})"
    opened = await open_connection(services, row.tenant_id, row.id)
    if isinstance(opened.adapter, InProcess):
        return []
    findings = []
    skew_s = await _provider_skew(services, row.tenant_id, opened)
    if skew_s is not None:
        findings.append(_skew(f"clock against {named}", "the provider's", skew_s))
    findings += await _examine_webhooks(services, row, opened, named)
    findings.append(_examine_sweep(services, row, named))
    return findings


class _Listening:
    """An Exchange that hands everything on and remembers what the provider's clock said."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.skew_s: float | None = None

    async def __call__(self, request: ProviderRequest) -> ProviderResponse:
        response = await self._exchange(request)
        try:
            told = parsedate_to_datetime(response.headers.get("date", ""))
        except ValueError:
            return response
        self.skew_s = (datetime.now(UTC) - told.astimezone(UTC)).total_seconds()
        return response

    async def learned(self, provider_ref: str) -> None:
        await self._exchange.learned(provider_ref)

    async def pause(self, seconds: float) -> None:
        await self._exchange.pause(seconds)


async def _provider_skew(services: Services, tenant_id: UUID, opened: OpenConnection) -> float | None:
    """None when the provider does not answer, or names no time: its credentials are told about elsewhere."""
    heard: list[_Listening] = []

    async def ask(exchange: Exchange) -> None:
        heard.append(_Listening(exchange))
        await opened.adapter.check_credentials(heard[-1], opened.connection)

    await services.executor.run(
        opened.adapter, opened.connection, "doctor", ask, blobs=TenantBlobs(services.blobs, tenant_id)
    )
    return heard[-1].skew_s if heard else None


async def _examine_webhooks(
    services: Services, row: _Row, opened: OpenConnection, named: str
) -> list[Finding]:
    what = f"webhooks of {named}"
    if not row.receive_webhooks:
        return [
            Finding(
                what, ok=True, says="are switched off for this connection; changes are asked for", note=True
            )
        ]
    rules = SenderRules(certificate_sha256=row.digests, certificate_subject=row.subject)
    unmet = [Finding(what, ok=False, says=one) for one in find_rule_problems(services.settings, rules)]
    if unmet or not isinstance(opened.adapter, WebhookAdministration):
        return unmet
    found = await look_at_webhooks(services, row.tenant_id, opened)
    if found is None:
        return [Finding(what, ok=False, says="the provider could not be asked about them; try again later")]
    if not found:
        return [Finding(what, ok=True, says="nothing is wrong with how the provider sends them")]
    by_code = {one.code: one.says for one in reversed(found)}
    counts = {code: sum(one.code == code for one in found) for code in by_code}
    return [
        Finding(
            what, ok=False, says=f"{says} [{code}{f', {counts[code]} times' if counts[code] > 1 else ''}]"
        )
        for code, says in sorted(by_code.items())
    ]


def _examine_sweep(services: Services, row: _Row, named: str) -> Finding:
    what, every_s = f"sweep of {named}", services.settings.sweep.every_s
    if row.last_whole_s is None:
        if row.created_s < 3 * every_s and not row.last_error:
            return Finding(what, ok=True, says="has not been due yet", note=True)
        why = row.last_error or "do a worker and a scheduler run?"
        return Finding(what, ok=False, says=f"the provider's changes were never read to the end: {why}")
    if row.last_whole_s > 3 * every_s:
        why = (
            row.last_error or "do a worker and a scheduler run, or are there more pages than a run may read?"
        )
        return Finding(
            what, ok=False, says=f"the last whole one was {row.last_whole_s / 60:.0f} minutes ago: {why}"
        )
    return Finding(what, ok=True, says=f"the last whole one was {row.last_whole_s / 60:.0f} minutes ago")


async def _examine_drift(services: Services) -> list[Finding]:
    row = await services.hub.fetchrow(
        "SELECT COALESCE(sum(ahead), 0)::bigint AS ahead, COALESCE(sum(contradicting), 0)::bigint AS contradicting,"
        " COALESCE(sum(unknown), 0)::bigint AS unknown, COALESCE(sum(gone), 0)::bigint AS gone,"
        " COALESCE(sum(missed), 0)::bigint AS missed FROM connection_sweeps"
    )
    counts = dict(row or {})
    standing = [
        f"{counts[kind]} {kind}" for kind in ("ahead", "contradicting", "unknown", "gone") if counts[kind]
    ]
    told = f"{counts['missed']} missed webhooks were repaired so far"
    if standing:
        says = f"{', '.join(standing)}; {told}. Read the connections' drift report"
        return [Finding("drift", ok=True, says=says, note=True)]
    return [Finding("drift", ok=True, says=told)]


async def _examine_inbox(services: Services) -> list[Finding]:
    rows = await services.hub.fetch(
        "SELECT state, count(*) AS count FROM inbox_messages WHERE state NOT IN ('done', 'processing') GROUP BY state"
    )
    counts = {str(row["state"]): int(row["count"]) for row in rows}
    lasting = {state: count for state, count in counts.items() if state not in {"received", "parked"}}
    if lasting:
        listed = ", ".join(f"{count} {state}" for state, count in sorted(lasting.items()))
        says = (
            f"{listed}: messages of providers that a person must look at; then `countersign replay inbound`"
        )
        return [Finding("inbox", ok=False, says=says)]
    waiting = (
        f"{counts.get('received', 0)} wait to be processed, {counts.get('parked', 0)} for their envelope"
    )
    return [Finding("inbox", ok=True, says=waiting, note=bool(counts.get("parked")))]


async def _examine_fan_out(services: Services) -> list[Finding]:
    row = await services.hub.fetchrow(
        "SELECT count(*) AS count, COALESCE(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest"
        " FROM outbox_pending"
    )
    count, oldest = (int(row["count"]), float(row["oldest"])) if row else (0, 0.0)
    if oldest > _FANNED_OUT_S:
        says = f"{count} events wait for it, the oldest for {oldest:.0f} s; does a deliverer run?"
        return [Finding("fan-out", ok=False, says=says)]
    return [Finding("fan-out", ok=True, says=f"{count} events wait for it")]


async def _examine_deliveries(services: Services) -> list[Finding]:
    oldest = await services.hub.fetchval(
        "SELECT max(m.waited_s) FROM ready_mailboxes() m WHERE m.active AND NOT EXISTS (SELECT FROM endpoint_health h"
        " WHERE h.endpoint_id = m.endpoint_id AND h.breaker <> 'closed')"
    )
    waited = float(oldest or 0.0)
    if waited > _WAITED_S:
        says = f"the oldest that is due has waited for {waited:.0f} s; does a deliverer run, and does it keep pace?"
        return [Finding("deliveries", ok=False, says=says)]
    exhausted = await services.hub.fetchval("SELECT count(*) FROM deliveries WHERE state = 'exhausted'")
    if exhausted:
        says = f"{exhausted} used up their attempts and are kept; `countersign replay deliveries` sends them again"
        return [Finding("deliveries", ok=True, says=says, note=True)]
    return [
        Finding("deliveries", ok=True, says=f"the oldest that is due has waited for {max(waited, 0):.0f} s")
    ]


async def _examine_endpoints(services: Services) -> list[Finding]:
    """A receiver that is down is its owner's; the installation is well, and somebody should tell them."""
    rows = await services.hub.fetch(
        "SELECT h.endpoint_id, e.url, extract(epoch FROM now() - COALESCE(h.failing_since, h.updated_at))::float8 AS s"
        " FROM endpoint_health h JOIN webhook_endpoints e ON e.id = h.endpoint_id AND e.tenant_id = h.tenant_id"
        " WHERE h.breaker <> 'closed' AND e.active ORDER BY h.failing_since LIMIT 20"
    )
    if not rows:
        return [Finding("endpoints", ok=True, says="none has its circuit breaker open")]
    return [
        Finding(
            f"endpoint {print_id(Kind.ENDPOINT, row['endpoint_id'])}",
            ok=True,
            says=f"{urlsplit(row['url']).netloc} has failed for {row['s'] / 60:.0f} minutes: its breaker is open",
            note=True,
        )
        for row in rows
    ]
