"""Looks at how providers are told to send us their webhooks, mends it, and raises the alarm once.

A provider that gave up on us, or whose configuration somebody changed, tells nobody: it is asked, every hour. After
a repair the sweep over changes (gateway/envelopes/sweep_changes.py) reads what was missed meanwhile. What is off again
within three days of being switched on is left off: providers give up later than that, so a person did it. Must never
touch what leads to others, and never hold a transaction while the provider is asked.
Source: docs/pitfalls.md rows 11 and 38.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import AuthFailed, Done, NotSent, Throttled, Unknown
from adapters.kit.port import WebhookAdministration, WebhookFinding
from config.errors import StoreUnavailable
from gateway.envelopes.problems import refusal_error
from gateway.services import Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.connection_cache import OpenConnection
from gateway.tenants.open_connection import open_connection
from gateway.tenants.refused_credentials import note_use
from normalizer.canonical import Json
from normalizer.errors import NotFound, UnsupportedFeature
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.connections")

# Newest first: what is older than the newest thousand is found by reading it (gateway/envelopes/catch_up.py).
_MOST_OPEN = 1000
_CANNOT_LOOK, _REFUSED = "unchecked", "refused"
_INACTIVE, _LEFT_OFF = "inactive", "switched_off"
# The shortest time after which a provider switches off what is not answered (docs/pitfalls.md row 38).
_GIVEN_UP_AFTER = timedelta(hours=72)
_LEFT_OFF_WORDS = (
    "A webhook that the gateway had switched on is off again, sooner than the provider gives one up: somebody switched"
    " it off, so it is left off, and nothing of it arrives. Switch it on at the provider; or, if no webhooks are"
    " wanted, set receive_webhooks to false for this connection, and changes are asked for."
)


class WebhookCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The last look: when, when nothing was wrong last, repairs since ever, and what is wrong."""

    checked_at: datetime | None
    well_at: datetime | None
    repairs: int
    findings: tuple[WebhookFinding, ...]


def checked_providers(services: Services) -> list[str]:
    return [name for name, adapter in services.adapters.items() if isinstance(adapter, WebhookAdministration)]


async def check_webhooks_due(services: Services, at_most: int = 20) -> int:
    """Looks at every connection that is due, over all tenants; how many there were."""
    rows = await services.hub.fetch(
        "SELECT * FROM claim_webhook_checks($1, $2, $3)",
        at_most,
        services.settings.sweep.webhooks_every_s,
        checked_providers(services),
    )
    for row in rows:
        try:
            await check_connection_webhooks(services, row["tenant_id"], row["connection_id"])
        except StoreUnavailable:
            raise
        except Exception:  # one connection must not keep the others from being looked at
            logger.exception("a webhook configuration could not be looked at")
    return len(rows)


async def check_connection_webhooks(
    services: Services, tenant_id: UUID, connection_id: UUID
) -> tuple[WebhookFinding, ...]:
    """Looks, mends what the settings let it, records what is new, and returns what is still wrong.

    Raises NotFound; UnsupportedFeature for a provider whose configuration cannot be looked at.
    """
    opened = await open_connection(services, tenant_id, connection_id)
    found = await look_at_webhooks(services, tenant_id, opened)
    if found is None:
        return ()
    for one in found:
        if one.code == _REFUSED:
            await note_use(services, tenant_id, connection_id, refused=one.says)
    repaired: tuple[WebhookFinding, ...] = ()
    if services.settings.sweep.repair_webhooks and any(one.repairable for one in found):
        repaired = await _repair(services, tenant_id, opened, found)
    left = tuple(one for one in found if one not in repaired)
    await _keep(services, tenant_id, connection_id, left, repaired)
    return left


async def look_at_webhooks(
    services: Services, tenant_id: UUID, opened: OpenConnection
) -> tuple[WebhookFinding, ...] | None:
    """What is wrong now; None when the provider could not be asked, which another look may. Changes nothing.

    Raises UnsupportedFeature for a provider whose configuration cannot be looked at.
    """
    adapter, connection = opened.adapter, opened.connection
    if not isinstance(adapter, WebhookAdministration):
        raise UnsupportedFeature(opened.adapter.name, "a look at the webhook configuration")
    administration: WebhookAdministration = adapter
    if not connection.webhook_url:
        return ()
    open_refs = await _open_refs(services, tenant_id, UUID(connection.id))

    async def check(exchange: Exchange) -> tuple[WebhookFinding, ...]:
        return await administration.check_webhooks(exchange, connection, open_refs)

    outcome = await services.executor.run(
        opened.adapter,
        connection,
        "check_webhooks",
        check,
        blobs=TenantBlobs(services.blobs, tenant_id),
    )
    if isinstance(outcome, Done):
        return await _leave_off(services, tenant_id, UUID(connection.id), outcome.value)
    if isinstance(outcome, NotSent | Throttled | Unknown):
        return None
    error = refusal_error(opened.adapter.name, outcome)
    code = _REFUSED if isinstance(outcome, AuthFailed) else _CANNOT_LOOK
    says = f"The webhook configuration cannot be looked at: {error.detail} {error.remedy}".strip()
    return (WebhookFinding(code=code, says=says),)


