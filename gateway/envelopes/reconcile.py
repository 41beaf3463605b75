"""Finds out what became of a dispatch that nobody answered, and goes on from there.

Look up by our reference, and by the provider's id where it is known, at growing intervals. Found: adopt it. Not
found after the last look-up: make a draft under a new reference, look up once more, and only then send. One
draft is chosen and written down before it is sent; what else is found is cleared away. Must never send an
envelope while an earlier try of it may still surface unseen.
Source: the design's rule for ambiguous creates, docs/life-of-an-envelope.md.
"""

import asyncio
import logging
from collections.abc import Sequence
from uuid import UUID

import msgspec

from adapters.kit.outcome import Done, Rejected
from adapters.kit.port import SendMode
from gateway.envelopes.apply_report import apply_report
from gateway.envelopes.attempts import Attempt, load_attempts, open_attempts
from gateway.envelopes.dispatch import carry_out, pin_route
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.look_up import Sighting, look_up
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.orphans import clear_away, discard_orphan, discard_orphans
from gateway.envelopes.outgoing import epoch_of_reference
from gateway.envelopes.provider_call import call_provider
from gateway.envelopes.route import Route, choose_route
from gateway.envelopes.store import change_envelope, load_envelope, lock_envelope
from gateway.routing.policy import Candidate, ConnectionSummary
from gateway.services import Caller, Services
from gateway.tenants.open_connection import open_connection
from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport
from normalizer.errors import CountersignError
from normalizer.events import SYSTEM, Source, SourceKind
from normalizer.status import EnvelopeStatus
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.envelopes")

# After this many tries that reached the provider the envelope fails: a person must look.
MAX_ATTEMPTS = 4
_LEASE_S = 300.0  # a look-up is several calls, each with a deadline of its own
_AT_ONCE = 5
_SOURCE = Source(kind=SourceKind.RECONCILE)


async def reconcile_due(services: Services, at_most: int = 20) -> int:
    """Looks into every dispatch that is due, over all tenants, and clears away orphans; how many there were."""
    rows = await services.hub.fetch("SELECT * FROM claim_unsettled($1, $2)", at_most, _LEASE_S)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def reconcile(tenant_id: UUID, envelope_id: UUID) -> None:
        async with gate:
            try:
                await reconcile_envelope(services, tenant_id, envelope_id)
            except Exception:  # one envelope must not keep the others from being looked up; its lease ends
                logger.exception("a look-up failed")

    await asyncio.gather(*(reconcile(row["tenant_id"], row["envelope_id"]) for row in rows))
    return len(rows) + await discard_orphans(services, at_most)


async def reconcile_envelope(services: Services, tenant_id: UUID, envelope_id: UUID) -> None:
    """One look-up, and what follows from it. Safe to call at any time and by several workers."""
    envelope = await load_envelope(services.database, tenant_id, envelope_id)
    if envelope.dispatch_state == DispatchState.CREATING:
        envelope = await _abandon(services, envelope)
    if envelope.dispatch_state != DispatchState.UNKNOWN or envelope.connection_id is None:
        return
    attempts = await load_attempts(services, envelope)
    tries = open_attempts(attempts)
    seen = await look_up(services, envelope, tries, {one.provider_ref for one in attempts if one.orphan})
    if seen is None:
        await _look_again(services, envelope, counts=False)
        return
    is_last = envelope.lookups + 1 >= len(services.settings.dispatch.look_up_delays_s)
    match seen:
        case Sighting(live=EnvelopeReport() as found):
            await _adopt(services, envelope, found, seen.others)
        case Sighting(drafts=(draft, *others)):
            await _send_draft(services, envelope, tries, draft, [*others, *seen.others], is_last=is_last)
        case _ if not is_last:
            await _look_again(services, envelope, counts=True)
        case _:
            await _try_anew(services, envelope, tries)


async def _abandon(services: Services, envelope: StoredEnvelope) -> StoredEnvelope:
    async with services.database.transaction(envelope.tenant_id) as tx:
        epoch = envelope.dispatch_epoch
        abandoned = await tx.driver.fetchval(
            "SELECT abandon_dispatch($1, $2, $3)", envelope.tenant_id, envelope.id, epoch
        )
        if not abandoned:
            return envelope
        facts: dict[str, Json] = {"attempt": epoch, "code": "dispatch_abandoned"}
        event = envelope_event(services, LedgerType.DISPATCH_UNKNOWN, envelope, SYSTEM, _SOURCE, facts=facts)
        await services.recorder.record(tx, [event])
        await tx.commit()
    return await load_envelope(services.database, envelope.tenant_id, envelope.id)


