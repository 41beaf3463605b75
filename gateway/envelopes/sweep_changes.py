"""Asks each connection's provider what has changed, by one list, and mends what no webhook has told.

One worker at a time walks a connection, page by page, under a lease; a walk that is stopped goes on where it was. A
page costs one call for many envelopes. One envelope is read by itself only where the list's row does not say
enough, and only as often as the provider tolerates. A change that is younger than the grace is left to its webhook.
Must never hold a transaction while the provider is asked.
Source: the providers' rules on polling; docs/pitfalls.md rows 5 and 41.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import msgspec

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import AuthFailed, Done, Outcome, Rejected, Throttled
from adapters.kit.port import ChangePage, InProcess
from config.errors import StoreUnavailable
from config.logging import log_wide
from gateway.envelopes.drift import (
    Drift,
    DriftKind,
    FoundBy,
    apply_seen,
    is_too_thin,
    newest_moment,
    note_stranger,
    would_move,
)
from gateway.envelopes.look import look
from gateway.envelopes.outgoing import epoch_of_reference
from gateway.envelopes.problems import refusal_error
from gateway.envelopes.references import envelope_of_reference
from gateway.envelopes.store import load_envelope
from gateway.services import Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.connection_cache import OpenConnection
from gateway.tenants.open_connection import open_connection
from gateway.tenants.refused_credentials import note_use
from normalizer.envelope import EnvelopeReport
from normalizer.status import EnvelopeStatus

logger = logging.getLogger("countersign.envelopes")

_AT_ONCE = 4
_SHORTEST_S = 1.0


class _Claimed(msgspec.Struct, frozen=True):
    tenant_id: UUID
    connection_id: UUID
    since: datetime
    page_cursor: str


class _Matched(msgspec.Struct, frozen=True):
    id: UUID
    status: EnvelopeStatus


def swept_providers(services: Services) -> list[str]:
    """Those that can be asked: what runs in this process tells everything in its own transactions."""
    return [name for name, adapter in services.adapters.items() if not isinstance(adapter, InProcess)]


async def sweep_changes_due(services: Services, at_most: int = 20) -> int:
    """Walks every connection that is due, over all tenants; how many there were."""
    claim, settings = services.ids.new(), services.settings.sweep
    rows = await services.hub.fetch(
        "SELECT * FROM claim_sweeps($1, $2, $3, $4, $5)",
        claim,
        at_most,
        settings.lease_s,
        settings.look_back_s,
        swept_providers(services),
    )
    gate = asyncio.Semaphore(_AT_ONCE)

    async def walk(claimed: _Claimed) -> None:
        async with gate:
            try:
                await _walk(services, claim, claimed)
            except StoreUnavailable:
                logger.warning("a walk was given up: the store is away")  # its lease runs out
            except Exception as error:  # one connection must not keep the others from being asked
                logger.exception("a connection could not be swept")
                await _end(services, claim, claimed, f"It failed with {type(error).__name__}.")

    await asyncio.gather(*(walk(msgspec.convert(dict(row), _Claimed)) for row in rows))
    await services.hub.fetch("SELECT * FROM judge_drift($1)", 1000)
    return len(rows)


async def _walk(services: Services, claim: UUID, claimed: _Claimed) -> None:
    opened = await open_connection(services, claimed.tenant_id, claimed.connection_id)
    cursor, calls, repaired = claimed.page_cursor, 0, 0
    while calls < services.settings.sweep.pages:
        outcome = await _list(services, claimed, opened, cursor)
        calls += 1
        if not isinstance(outcome, Done):
            await _end_refused(services, claim, claimed, opened, outcome)
            return
        page = outcome.value
        repaired += await _take_page(services, claimed, opened, page)
        if page.cursor == cursor != "":
            await _end(services, claim, claimed, "The provider's list does not go on.", restart=True)
            return
        cursor = page.cursor
        if not await _keep(services, claim, claimed, page):
            return  # somebody else has the connection now, or its walk begins anew
        if not cursor:
            break
    await _end(services, claim, claimed, "")
    log_wide(
        "connection.swept",
        level=logging.INFO if repaired else logging.DEBUG,
        provider=opened.adapter.name,
        connection_id=str(claimed.connection_id),
        calls=calls,
        repaired=repaired,
        is_whole=not cursor,
    )


async def _list(
    services: Services, claimed: _Claimed, opened: OpenConnection, cursor: str
) -> Outcome[ChangePage]:
    adapter, connection = opened.adapter, opened.connection

    async def list_changes(exchange: Exchange) -> ChangePage:
        return await adapter.list_changes(exchange, connection, claimed.since, cursor)

    return await services.executor.run(
        adapter,
        connection,
        "list_changes",
        list_changes,
        blobs=TenantBlobs(services.blobs, claimed.tenant_id),
    )


async def _take_page(services: Services, claimed: _Claimed, opened: OpenConnection, page: ChangePage) -> int:
    """How many envelopes were moved."""
    known = await _match(services, claimed, page)
    repaired = 0
    strangers: list[EnvelopeReport] = []
    for report in page.reports:
        ours = known.get(report.provider_ref)
        if ours is None:
            strangers.append(report)
        elif not (ours.status.is_terminal and ours.status is report.status):
            kind = await _examine(services, claimed, opened, ours.id, report)
            repaired += kind is DriftKind.BEHIND
    await _take_strangers(services, claimed, strangers)
    return repaired


async def _match(services: Services, claimed: _Claimed, page: ChangePage) -> Mapping[str, _Matched]:
    async with services.database.transaction(claimed.tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT provider_ref, id, status FROM envelopes WHERE tenant_id = $1 AND connection_id = $2"
            " AND provider_ref = ANY($3)",
            claimed.tenant_id,
            claimed.connection_id,
            [report.provider_ref for report in page.reports],
        )
    return {row["provider_ref"]: _Matched(row["id"], EnvelopeStatus(row["status"])) for row in rows}


async def _examine(
    services: Services, claimed: _Claimed, opened: OpenConnection, envelope_id: UUID, report: EnvelopeReport
) -> DriftKind | None:
    envelope = await load_envelope(services.database, claimed.tenant_id, envelope_id)
    is_thin = is_too_thin(envelope, report)
    if (is_thin or would_move(envelope, report)) and _is_left_to_webhook(services, opened, report):
        return None  # a look now would use up the interval that the webhook's own confirmation needs
    apply = partial(
        apply_seen,
        services,
        claimed.tenant_id,
        envelope_id,
        expects_webhooks=bool(opened.connection.webhook_url),
    )
    if not is_thin:
        return await apply(report, FoundBy.LIST)
    async with look(services, envelope) as outcome:
        # Without an answer the next walk asks again.
        return await apply(outcome.value, FoundBy.READ) if isinstance(outcome, Done) else None


def _is_left_to_webhook(services: Services, opened: OpenConnection, report: EnvelopeReport) -> bool:
    changed_at = newest_moment(report)
    if not opened.connection.webhook_url or changed_at is None:
        return False
    return services.clock.now() - changed_at < timedelta(seconds=services.settings.sweep.grace_s)


async def _take_strangers(services: Services, claimed: _Claimed, reports: list[EnvelopeReport]) -> None:
    """Envelopes at the provider that are none of ours by id: others' work, a late twin, or one that we lost."""
    ours = {report.provider_ref: envelope_of_reference(report.reference) for report in reports}
    wanted = [own for own in ours.values() if own is not None]
    if not wanted:
        return
    rows = await services.hub.fetch(
        "SELECT e.id, e.tenant_id FROM envelopes e WHERE e.id = ANY($1) AND e.tenant_id IN"
        " (SELECT c.tenant_id FROM connections c WHERE c.provider ="
        "  (SELECT o.provider FROM connections o WHERE o.tenant_id = $2 AND o.id = $3))",
        wanted,
        claimed.tenant_id,
        claimed.connection_id,
    )
    owners = {row["id"]: row["tenant_id"] for row in rows}
    for report in reports:
        own = ours[report.provider_ref]
        if own is None or (own in owners and owners[own] != claimed.tenant_id):
            continue
        if own in owners:
            if not report.status.is_terminal:
                await _note_twin(services, claimed, own, report)
            continue
        await note_stranger(
            services,
            claimed.tenant_id,
            Drift(
                connection_id=claimed.connection_id,
                envelope_id=None,
                provider_ref=report.provider_ref,
                kind=DriftKind.UNKNOWN,
                ours="",
                theirs=f"{report.status} {report.reference}",
                found_by=FoundBy.LIST,
                changed_at=newest_moment(report),
            ),
        )


