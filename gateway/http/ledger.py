"""The ledger over HTTP: an envelope's events and audit trail, a tenant's chain, and their verification."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import get
from litestar.params import FromPath, FromQuery, QueryParameter

from gateway.envelopes.store import load_envelope
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.services import Services
from gateway.tenants.scopes import Scope
from ledger.chain import Verdict
from ledger.check import check_chain, check_tenant
from ledger.read import ReadEntry, read_chain
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import VOCABULARY

_OPT = {"scope": Scope.AUDIT_READ}
Page = Annotated[int, QueryParameter(ge=1, le=500)]


class ActorView(msgspec.Struct, frozen=True, kw_only=True):
    """Personal values are "[erased]" when their subject's key is gone."""

    type: str
    id: str
    name: str
    email: str
    ip_address: str
    user_agent: str
    credential_id: str


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger entry. `type` is the webhook's name of the same fact, empty when it is not announced."""

    event_id: str
    event_type: str
    type: str
    sequence: int
    resource_type: str
    resource_id: str
    occurred_at: datetime
    recorded_at: datetime
    clock_suspect: bool
    actor: ActorView
    source: str
    provider: str
    request_id: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


class TrailView(msgspec.Struct, frozen=True, kw_only=True):
    """`next_after` continues the list; 0 at the end."""

    chain: str
    entries: tuple[EntryView, ...]
    next_after: int


class AuditTrail(msgspec.Struct, frozen=True, kw_only=True):
    """The entries together with the verification of their chain."""

    envelope_id: str
    generated_at: datetime
    integrity: Verdict
    entries: tuple[EntryView, ...]


@get("/envelopes/{envelope_id:str}/events", opt=_OPT, responses=problems(404))
async def events(
    services: TheServices,
    caller: TheCaller,
    envelope_id: FromPath[str],
    after: FromQuery[int] = 0,
    limit: Page = 100,
) -> TrailView:
    """What has happened to an envelope, in order."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await load_envelope(services.database, caller.tenant_id, own)
    return await _trail(services, caller.tenant_id, f"env:{own}", after, limit)


@get("/envelopes/{envelope_id:str}/audit-trail", opt=_OPT, responses=problems(404))
async def audit_trail(services: TheServices, caller: TheCaller, envelope_id: FromPath[str]) -> AuditTrail:
    """The whole audit trail of an envelope, verified now."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await load_envelope(services.database, caller.tenant_id, own)
    chain = f"env:{own}"
    entries: list[EntryView] = []
    after = 0
    while True:
        page = await _trail(services, caller.tenant_id, chain, after, 500)
        entries.extend(page.entries)
        if not page.next_after:
            break
        after = page.next_after
    return AuditTrail(
        envelope_id=envelope_id,
        generated_at=services.clock.now(),
        integrity=await check_chain(services.database, caller.tenant_id, chain),
        entries=tuple(entries),
    )


@get("/envelopes/{envelope_id:str}/audit-trail/verify", opt=_OPT, responses=problems(404))
async def verify_envelope(services: TheServices, caller: TheCaller, envelope_id: FromPath[str]) -> Verdict:
    """Whether the envelope's chain is whole: every hash, every link, no gap."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    await load_envelope(services.database, caller.tenant_id, own)
    return await check_chain(services.database, caller.tenant_id, f"env:{own}")


@get("/audit/events", opt=_OPT, responses=problems())
async def tenant_events(
    services: TheServices, caller: TheCaller, after: FromQuery[int] = 0, limit: Page = 100
) -> TrailView:
    """The tenant's own chain: keys, connections, endpoints, refusals, uploads."""
    return await _trail(services, caller.tenant_id, f"tenant:{caller.tenant_id}", after, limit)


@get("/audit/verify", opt=_OPT, responses=problems())
async def verify_tenant(services: TheServices, caller: TheCaller) -> Verdict:
    """Whether all chains of the tenant are whole."""
    return await check_tenant(services.database, caller.tenant_id)


async def _trail(services: Services, tenant_id: UUID, chain: str, after: int, limit: int) -> TrailView:
    async with services.database.transaction(tenant_id) as tx:
        entries = await read_chain(tx, services.subjects, tenant_id, chain, after=after, limit=limit)
    return TrailView(
        chain=chain,
        entries=tuple(_view(entry) for entry in entries),
        next_after=entries[-1].seq if len(entries) == limit else 0,
    )


def _view(entry: ReadEntry) -> EntryView:
    return EntryView(
        event_id=print_id(Kind.EVENT, entry.event_id),
        event_type=str(entry.event_type),
        type=str(VOCABULARY[entry.event_type].webhook or ""),
        sequence=entry.seq,
        resource_type=str(entry.resource_type),
        resource_id=entry.resource_id,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        clock_suspect=entry.clock_suspect,
        actor=ActorView(
            type=str(entry.actor.type),
            id=entry.actor.id,
            name=entry.actor.name,
            email=entry.actor.email,
            ip_address=entry.actor.ip_address,
            user_agent=entry.actor.user_agent,
            credential_id=entry.actor.credential_id,
        ),
        source=str(entry.source.kind),
        provider=entry.source.provider,
        request_id=entry.source.request_id,
        details={**entry.facts, **entry.personal},
        previous_hash=entry.prev_hash.hex(),
        hash=entry.hash.hex(),
    )
