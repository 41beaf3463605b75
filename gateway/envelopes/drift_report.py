"""The drift report of a connection: what a provider knew otherwise than we did, what was done, and the sums."""

from datetime import datetime
from uuid import UUID

import msgspec

from gateway.services import Services
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """`webhook`: whether the provider's own message came after all ("late"), did not ("missed"), may still
    ("awaited"), or is not to be expected ("").
    """

    provider_ref: str
    kind: str
    ours: str
    theirs: str
    found_by: str
    done: str
    webhook: str
    changed_at: datetime | None
    found_at: datetime
    seen_at: datetime
    times: int


class DriftFinding(Divergence, frozen=True, kw_only=True):
    """`envelope_id` None: no envelope of the tenant."""

    id: UUID
    envelope_id: UUID | None


class DriftSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Sums since the connection was made. `repaired`: envelopes that were moved; of those `missed_webhooks` had no
    message of the provider's own, and `late_webhooks` had one later. `stale`: open envelopes that were neither heard
    of nor asked about in due time. `last_whole_at`: when the provider's list was last read to its end.
    """

    repaired: int = 0
    missed_webhooks: int = 0
    late_webhooks: int = 0
    ahead: int = 0
    contradicting: int = 0
    unknown: int = 0
    gone: int = 0
    stale: int = 0
    walks: int = 0
    calls: int = 0
    seen: int = 0
    last_run_at: datetime | None = None
    last_whole_at: datetime | None = None
    last_error: str = ""
    refused_since: datetime | None = None


async def list_drift(
    services: Services,
    tenant_id: UUID,
    connection_id: UUID,
    *,
    kind: str = "",
    before: UUID | None,
    limit: int,
) -> list[DriftFinding]:
    """Newest first; `before` is the last id of the page before. Raises NotFound for the connection."""
    await _require_connection(services, tenant_id, connection_id)
    rows = await services.hub.fetch(
        "SELECT id, envelope_id, provider_ref, kind, ours, theirs, found_by, done, webhook, changed_at, found_at,"
        " seen_at, times FROM drift_findings WHERE tenant_id = $1 AND connection_id = $2"
        " AND ($3 = '' OR kind = $3) AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
        tenant_id,
        connection_id,
        kind,
        before,
        limit,
    )
    return [msgspec.convert(dict(row), DriftFinding) for row in rows]


async def summarize_drift(services: Services, tenant_id: UUID, connection_id: UUID) -> DriftSummary:
    """Raises NotFound for the connection."""
    await _require_connection(services, tenant_id, connection_id)
    row = await services.hub.fetchrow(
        "SELECT behind AS repaired, missed AS missed_webhooks, late AS late_webhooks, ahead, contradicting, unknown,"
        " gone, walks, calls, seen, last_run_at, last_whole_at, last_error, refused_since FROM connection_sweeps"
        " WHERE tenant_id = $1 AND connection_id = $2",
        tenant_id,
        connection_id,
    )
    stale = await services.hub.fetchval(
        "SELECT count(*) FROM envelopes WHERE dispatch_state = 'settled' AND provider_ref IS NOT NULL"
        " AND status IN ('processing', 'sent', 'delivered', 'signed')"
        " AND GREATEST(next_lookup_at, updated_at) <= now() - make_interval(secs => $3)"
        " AND tenant_id = $1 AND connection_id = $2",
        tenant_id,
        connection_id,
        2 * services.settings.dispatch.catch_up_after_s,
    )
    return msgspec.convert({**dict(row or {}), "stale": stale}, DriftSummary)


async def _require_connection(services: Services, tenant_id: UUID, connection_id: UUID) -> None:
    is_there = await services.hub.fetchval(
        "SELECT EXISTS (SELECT FROM connections WHERE tenant_id = $1 AND id = $2)", tenant_id, connection_id
    )
    if not is_there:
        raise NotFound("connection", print_id(Kind.CONNECTION, connection_id))
