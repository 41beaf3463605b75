"""Hands an envelope to a provider: plan in one transaction, call without one, settle in another.

The plan pins provider and connection before anything leaves the house, so that whatever happens afterwards is
found again. Fail-over to the next candidate happens only when nothing was sent, or the provider refused and
no id is known. Must never send twice: what is Unknown is left to the look-ups (reconcile.py).
"""

import logging
from collections.abc import Mapping

import msgspec

from adapters.kit.outcome import AuthFailed, Done, NotSent, Outcome, Rejected, Throttled, Unknown
from adapters.kit.port import Created, SendMode
from config.database import Transaction
from gateway.envelopes.apply_report import ENVELOPE_ENTRY, apply_report
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.orphans import discard_orphan
from gateway.envelopes.problems import failure_of, note_of, refusal_error
from gateway.envelopes.route import Route, choose_route, describe_route, printed_connection
from gateway.envelopes.store import decode_envelope, lock_envelope
from gateway.services import Caller, Services
from gateway.tenant_blobs import TenantBlobs
from normalizer.canonical import Json
from normalizer.errors import CallerError, CountersignError, UnsupportedFeature
from normalizer.events import Event
from normalizer.status import EnvelopeStatus, advance
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.envelopes")

# A row that is still `creating` so long after the call's own deadline was abandoned: its process died.
_GRACE_S = 30.0
# A caller's mistake that the adapter found before it sent anything ends a dispatch like a refusal.
Ended = Outcome[Created] | CallerError


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch that is pinned and about to be carried out. `at_hand`: documents by blob key whose bytes are
    in memory anyway.
    """

    envelope: StoredEnvelope
    route: Route
    epoch: int
    mode: SendMode
    at_hand: Mapping[str, bytes] = {}


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """How a dispatch ended for the caller: `problem` is None, or the error to answer with. `changed` False:
    a webhook or a look-up had settled it before. `events` are to be recorded with it; `envelope` is what is
    stored now, when this has changed it.
    """

    status: EnvelopeStatus
    changed: bool
    problem: CountersignError | None = None
    events: tuple[Event, ...] = ()
    envelope: StoredEnvelope | None = None


async def pin_route(
    services: Services,
    tx: Transaction,
    caller: Caller,
    envelope: StoredEnvelope,
    route: Route,
    mode: SendMode = SendMode.SEND,
) -> tuple[Plan, Event]:
    """Writes the choice in the caller's transaction, who records the event and commits."""
    plan = plan_dispatch(envelope, route, mode)
    await tx.driver.execute(
        "SELECT begin_dispatch($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::jsonb, $10)",
        envelope.tenant_id,
        envelope.id,
        plan.epoch,
        route.candidate.connection.provider,
        route.candidate.connection.id,
        route.opened.version,
        str(mode),
        msgspec.json.encode(route.decision).decode(),
        msgspec.json.encode(route.losses).decode(),
        dispatch_time_s(services),
    )
    return plan, routed_event(services, caller, plan)


def plan_dispatch(
    envelope: StoredEnvelope,
    route: Route,
    mode: SendMode = SendMode.SEND,
    at_hand: Mapping[str, bytes] | None = None,
) -> Plan:
    epoch = envelope.dispatch_epoch + 1
    return Plan(envelope=envelope, route=route, epoch=epoch, mode=mode, at_hand=at_hand or {})


def routed_event(services: Services, caller: Caller, plan: Plan) -> Event:
    return envelope_event(
        services,
        LedgerType.ENVELOPE_ROUTED,
        plan.envelope,
        caller.actor,
        caller.source,
        facts=describe_route(plan.envelope, plan.route, plan.epoch),
    )


def dispatch_time_s(services: Services) -> float:
    """Seconds after which a dispatch that has not ended is looked into."""
    return services.settings.dispatch.deadline_s + _GRACE_S


async def carry_out(services: Services, caller: Caller, plan: Plan) -> Settled:
    """Calls the provider and settles; goes on to the next candidate where that is safe.

    Between two candidates the envelope is never a draft that somebody could edit or send: both moves are one
    transaction.
    """
    while True:
        outcome = await _call(services, plan)
        route = await _next_route(services, plan, outcome)
        following: Plan | None = None
        async with services.database.transaction(plan.envelope.tenant_id) as tx:
            settled = await settle_outcome(services, tx, caller, plan, outcome)
            events = list(settled.events)
            if route is not None and settled.changed:
                envelope = msgspec.structs.replace(plan.envelope, dispatch_epoch=plan.epoch)
                following, routed = await pin_route(services, tx, caller, envelope, route, plan.mode)
                events.append(routed)
            if isinstance(outcome, Done) and not settled.changed:
                await _apply_late(services, tx, caller, plan, outcome.value)
            await services.recorder.record(tx, events)
            await tx.commit()
        if isinstance(outcome, Rejected) and outcome.learned_ref and settled.changed:
            pinned = msgspec.structs.replace(plan.envelope, connection_id=plan.route.candidate.connection.id)
            await discard_orphan(services, pinned, plan.epoch, outcome.learned_ref)
        if following is None:
            return settled
        plan = following


