"""Finds out what became of a dispatch that nobody answered, and goes on from there.

Look up by our reference at growing intervals. Found: adopt it. Not found after the last look-up: make a draft
under a new reference, look up once more, and only then send. Two drafts: the lowest id stays, the other is
discarded. Must never send an envelope while an earlier try of it may still surface unseen.
Source: the design's rule for ambiguous creates, docs/life-of-an-envelope.md.
"""

from datetime import timedelta
from uuid import UUID

import msgspec

from adapters.kit.outcome import Done, Rejected
from adapters.kit.port import SendMode
from config.database import Transaction
from gateway.envelopes.apply_report import apply_report
from gateway.envelopes.dispatch import Plan, Route, carry_out, choose_route, pin_route
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.outgoing import client_reference
from gateway.envelopes.provider_call import call_provider
from gateway.envelopes.store import change_envelope, load_envelope, lock_envelope
from gateway.routing.policy import Candidate, ConnectionSummary
from gateway.services import Caller, Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.open_connection import open_connection
from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport
from normalizer.events import SYSTEM, Source, SourceKind
from normalizer.status import EnvelopeStatus
from normalizer.vocabulary import LedgerType

# After this many tries at the provider the envelope fails: a person must look.
MAX_ATTEMPTS = 4
_LEASE_S = 120.0
_SOURCE = Source(kind=SourceKind.RECONCILE)


async def reconcile_due(services: Services, at_most: int = 20) -> int:
    """Looks into every dispatch that is due, over all tenants; how many there were."""
    rows = await services.hub.fetch("SELECT * FROM claim_unsettled($1, $2)", at_most, _LEASE_S)
    for row in rows:
        await reconcile_envelope(services, row["tenant_id"], row["envelope_id"])
    return len(rows)


async def reconcile_envelope(services: Services, tenant_id: UUID, envelope_id: UUID) -> None:
    """One look-up, and what follows from it. Safe to call at any time and by several workers."""
    envelope = await load_envelope(services.database, tenant_id, envelope_id)
    if envelope.dispatch_state == DispatchState.CREATING:
        envelope = await _abandon(services, envelope)
    if envelope.dispatch_state != DispatchState.UNKNOWN:
        return
    found = await _find(services, envelope)
    if found is None:
        await _look_again(services, envelope, empty=False)
        return
    live = [report for report in found if report.status is not EnvelopeStatus.DRAFT]
    drafts = sorted(
        (report for report in found if report.status is EnvelopeStatus.DRAFT),
        key=lambda one: one.provider_ref,
    )
    if live:
        await _adopt(services, envelope, live[0], drafts)
    elif drafts:
        await _send_draft(services, envelope, drafts)
    elif envelope.lookups + 1 < len(services.settings.dispatch.look_up_delays_s):
        await _look_again(services, envelope, empty=True)
    else:
        await _try_anew(services, envelope)


async def _abandon(services: Services, envelope: StoredEnvelope) -> StoredEnvelope:
    """A dispatch whose process died is unknown, as one whose answer was lost."""
    async with services.database.transaction(envelope.tenant_id) as tx:
        locked = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if (
            locked.dispatch_state != DispatchState.CREATING
            or locked.dispatch_epoch != envelope.dispatch_epoch
        ):
            return locked
        await change_envelope(
            tx, envelope.tenant_id, envelope.id, {"dispatch_state": DispatchState.UNKNOWN, "lookups": 0}
        )
        facts: dict[str, Json] = {"attempt": locked.dispatch_epoch, "code": "dispatch_abandoned"}
        event = envelope_event(services, LedgerType.DISPATCH_UNKNOWN, locked, SYSTEM, _SOURCE, facts=facts)
        await services.recorder.record(tx, [event])
        await tx.commit()
    return msgspec.structs.replace(locked, dispatch_state=DispatchState.UNKNOWN, lookups=0)


async def _find(services: Services, envelope: StoredEnvelope) -> tuple[EnvelopeReport, ...] | None:
    """Everything at the provider under any of this envelope's references; None when it could not be asked."""
    if envelope.connection_id is None:
        return ()
    opened = await open_connection(services, envelope.tenant_id, envelope.connection_id)
    adapter, connection = opened.adapter, opened.connection
    since = envelope.created_at - timedelta(hours=1)
    found: dict[str, EnvelopeReport] = {}
    for epoch in range(1, envelope.dispatch_epoch + 1):
        reference = client_reference(envelope, epoch)
        outcome = await services.executor.run(
            adapter,
            connection,
            "find_envelopes",
            lambda exchange, reference=reference: adapter.find_envelopes(  # type: ignore[misc]  # the default binds
                exchange, connection, reference, since
            ),
            blobs=TenantBlobs(services.blobs, envelope.tenant_id),
        )
        if not isinstance(outcome, Done):
            return None
        found |= {report.provider_ref: report for report in outcome.value}
    return tuple(found.values())


async def _adopt(
    services: Services, envelope: StoredEnvelope, report: EnvelopeReport, drafts: list[EnvelopeReport]
) -> None:
    for draft in drafts:
        await _discard(services, envelope, draft.provider_ref)
    async with services.database.transaction(envelope.tenant_id) as tx:
        locked = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if locked.dispatch_state != DispatchState.UNKNOWN:
            return
        await _settle(services, tx, locked, report)
        await tx.commit()


