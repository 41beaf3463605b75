"""How a dispatch ended, and what is written about it: one verdict, and two ways of writing it down.

Usually the state and its records are one statement; in a transaction when more belongs to it or a key for
personal data must be fetched first. A later attempt that already took over, or a webhook that was faster, is
left alone.
"""

from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from adapters.kit.outcome import AuthFailed, Done, NotSent, Outcome, Rejected, Throttled, Unknown
from adapters.kit.port import Created, SendMode
from config.database import Transaction
from gateway.envelopes.apply_report import ENVELOPE_ENTRY
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.grouped_writes import Ending
from gateway.envelopes.model import DispatchState, StoredEnvelope, StoredField
from gateway.envelopes.plan import Plan
from gateway.envelopes.problems import failure_of, note_of, refusal_error
from gateway.services import Caller, Services
from normalizer.canonical import Json
from normalizer.errors import CallerError, CountersignError
from normalizer.events import Event
from normalizer.status import EnvelopeStatus, advance
from normalizer.vocabulary import LedgerType

# A caller's mistake that the adapter found before it sent anything ends a dispatch like a refusal.
Ended = Outcome[Created] | CallerError
_RECORD = ", ".join(f"${number}" for number in range(12, 23))
_END_ALONE = (
    f"SELECT * FROM end_dispatch_recorded($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11, {_RECORD})"
)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`row`: the arguments of end_dispatch. `events` are recorded when it changes anything. `problem`: the
    error for a caller who waits. `written`: what the envelope's columns will hold, as far as it is known here.
    """

    status: EnvelopeStatus
    row: tuple[Any, ...]
    written: dict[str, Any]
    events: tuple[Event, ...]
    problem: CountersignError | None


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """How a dispatch ended for the caller: `problem` is None, or the error to answer with. `changed` False:
    a webhook or a look-up had settled it before. `envelope` is what is stored now, when nobody but this plan has
    written it since the plan was made; None: ask the database.
    """

    status: EnvelopeStatus
    changed: bool
    problem: CountersignError | None = None
    envelope: StoredEnvelope | None = None


async def settle_at_once(services: Services, plan: Plan, verdict: Verdict) -> Settled | None:
    """In one statement; None when that is not possible and nothing was written."""
    if not verdict.events:
        return None
    record = services.recorder.prepare(plan.envelope.tenant_id, verdict.events)
    if record is None:
        return None
    row = await services.writes.end(plan.envelope.tenant_id, Ending(verdict.row, record))
    if row is None:
        row = await services.database.fetchrow(_END_ALONE, *verdict.row, *record)
    settled = _settled(plan, verdict, row)
    if settled.changed:
        await services.recorder.announced()
    return settled


async def settle_within(tx: Transaction, plan: Plan, verdict: Verdict) -> Settled:
    """In the caller's transaction, who records the verdict's events when it changed anything, and commits."""
    row = await tx.driver.fetchrow(
        "SELECT * FROM end_dispatch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb, $11)", *verdict.row
    )
    return _settled(plan, verdict, row)


def judge(services: Services, caller: Caller, plan: Plan, outcome: Ended) -> Verdict:
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
    row = (
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
    kind = _recorded_as(status, outcome)
    events: tuple[Event, ...] = ()
    if kind is not None:
        facts: dict[str, Json] = {"provider": provider, "attempt": plan.epoch}
        if ref:
            facts["provider_ref"] = ref
        if error is not None:
            facts["code"] = str(error.get("code", ""))
        processing = msgspec.structs.replace(envelope, status=EnvelopeStatus.PROCESSING, provider=provider)
        events = (
            envelope_event(
                services, kind, processing, caller.actor, caller.source, status=status, facts=facts
            ),
        )
    written = {"status": status, "dispatch_state": state, "provider_status": word[:60], "last_error": error}
    return Verdict(status=status, row=row, written=written, events=events, problem=problem)


def _settled(plan: Plan, verdict: Verdict, row: asyncpg.Record | None) -> Settled:
    if row is None or row["version"] is None:
        return Settled(status=verdict.status, changed=False)
    envelope = _as_stored(plan, verdict, row) if row["version"] == plan.version + 1 else None
    return Settled(status=verdict.status, changed=True, problem=verdict.problem, envelope=envelope)


def _as_stored(plan: Plan, verdict: Verdict, row: asyncpg.Record) -> StoredEnvelope:
    """The envelope as load_envelope would give it: reading it again costs as much as writing it."""
    chosen = plan.route.candidate.connection
    return msgspec.structs.replace(
        plan.envelope,
        dispatch_epoch=plan.epoch,
        provider=chosen.provider,
        connection_id=chosen.id,
        connection_version=plan.route.opened.version,
        routing=plan.route.decision,
        degraded=plan.route.losses,
        lookups=0,
        fields=tuple(sorted(plan.envelope.fields, key=_field_order)),
        **verdict.written,
        **row,
    )


def _field_order(field: StoredField) -> tuple[UUID, int, float, float, UUID]:
    return (field.document_id, field.page_number, field.y, field.x, field.id)


def _recorded_as(status: EnvelopeStatus, outcome: Ended) -> LedgerType | None:
    if status is EnvelopeStatus.DRAFT:
        return LedgerType.DISPATCH_REJECTED
    if status is not EnvelopeStatus.PROCESSING:
        return ENVELOPE_ENTRY[status]
    # Providers that prepare documents first answer before they send: the webhook will say so.
    return None if isinstance(outcome, Done) else LedgerType.DISPATCH_UNKNOWN