async def _leave_off(
    services: Services, tenant_id: UUID, connection_id: UUID, found: tuple[WebhookFinding, ...]
) -> tuple[WebhookFinding, ...]:
    """What somebody switched off after the gateway had switched it on is told, and not to be mended."""
    if not any(one.code == _INACTIVE for one in found):
        return found
    rows = await services.hub.fetch(
        "SELECT o.key FROM connection_sweeps s, jsonb_each_text(s.switched_on) o"
        " WHERE s.tenant_id = $1 AND s.connection_id = $2 AND o.value::timestamptz > now() - $3::interval",
        tenant_id,
        connection_id,
        _GIVEN_UP_AFTER,
    )
    overruled = {row["key"] for row in rows}
    return tuple(
        msgspec.structs.replace(one, code=_LEFT_OFF, says=_LEFT_OFF_WORDS, repairable=False)
        if one.code == _INACTIVE and one.ref in overruled
        else one
        for one in found
    )


async def read_check(services: Services, tenant_id: UUID, connection_id: UUID) -> WebhookCheck:
    """What the last look found. Raises NotFound for the connection."""
    row = await services.hub.fetchrow(
        "SELECT s.webhooks_checked_at, s.webhooks_well_at, COALESCE(s.webhook_repairs, 0) AS repairs,"
        " COALESCE(s.webhooks, '[]') AS webhooks FROM connections c LEFT JOIN connection_sweeps s"
        " ON s.tenant_id = c.tenant_id AND s.connection_id = c.id WHERE c.tenant_id = $1 AND c.id = $2",
        tenant_id,
        connection_id,
    )
    if row is None:
        raise NotFound("connection", print_id(Kind.CONNECTION, connection_id))
    return WebhookCheck(
        checked_at=row["webhooks_checked_at"],
        well_at=row["webhooks_well_at"],
        repairs=row["repairs"],
        findings=msgspec.json.decode(row["webhooks"], type=tuple[WebhookFinding, ...]),
    )


async def _open_refs(services: Services, tenant_id: UUID, connection_id: UUID) -> tuple[str, ...]:
    async with services.database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT provider_ref FROM envelopes WHERE tenant_id = $1 AND connection_id = $2"
            " AND provider_ref IS NOT NULL AND dispatch_state = 'settled'"
            " AND status IN ('processing', 'sent', 'delivered', 'signed') ORDER BY created_at DESC LIMIT $3",
            tenant_id,
            connection_id,
            _MOST_OPEN,
        )
    return tuple(row["provider_ref"] for row in rows)


async def _repair(
    services: Services, tenant_id: UUID, opened: OpenConnection, found: Sequence[WebhookFinding]
) -> tuple[WebhookFinding, ...]:
    adapter, connection = opened.adapter, opened.connection
    if not isinstance(adapter, WebhookAdministration):
        return ()
    administration: WebhookAdministration = adapter

    async def repair(exchange: Exchange) -> tuple[WebhookFinding, ...]:
        return await administration.repair_webhooks(exchange, connection, found)

    outcome = await services.executor.run(
        opened.adapter,
        connection,
        "repair_webhooks",
        repair,
        blobs=TenantBlobs(services.blobs, tenant_id),
    )
    return outcome.value if isinstance(outcome, Done) else ()


async def _keep(
    services: Services,
    tenant_id: UUID,
    connection_id: UUID,
    left: Sequence[WebhookFinding],
    repaired: Sequence[WebhookFinding],
) -> None:
    before = {one.code for one in (await read_check(services, tenant_id, connection_id)).findings}
    # That the credentials are refused is told as such (refused_credentials.py).
    alarming = [one for one in left if one.code not in before | {_REFUSED}]
    async with services.hub.transaction() as tx:
        await tx.driver.execute(
            "INSERT INTO connection_sweeps (tenant_id, connection_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            tenant_id,
            connection_id,
        )
        await tx.driver.execute(
            "SELECT keep_webhook_check($1, $2, $3::jsonb, $4, $5, $6, $7)",
            tenant_id,
            connection_id,
            msgspec.json.encode(left).decode(),
            len(repaired),
            services.settings.sweep.overlap_s,
            _refs(repaired, _INACTIVE) + _refs(left, _LEFT_OFF),
            _GIVEN_UP_AFTER.total_seconds(),
        )
        events = [
            _event(services, kind, tenant_id, connection_id, told)
            for kind, told in (
                (LedgerType.PROVIDER_WEBHOOKS_REPAIRED, repaired),
                (LedgerType.PROVIDER_WEBHOOKS_BROKEN, alarming),
            )
            if told
        ]
        await services.recorder.record(tx, events)
        await tx.commit()
    for one in (*repaired, *alarming):
        logger.warning(
            "connection.webhooks",
            extra={
                "wide": {
                    "connection_id": print_id(Kind.CONNECTION, connection_id),
                    "code": one.code,
                    "repaired": one in repaired,
                }
            },
        )


def _refs(findings: Sequence[WebhookFinding], code: str) -> list[str]:
    return sorted({one.ref for one in findings if one.code == code and one.ref})


def _event(
    services: Services,
    kind: LedgerType,
    tenant_id: UUID,
    connection_id: UUID,
    findings: Sequence[WebhookFinding],
) -> Event:
    told: list[Json] = [{"code": one.code, "says": one.says[:300], "ref": one.ref[:100]} for one in findings]
    return Event(
        id=services.ids.new(),
        type=kind,
        tenant_id=tenant_id,
        envelope_id=None,
        resource_type=ResourceType.CONNECTION,
        resource_id=print_id(Kind.CONNECTION, connection_id),
        occurred_at=services.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts={"findings": tuple(told[:20]), "count": len(told)},
    )