async def _adopt(
    services: Services, envelope: StoredEnvelope, report: EnvelopeReport, others: Sequence[EnvelopeReport]
) -> None:
    async with services.database.transaction(envelope.tenant_id) as tx:
        locked = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if locked.dispatch_state != DispatchState.UNKNOWN:
            return
        await tx.driver.execute(
            "SELECT adopt_provider_ref($1, $2, $3)", locked.tenant_id, locked.id, report.provider_ref
        )
        facts: dict[str, Json] = {
            "provider_ref": report.provider_ref,
            "by": "look-up",
            "attempt": locked.dispatch_epoch,
        }
        event = envelope_event(services, LedgerType.DISPATCH_RECONCILED, locked, SYSTEM, _SOURCE, facts=facts)
        await apply_report(services, tx, locked, report, SYSTEM, _SOURCE, extra=[event])
        await tx.commit()
    for other in others:
        await clear_away(services, envelope, other.provider_ref)


async def _send_draft(
    services: Services,
    envelope: StoredEnvelope,
    tries: Sequence[Attempt],
    draft: EnvelopeReport,
    others: Sequence[EnvelopeReport],
    *,
    is_last: bool,
) -> None:
    chosen = await services.database.fetchval(
        "SELECT choose_draft($1, $2, $3)", envelope.tenant_id, envelope.id, draft.provider_ref
    )
    if chosen is None:
        return  # settled meanwhile
    for other in others:
        if other.provider_ref != chosen:
            await clear_away(services, envelope, other.provider_ref)
    outcome = await call_provider(
        services,
        msgspec.structs.replace(envelope, provider_ref=chosen, connection_version=None),
        "send_draft",
        lambda adapter, exchange, connection, ref: adapter.send_draft(exchange, connection, ref),
    )
    if isinstance(outcome, Done):
        await _adopt(services, envelope, outcome.value, ())
        return
    if not isinstance(outcome, Rejected) or outcome.code == "state_conflict":
        # Nobody knows, or it has moved on: the next look-up tells.
        await _look_again(services, envelope, counts=False)
        return
    named = epoch_of_reference(draft.reference) or envelope.dispatch_epoch
    epoch = next((one.epoch for one in tries if one.provider_ref == chosen), named)
    await services.database.execute(
        "SELECT forget_draft($1, $2, $3, $4)", envelope.tenant_id, envelope.id, epoch, chosen
    )
    await discard_orphan(services, envelope, epoch, chosen)
    if is_last or outcome.code != "draft_incomplete":
        await _give_up(services, envelope, f"The provider refuses to send the draft: {outcome.detail}")
        return
    # Interrupted between its steps, it can never be sent. With it gone the next look-ups find nothing.
    await _look_again(services, envelope, counts=True)


async def _look_again(services: Services, envelope: StoredEnvelope, *, counts: bool) -> None:
    delays = services.settings.dispatch.look_up_delays_s
    lookups = envelope.lookups + 1 if counts else envelope.lookups
    await services.database.execute(
        "SELECT postpone_lookup($1, $2, $3, $4, $5)",
        envelope.tenant_id,
        envelope.id,
        envelope.dispatch_epoch,
        lookups,
        delays[min(lookups, len(delays) - 1)],
    )


async def _try_anew(services: Services, envelope: StoredEnvelope, tries: Sequence[Attempt]) -> None:
    """The quiet period is over and nothing surfaced: a draft first, so that a late twin is never mailed."""
    if sum(one.reached_provider for one in tries) >= MAX_ATTEMPTS:
        await _give_up(services, envelope, f"No answer from the provider in {MAX_ATTEMPTS} tries.")
        return
    try:
        route = await _same_route(services, envelope)
    except CountersignError as error:
        await _give_up(services, envelope, f"The envelope cannot be sent any more: {error.detail}")
        return
    caller = _caller(envelope)
    async with services.database.transaction(envelope.tenant_id) as tx:
        locked = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if locked.dispatch_state != DispatchState.UNKNOWN or locked.version != envelope.version:
            return
        plan, event = await pin_route(services, tx, caller, locked, route, SendMode.DRAFT)
        await services.recorder.record(tx, [event])
        await tx.commit()
    settled = await carry_out(services, caller, plan)
    after = await load_envelope(services.database, envelope.tenant_id, envelope.id)
    if settled.changed and after.provider_ref is not None:
        # The draft exists: the same look-up that found nothing before decides now which one is sent.
        await reconcile_envelope(services, envelope.tenant_id, envelope.id)


async def _give_up(services: Services, envelope: StoredEnvelope, reason: str) -> None:
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
            provider_ref="", status=EnvelopeStatus.FAILED, provider_status="", reason=reason
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