async def settle_outcome(
    services: Services, tx: Transaction, caller: Caller, plan: Plan, outcome: Ended
) -> Settled:
    """Writes how a dispatch ended; the caller records and commits. A later attempt that already took over, or
    a webhook that was faster, is left alone.
    """
    envelope, provider = plan.envelope, plan.route.opened.adapter.name
    is_retry = plan.mode is SendMode.DRAFT
    detail, ref, word, lookup_in_s = "", None, "", None
    problem: CountersignError | None = None
    error: dict[str, Json] | None = None
    status, state = EnvelopeStatus.PROCESSING, DispatchState.UNKNOWN
    delays = services.settings.dispatch.look_up_delays_s
    match outcome:
        case Done(value=created):
            ref, word = created.provider_ref, created.report.provider_status
            if is_retry:
                # The draft is there. It is sent after one more look-up; a crash before that loses nothing.
                lookup_in_s = delays[0]
            else:
                status = advance(EnvelopeStatus.PROCESSING, created.report.status)
                state = DispatchState.SETTLED
        case Unknown(detail=detail, learned_ref=learned):
            ref, lookup_in_s = learned or None, delays[0]
            error = {"code": "provider_outcome_unknown", "detail": detail}
        case NotSent() | Throttled() | AuthFailed() if is_retry:
            # An earlier try may still surface, so this envelope cannot become a draft again.
            detail, error = failure_of(provider, outcome)
            lookup_in_s = delays[-1]
        case Rejected() | NotSent() | Throttled() | AuthFailed() | CallerError():
            if isinstance(outcome, CallerError):
                problem = outcome
                detail, error = outcome.detail, note_of(outcome)
            else:
                problem = refusal_error(provider, outcome)
                detail, error = failure_of(provider, outcome)
                ref = (outcome.learned_ref or None) if isinstance(outcome, Rejected) else None
            status, state = EnvelopeStatus.DRAFT, DispatchState.IDLE
            if is_retry:
                status, state = EnvelopeStatus.FAILED, DispatchState.SETTLED
    stored = await tx.driver.fetchval(
        "SELECT end_dispatch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11)",
        envelope.tenant_id,
        envelope.id,
        plan.epoch,
        "refused" if isinstance(outcome, CallerError) else type(outcome).__name__.lower(),
        detail,
        str(status),
        state,
        ref,
        word[:60],
        msgspec.json.encode(error).decode() if error else None,
        lookup_in_s,
    )
    if stored is None:
        return Settled(status=status, changed=False)
    after = decode_envelope(stored)
    kind = _recorded_as(status, outcome)
    if kind is None:
        return Settled(status=status, changed=True, problem=problem, envelope=after)
    facts: dict[str, Json] = {"provider": provider, "attempt": plan.epoch}
    if ref:
        facts["provider_ref"] = ref
    if error is not None:
        facts["code"] = str(error.get("code", ""))
    processing = msgspec.structs.replace(envelope, status=EnvelopeStatus.PROCESSING, provider=provider)
    event = envelope_event(
        services, kind, processing, caller.actor, caller.source, status=status, facts=facts
    )
    return Settled(status=status, changed=True, problem=problem, events=(event,), envelope=after)


async def _apply_late(
    services: Services, tx: Transaction, caller: Caller, plan: Plan, created: Created
) -> None:
    """A webhook was faster and settled the dispatch; the answer may still lead further than it did."""
    envelope = await lock_envelope(tx, plan.envelope.tenant_id, plan.envelope.id)
    if envelope.provider_ref == created.provider_ref:
        await apply_report(services, tx, envelope, created.report, caller.actor, caller.source)


def _recorded_as(status: EnvelopeStatus, outcome: Ended) -> LedgerType | None:
    if status is EnvelopeStatus.DRAFT:
        return LedgerType.DISPATCH_REJECTED
    if status is not EnvelopeStatus.PROCESSING:
        return ENVELOPE_ENTRY[status]
    # Providers that prepare documents first answer before they send: the webhook will say so.
    return None if isinstance(outcome, Done) else LedgerType.DISPATCH_UNKNOWN


async def _call(services: Services, plan: Plan) -> Ended:
    adapter, connection = plan.route.opened.adapter, plan.route.opened.connection
    tenant_id, envelope_id, epoch = plan.envelope.tenant_id, plan.envelope.id, plan.epoch

    async def learned(provider_ref: str) -> None:
        await services.database.execute(
            "SELECT learn_provider_ref($1, $2, $3, $4)", tenant_id, envelope_id, epoch, provider_ref
        )

    try:
        return await services.executor.run(
            adapter,
            connection,
            "create_envelope",
            lambda exchange: adapter.create_envelope(
                exchange, connection, plan.route.outgoing, plan.mode, services.clock.now()
            ),
            blobs=TenantBlobs(services.blobs, tenant_id, plan.at_hand),
            on_learned=learned,
            deadline_s=services.settings.dispatch.deadline_s,
        )
    except CallerError as error:
        return error
    except Exception:
        # Whatever broke on our side (the blob store, a mistake of ours), a request may have left before.
        logger.exception("a dispatch broke off")
        return Unknown("the gateway failed during the call")


async def _next_route(services: Services, failed: Plan, outcome: Ended) -> Route | None:
    """Where the envelope may go instead; None when it may not, or nobody else can do it."""
    if not failed.route.rest or not _may_fail_over(outcome):
        return None
    envelope = msgspec.structs.replace(failed.envelope, dispatch_epoch=failed.epoch)
    why = {
        "connection": printed_connection(failed.route.candidate),
        "reason": type(outcome).__name__.lower(),
    }
    try:
        return await choose_route(services, envelope, failed.route.rest, after=(failed.route, why))
    except UnsupportedFeature:
        return None


def _may_fail_over(outcome: Ended) -> bool:
    match outcome:
        case NotSent() | Throttled() | AuthFailed() | UnsupportedFeature():
            return True
        case Rejected(learned_ref=ref):
            return not ref
        case _:
            return False
