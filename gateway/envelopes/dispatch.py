"""Hands an envelope to a provider: plan in one transaction, call without one, settle in another.

The plan pins provider and connection before anything leaves the house, so that whatever happens afterwards is
found again. Fail-over to the next candidate happens only when nothing was sent, or the provider refused and
no id is known. Must never send twice: what is Unknown is left to the look-ups (reconcile.py).
"""

import asyncio
from collections.abc import Sequence

import msgspec

from adapters.kit.outcome import AuthFailed, Done, NotSent, Outcome, Rejected, Throttled, Unknown
from adapters.kit.port import Created, SendMode
from config.database import Transaction
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.outgoing import build_outgoing, check_ready, client_reference
from gateway.envelopes.problems import failure_of, refusal_error
from gateway.envelopes.store import lock_envelope
from gateway.routing.policy import Candidate, EnvelopeFacts, Routing, choose_candidates
from gateway.services import Caller, Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.connection_cache import OpenConnection
from gateway.tenants.open_connection import open_connection
from normalizer.canonical import Json
from normalizer.envelope import Degradation
from normalizer.errors import CountersignError, UnsupportedFeature
from normalizer.events import Event
from normalizer.ids import Kind, print_id
from normalizer.recipient import AuthenticationLevel
from normalizer.status import EnvelopeStatus, advance
from normalizer.vocabulary import LedgerType

_routing_decoder = msgspec.json.Decoder(Routing)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The connection that was chosen, why, and what the envelope loses there. `rest`: the next to try."""

    opened: OpenConnection
    candidate: Candidate
    decision: dict[str, Json]
    losses: tuple[Degradation, ...]
    rest: tuple[Candidate, ...]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A dispatch that is pinned and about to be carried out."""

    envelope: StoredEnvelope
    route: Route
    epoch: int
    mode: SendMode


class Settled(msgspec.Struct, frozen=True):
    """How a dispatch ended for the caller: `problem` is None, or the error to answer with."""

    status: EnvelopeStatus
    problem: CountersignError | None


async def choose_route(
    services: Services, envelope: StoredEnvelope, candidates: Sequence[Candidate] | None = None
) -> Route:
    """The first candidate that can do what the envelope needs; with no transaction open.

    Raises ValidationFailed for a draft that is not ready, UnsupportedFeature when no candidate can do it.
    """
    check_ready(envelope)
    version = 0
    if candidates is None:
        routing = _routing_decoder.decode(
            await services.database.fetchval("SELECT load_routing($1)", envelope.tenant_id)
        )
        candidates = choose_candidates(routing, _facts(envelope))
        version = routing.policy.version if routing.policy else 0
    outgoing = await build_outgoing(services, envelope, envelope.dispatch_epoch + 1)
    skipped: list[Json] = []
    first_refusal: UnsupportedFeature | None = None
    for number, candidate in enumerate(candidates):
        opened = await open_connection(
            services, envelope.tenant_id, candidate.connection.id, candidate.connection.version
        )
        try:
            losses = tuple(opened.adapter.check(opened.connection, outgoing))
        except UnsupportedFeature as refusal:
            first_refusal = first_refusal or refusal
            skipped.append({"connection": _printed(candidate), "reason": f"no {refusal.feature}"})
            continue
        decision: dict[str, Json] = {
            "connection": _printed(candidate),
            "provider": candidate.connection.provider,
            "because": candidate.because,
            "skipped": skipped,
            "policy_version": version,
        }
        return Route(
            opened=opened,
            candidate=candidate,
            decision=decision,
            losses=losses,
            rest=tuple(candidates[number + 1 :]),
        )
    assert first_refusal is not None  # noqa: S101 - choose_candidates never returns nothing
    raise first_refusal


async def pin_route(
    services: Services,
    tx: Transaction,
    caller: Caller,
    envelope: StoredEnvelope,
    route: Route,
    mode: SendMode = SendMode.SEND,
) -> tuple[Plan, Event]:
    """Writes the choice in the caller's transaction, who records the event and commits."""
    epoch = envelope.dispatch_epoch + 1
    await tx.driver.execute(
        "SELECT begin_dispatch($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9::jsonb, $10)",
        envelope.tenant_id,
        envelope.id,
        epoch,
        route.candidate.connection.provider,
        route.candidate.connection.id,
        route.opened.version,
        str(mode),
        msgspec.json.encode(route.decision).decode(),
        msgspec.json.encode(route.losses).decode(),
        # Past this, a row that is still `creating` was abandoned: its process died.
        services.settings.dispatch.deadline_s + 30.0,
    )
    facts: dict[str, Json] = {
        **route.decision,
        "attempt": epoch,
        "client_reference": client_reference(envelope, epoch),
        "documents": [document.sha256 for document in envelope.documents],
    }
    event = envelope_event(
        services, LedgerType.ENVELOPE_ROUTED, envelope, caller.actor, caller.source, facts=facts
    )
    return Plan(envelope=envelope, route=route, epoch=epoch, mode=mode), event


async def carry_out(services: Services, caller: Caller, plan: Plan) -> Settled:
    """Calls the provider and settles; goes on to the next candidate where that is safe."""
    while True:
        outcome = await _call(services, plan)
        async with services.database.transaction(plan.envelope.tenant_id) as tx:
            settled = await settle_outcome(services, tx, caller, plan, outcome)
            await tx.commit()
        if not (_may_fail_over(outcome) and plan.route.rest):
            return settled
        next_plan = await _plan_next(services, caller, plan)
        if next_plan is None:
            return settled
        plan = next_plan