async def _settle(
    services: Services, tx: Transaction, locked: StoredEnvelope, report: EnvelopeReport
) -> None:
    await change_envelope(
        tx,
        locked.tenant_id,
        locked.id,
        {
            "dispatch_state": DispatchState.SETTLED,
            "provider_ref": report.provider_ref,
            "next_lookup_at": None,
            "last_error": None,
        },
    )
    facts: dict[str, Json] = {
        "provider_ref": report.provider_ref,
        "by": "look-up",
        "attempt": locked.dispatch_epoch,
    }
    event = envelope_event(services, LedgerType.DISPATCH_RECONCILED, locked, SYSTEM, _SOURCE, facts=facts)
    await apply_report(services, tx, locked, report, SYSTEM, _SOURCE, extra=[event])


async def _send_draft(services: Services, envelope: StoredEnvelope, drafts: list[EnvelopeReport]) -> None:
    keep, *others = drafts
    for other in others:
        await _discard(services, envelope, other.provider_ref)
    pinned = msgspec.structs.replace(envelope, provider_ref=keep.provider_ref)
    outcome = await call_provider(
        services,
        pinned,
        "send_draft",
        lambda adapter, exchange, connection, ref: adapter.send_draft(exchange, connection, ref),
    )
    if isinstance(outcome, Done):
        await _adopt(services, envelope, outcome.value, [])
        return
    if isinstance(outcome, Rejected) and outcome.code == "draft_incomplete":
        # Interrupted between its steps, it can never be sent: out of the way, so that a look-up finds nothing.
        await _discard(services, envelope, keep.provider_ref)
    await _look_again(services, envelope, empty=False)


async def _discard(services: Services, envelope: StoredEnvelope, provider_ref: str) -> None:
    """Best effort: a draft that stays behind was never seen by anybody, and the next look-up tries again."""
    orphan = msgspec.structs.replace(envelope, provider_ref=provider_ref)
    await call_provider(
        services,
        orphan,
        "discard_draft",
        lambda adapter, exchange, connection, ref: adapter.discard_draft(exchange, connection, ref),
    )


async def _look_again(services: Services, envelope: StoredEnvelope, *, empty: bool) -> None:
    delays = services.settings.dispatch.look_up_delays_s
    lookups = envelope.lookups + 1 if empty else envelope.lookups
    delay = delays[min(lookups, len(delays) - 1)]
    await services.database.execute(
        "SELECT postpone_lookup($1, $2, $3, $4, $5)",
        envelope.tenant_id,
        envelope.id,
        envelope.dispatch_epoch,
        lookups,
        delay,
    )


async def _try_anew(services: Services, envelope: StoredEnvelope) -> None:
    """The quiet period is over and nothing surfaced: a draft first, so that a late twin is never mailed."""
    if envelope.dispatch_epoch >= MAX_ATTEMPTS:
        await _give_up(services, envelope)
        return
    route = await _same_route(services, envelope)
    async with services.database.transaction(envelope.tenant_id) as tx:
        locked = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if locked.dispatch_state != DispatchState.UNKNOWN or locked.version != envelope.version:
            return
        plan, event = await pin_route(services, tx, _caller(envelope), locked, route, SendMode.DRAFT)
        await services.recorder.record(tx, [event])
        await tx.commit()
    await _create_draft_then_send(services, plan)


async def _create_draft_then_send(services: Services, plan: Plan) -> None:
    caller = _caller(plan.envelope)
    settled = await carry_out(services, caller, plan)
    if settled.problem is not None or settled.status is not EnvelopeStatus.PROCESSING:
        return
    envelope = await load_envelope(services.database, plan.envelope.tenant_id, plan.envelope.id)
    if envelope.dispatch_state != DispatchState.SETTLED or envelope.provider_ref is None:
        return
    # From here the draft exists: the same look-up that found nothing decides which one is sent.
    async with services.database.transaction(envelope.tenant_id) as tx:
        await lock_envelope(tx, envelope.tenant_id, envelope.id)
        await change_envelope(
            tx,
            envelope.tenant_id,
            envelope.id,
            {"dispatch_state": DispatchState.UNKNOWN, "lookups": 0, "next_lookup_at": services.clock.now()},
        )
        await tx.commit()
    await reconcile_envelope(services, envelope.tenant_id, envelope.id)


async def _give_up(services: Services, envelope: StoredEnvelope) -> None:
    async with services.database.transaction(envelope.tenant_id) as tx:
        locked = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if locked.dispatch_state != DispatchState.UNKNOWN:
            return
        await change_envelope(
            tx,
            envelope.tenant_id,
            envelope.id,
            {"dispatch_state": DispatchState.SETTLED, "next_lookup_at": None},
        )
        report = EnvelopeReport(
            provider_ref="",
            status=EnvelopeStatus.FAILED,
            provider_status="",
            reason=f"No answer from the provider in {MAX_ATTEMPTS} tries.",
        )
        await apply_report(services, tx, locked, report, SYSTEM, _SOURCE)
        await tx.commit()


async def _same_route(services: Services, envelope: StoredEnvelope) -> Route:
    """A try after Unknown stays on the pinned connection: elsewhere, the first could not be seen."""
    assert envelope.connection_id is not None  # noqa: S101 - pinned before anything was sent
    opened = await open_connection(services, envelope.tenant_id, envelope.connection_id)
    summary = ConnectionSummary(
        id=envelope.connection_id,
        provider=opened.adapter.name,
        label="",
        version=opened.version,
        max_document_bytes=opened.connection.max_document_bytes,
        active=True,
    )
    return await choose_route(services, envelope, [Candidate(summary, "same connection after no answer")])


def _caller(envelope: StoredEnvelope) -> Caller:
    return Caller(
        tenant_id=envelope.tenant_id, key_id=UUID(int=0), scopes=frozenset(), actor=SYSTEM, source=_SOURCE
    )