async def _note_twin(services: Services, claimed: _Claimed, own: UUID, report: EnvelopeReport) -> None:
    """Another try of an envelope that has been settled since: the reconcile sweep clears away what it made."""
    await services.database.fetchval(
        "SELECT note_twin($1, $2, $3, $4, $5)",
        claimed.tenant_id,
        own,
        claimed.connection_id,
        epoch_of_reference(report.reference),
        report.provider_ref,
    )


async def _keep(services: Services, claim: UUID, claimed: _Claimed, page: ChangePage) -> bool:
    kept: bool = await services.hub.fetchval(
        "SELECT keep_page($1, $2, $3, $4, $5, $6)",
        claim,
        claimed.tenant_id,
        claimed.connection_id,
        page.cursor,
        len(page.reports),
        services.settings.sweep.lease_s,
    )
    return kept


async def _end_refused(
    services: Services,
    claim: UUID,
    claimed: _Claimed,
    opened: OpenConnection,
    outcome: Outcome[ChangePage],
) -> None:
    """Throttled: not before the provider says. A page that it refuses may be too old: the walk begins anew."""
    assert not isinstance(outcome, Done)  # noqa: S101 - told apart by the caller
    error = refusal_error(opened.adapter.name, outcome)
    if isinstance(outcome, AuthFailed):
        await note_use(services, claimed.tenant_id, claimed.connection_id, refused=error.detail)
    await _end(
        services,
        claim,
        claimed,
        f"{error.detail.rstrip('.')}. {error.remedy}".strip(),
        due_in_s=outcome.retry_after_s if isinstance(outcome, Throttled) else None,
        restart=isinstance(outcome, Rejected) and bool(claimed.page_cursor),
    )


async def _end(
    services: Services,
    claim: UUID,
    claimed: _Claimed,
    why: str,
    *,
    due_in_s: float | None = None,
    restart: bool = False,
) -> None:
    settings = services.settings.sweep
    await services.hub.fetchval(
        "SELECT end_sweep($1, $2, $3, $4, $5, $6, $7)",
        claim,
        claimed.tenant_id,
        claimed.connection_id,
        max(_SHORTEST_S, settings.every_s, due_in_s or 0.0),
        # Whatever is left to its webhook must still be in the next list.
        max(settings.overlap_s, 2 * settings.grace_s),
        why,
        restart,
    )
