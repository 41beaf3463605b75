"""Hands an envelope to a provider: plan in one transaction, call without one, settle in another.

The plan pins provider and connection before anything leaves the house, so that whatever happens afterwards is
found again. Fail-over to the next candidate happens only when nothing was sent, or the provider refused and
no id is known. Must never send twice: what is Unknown is left to the look-ups (reconcile.py).
"""

import logging
from collections.abc import Mapping

import msgspec

from adapters.kit.outcome import AuthFailed, Done, NotSent, Rejected, Throttled, Unknown
from adapters.kit.port import Created, SendMode
from config.database import Transaction
from gateway.envelopes.apply_report import apply_report
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.orphans import discard_orphan
from gateway.envelopes.plan import Plan
from gateway.envelopes.route import Route, choose_route, describe_route, printed_connection
from gateway.envelopes.settle import Ended, Settled, Verdict, judge, settle_at_once, settle_within
from gateway.envelopes.store import lock_envelope
from gateway.services import Caller, Services
from gateway.tenant_blobs import TenantBlobs
from normalizer.errors import CallerError, UnsupportedFeature
from normalizer.events import Event
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.envelopes")

# A row that is still `creating` so long after the call's own deadline was abandoned: its process died.
_GRACE_S = 30.0


async def pin_route(
    services: Services,
    tx: Transaction,
    caller: Caller,
    envelope: StoredEnvelope,
    route: Route,
    mode: SendMode = SendMode.SEND,
) -> tuple[Plan, Event]:
    """Writes the choice in the caller's transaction, who records the event and commits."""
    plan = plan_dispatch(envelope, route, mode, version=envelope.version + 1)
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
    *,
    version: int,
) -> Plan:
    """`version`: what the envelope's will be, when the plan has been written with it."""
    epoch = envelope.dispatch_epoch + 1
    return Plan(
        envelope=envelope, route=route, epoch=epoch, version=version, mode=mode, at_hand=at_hand or {}
    )


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
        verdict = judge(services, caller, plan, outcome)
        route = await _next_route(services, plan, outcome)
        following: Plan | None = None
        settled = await settle_at_once(services, plan, verdict) if route is None else None
        if settled is None or (isinstance(outcome, Done) and not settled.changed):
            settled, following = await _settle_with_more(services, caller, plan, outcome, verdict, route)
        if isinstance(outcome, Rejected) and outcome.learned_ref and settled.changed:
            pinned = msgspec.structs.replace(plan.envelope, connection_id=plan.route.candidate.connection.id)
            await discard_orphan(services, pinned, plan.epoch, outcome.learned_ref)
        if following is None:
            return settled
        plan = following


async def _settle_with_more(
    services: Services, caller: Caller, plan: Plan, outcome: Ended, verdict: Verdict, route: Route | None
) -> tuple[Settled, Plan | None]:
    """In a transaction: with the pin of the next try, or with what a faster webhook left to be said."""
    following: Plan | None = None
    async with services.database.transaction(plan.envelope.tenant_id) as tx:
        settled = await settle_within(tx, plan, verdict)
        events = list(verdict.events) if settled.changed else []
        if route is not None and settled.changed:
            envelope = msgspec.structs.replace(plan.envelope, dispatch_epoch=plan.epoch)
            following, routed = await pin_route(services, tx, caller, envelope, route, plan.mode)
            events.append(routed)
        if isinstance(outcome, Done) and not settled.changed:
            await _apply_late(services, tx, caller, plan, outcome.value)
        await services.recorder.record(tx, events)
        await tx.commit()
    return settled, following


async def _apply_late(
    services: Services, tx: Transaction, caller: Caller, plan: Plan, created: Created
) -> None:
    """A webhook was faster and settled the dispatch; the answer may still lead further than it did."""
    envelope = await lock_envelope(tx, plan.envelope.tenant_id, plan.envelope.id)
    if envelope.provider_ref == created.provider_ref:
        await apply_report(services, tx, envelope, created.report, caller.actor, caller.source)


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
            stores_done=True,
            deadline_s=services.settings.dispatch.deadline_s,
        )
    except CallerError as error:
        return error
    except (
        Exception
    ):  # whatever broke on our side (the blob store, a mistake of ours), a request may have left before
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
