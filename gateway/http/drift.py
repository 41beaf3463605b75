"""What the gateway found out by asking providers: the drift report, and whether their webhooks lead here."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery

from adapters.kit.port import WebhookFinding
from gateway.envelopes import drift_report
from gateway.envelopes.drift import DriftKind
from gateway.http.dependencies import TheServices
from gateway.http.openapi import problems
from gateway.tenants import webhook_checks
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, print_id, print_optional_id, read_id

_ADMIN: dict[str, Any] = {"opt": {"scope": Scope.ADMIN}, "responses": problems(404, 422)}
_MOST = 200


class DriftFilter(StrEnum):
    """A kind of finding, or all of them."""

    ALL = ""
    BEHIND = DriftKind.BEHIND.value
    AHEAD = DriftKind.AHEAD.value
    CONTRADICTING = DriftKind.CONTRADICTING.value
    UNKNOWN = DriftKind.UNKNOWN.value
    GONE = DriftKind.GONE.value


class FindingView(drift_report.Divergence, frozen=True, kw_only=True):
    """`envelope_id` null: no envelope of the tenant."""

    id: str
    envelope_id: str | None


class DriftView(msgspec.Struct, frozen=True, kw_only=True):
    summary: drift_report.DriftSummary
    findings: tuple[FindingView, ...]


class WebhookConfigurationView(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` None: it was not looked at yet, or the provider has nothing to look at. `repairs`: how many were made."""

    ok: bool | None
    checked_at: datetime | None
    well_at: datetime | None
    repairs: int
    findings: tuple[WebhookFinding, ...]


@get("/tenants/{tenant_id:str}/connections/{connection_id:str}/drift", **_ADMIN)
async def read_drift(
    services: TheServices,
    tenant_id: FromPath[str],
    connection_id: FromPath[str],
    kind: FromQuery[DriftFilter] = DriftFilter.ALL,
    before: FromQuery[str] = "",
    limit: FromQuery[int] = 100,
) -> DriftView:
    """Where the provider knew otherwise than the gateway did, the newest first, and the sums."""
    tenant, connection = _named(tenant_id, connection_id)
    findings = await drift_report.list_drift(
        services,
        tenant,
        connection,
        kind=kind.value,
        before=read_id(Kind.DRIFT, before) if before else None,
        limit=min(max(limit, 1), _MOST),
    )
    summary = await drift_report.summarize_drift(services, tenant, connection)
    return DriftView(summary=summary, findings=tuple(_finding(one) for one in findings))


@get("/tenants/{tenant_id:str}/connections/{connection_id:str}/webhook-configuration", **_ADMIN)
async def read_webhook_configuration(
    services: TheServices, tenant_id: FromPath[str], connection_id: FromPath[str]
) -> WebhookConfigurationView:
    """What the last look at the provider's webhook configuration found."""
    return _checked(await webhook_checks.read_check(services, *_named(tenant_id, connection_id)))


@post(
    "/tenants/{tenant_id:str}/connections/{connection_id:str}/webhook-configuration/check",
    status_code=200,
    **_ADMIN,
)
async def check_webhook_configuration(
    services: TheServices, tenant_id: FromPath[str], connection_id: FromPath[str]
) -> WebhookConfigurationView:
    """Look at the provider's webhook configuration now, and mend it where the settings say so."""
    tenant, connection = _named(tenant_id, connection_id)
    await webhook_checks.check_connection_webhooks(services, tenant, connection)
    return _checked(await webhook_checks.read_check(services, tenant, connection))


def _named(tenant_id: str, connection_id: str) -> tuple[UUID, UUID]:
    return read_id(Kind.TENANT, tenant_id), read_id(Kind.CONNECTION, connection_id)


def _finding(one: drift_report.DriftFinding) -> FindingView:
    printed = print_optional_id(Kind.ENVELOPE, one.envelope_id)
    return FindingView(
        **msgspec.structs.asdict(one) | {"id": print_id(Kind.DRIFT, one.id), "envelope_id": printed}
    )


def _checked(check: webhook_checks.WebhookCheck) -> WebhookConfigurationView:
    return WebhookConfigurationView(
        ok=None if check.checked_at is None else not check.findings,
        checked_at=check.checked_at,
        well_at=check.well_at,
        repairs=check.repairs,
        findings=check.findings,
    )