async def _plan_next(services: Services, caller: Caller, failed: Plan) -> Plan | None:
    """The next candidate, pinned; None when none can do it or somebody else has taken the envelope on."""
    envelope = msgspec.structs.replace(failed.envelope, dispatch_epoch=failed.epoch)
    try:
        route = await choose_route(services, envelope, failed.route.rest)
    except UnsupportedFeature:
        return None
    async with services.database.transaction(envelope.tenant_id) as tx:
        current = await lock_envelope(tx, envelope.tenant_id, envelope.id)
        if current.status is not EnvelopeStatus.DRAFT or current.dispatch_epoch != failed.epoch:
            return None
        plan, event = await pin_route(services, tx, caller, current, route, failed.mode)
        await services.recorder.record(tx, [event])
        await tx.commit()
    return plan


async def settle_outcome(
    services: Services, tx: Transaction, caller: Caller, plan: Plan, outcome: Outcome[Created]
) -> Settled:
    """Writes how a dispatch ended. A later attempt that already took over is left alone."""
    envelope, provider = plan.envelope, plan.route.opened.adapter.name
    processing = msgspec.structs.replace(envelope, status=EnvelopeStatus.PROCESSING, provider=provider)
    detail, ref, word = "", None, ""
    problem: CountersignError | None = None
    error: dict[str, Json] | None = None
    lookup_in_s: float | None = None
    state = DispatchState.SETTLED
    match outcome:
        case Done(value=created):
            status = advance(EnvelopeStatus.PROCESSING, created.report.status)
            ref, word = created.provider_ref, created.report.provider_status
        case Unknown(detail=detail, learned_ref=learned):
            status, state, ref = EnvelopeStatus.PROCESSING, DispatchState.UNKNOWN, learned or None
            lookup_in_s = services.settings.dispatch.look_up_delays_s[0]
            error = {"code": "provider_outcome_unknown", "detail": detail}
        case Rejected() | NotSent() | Throttled() | AuthFailed():
            status, state = EnvelopeStatus.DRAFT, DispatchState.IDLE
            problem = refusal_error(provider, outcome)
            detail, error = failure_of(provider, outcome)
    changed = await tx.driver.fetchval(
        "SELECT end_dispatch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11)",
        envelope.tenant_id,
        envelope.id,
        plan.epoch,
        type(outcome).__name__.lower(),
        detail,
        str(status),
        state,
        ref,
        word,
        msgspec.json.encode(error).decode() if error else None,
        lookup_in_s,
    )
    if changed:
        facts: dict[str, Json] = {"provider": provider, "attempt": plan.epoch}
        if ref:
            facts["provider_ref"] = ref
        kind = _recorded_as(status, state)
        if kind is not None:
            if error is not None:
                facts["code"] = str(error.get("code", ""))
            event = envelope_event(
                services, kind, processing, caller.actor, caller.source, status=status, facts=facts
            )
            await services.recorder.record(tx, [event])
    return Settled(status, problem)


def _recorded_as(status: EnvelopeStatus, state: str) -> LedgerType | None:
    if state == DispatchState.UNKNOWN:
        return LedgerType.DISPATCH_UNKNOWN
    if status is EnvelopeStatus.DRAFT:
        return LedgerType.DISPATCH_REJECTED
    # Providers that prepare documents first answer before they send: the webhook will say so.
    return LedgerType.ENVELOPE_SENT if status is EnvelopeStatus.SENT else None


async def _call(services: Services, plan: Plan) -> Outcome[Created]:
    outgoing = await build_outgoing(services, plan.envelope, plan.epoch)
    adapter, connection = plan.route.opened.adapter, plan.route.opened.connection
    tenant_id, envelope_id, epoch = plan.envelope.tenant_id, plan.envelope.id, plan.epoch

    async def learned(provider_ref: str) -> None:
        await services.database.execute(
            "SELECT learn_provider_ref($1, $2, $3, $4)", tenant_id, envelope_id, epoch, provider_ref
        )

    # The call outlives a client that hangs up: half a dispatch helps nobody.
    return await asyncio.shield(
        services.executor.run(
            adapter,
            connection,
            "create_envelope",
            lambda exchange: adapter.create_envelope(
                exchange, connection, outgoing, plan.mode, services.clock.now()
            ),
            blobs=TenantBlobs(services.blobs, tenant_id),
            on_learned=learned,
            deadline_s=services.settings.dispatch.deadline_s,
        )
    )


def _may_fail_over(outcome: Outcome[Created]) -> bool:
    match outcome:
        case NotSent() | Throttled() | AuthFailed():
            return True
        case Rejected(learned_ref=ref):
            return not ref
        case _:
            return False


def _facts(envelope: StoredEnvelope) -> EnvelopeFacts:
    return EnvelopeFacts(
        document_type=envelope.document_type,
        signer_countries=frozenset(one.country.upper() for one in envelope.recipients if one.country),
        authentication_level=AuthenticationLevel(envelope.authentication_level),
        total_bytes=sum(document.size_bytes for document in envelope.documents),
    )


def _printed(candidate: Candidate) -> str:
    return print_id(Kind.CONNECTION, candidate.connection.id)
