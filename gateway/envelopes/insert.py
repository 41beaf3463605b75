"""Writes a new envelope with everything that belongs to it, the advance of the request's claim, the pin of its
first try, and what is recorded about all of that: in one statement when no key must be fetched for it.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from config.errors import StoreUnavailable
from gateway.claims import Claim, claim_lost, note_advance
from gateway.envelopes.build import dump, recipient_row
from gateway.envelopes.dispatch import dispatch_time_s
from gateway.envelopes.grouped_writes import Dispatching, Insertion
from gateway.envelopes.model import DispatchState, StoredEnvelope
from gateway.envelopes.plan import Plan
from gateway.services import Services
from normalizer.errors import Conflict
from normalizer.events import Event
from normalizer.ids import Kind, print_id
from normalizer.status import EnvelopeStatus

_JSON = ", ".join(f"${number}::jsonb" for number in range(1, 8))
_RECORD = ", ".join(f"${number}" for number in range(8, 19))
# Raised by insert_envelope_recorded.
_CLAIM_LOST, _DOCUMENTS_TAKEN = "CS001", "CS002"
_ROUTING_CHANGED = "CS003"  # by insert_envelope


class RoutingChanged(Exception):
    """The route was chosen from routing that is old. Nothing was written: choose again and write."""


class NewEnvelope(msgspec.Struct, frozen=True):
    """`ingested` and `attached`: positions of documents whose rows are new, and of uploads that are taken."""

    envelope: StoredEnvelope
    ingested: frozenset[int]
    attached: frozenset[int]


async def write_envelope(
    services: Services, new: NewEnvelope, events: Sequence[Event], claim: Claim | None, plan: Plan | None
) -> None:
    """Raises Conflict for documents that are in another envelope, IdempotencyConflict for a claim that was
    taken over, RoutingChanged for a route that is no longer the tenant's, StoreUnavailable with
    `outcome_unknown` when no answer came. Nothing is written by halves.
    """
    record = services.recorder.prepare(new.envelope.tenant_id, events)
    if record is not None and await _write_grouped(services, new, record, claim, plan):
        return
    rows = _rows(services, new, claim, plan)
    if record is not None:
        await _write_at_once(services, rows, record, claim)
        return
    async with services.database.transaction(new.envelope.tenant_id) as tx:
        try:
            done = await tx.driver.fetchrow(
                f"SELECT missing, claim_lost FROM insert_envelope({_JSON})", *rows
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == _ROUTING_CHANGED:
                raise RoutingChanged from error
            raise
        if done is None or done["claim_lost"]:
            raise claim_lost()
        if done["missing"]:
            raise _taken([print_id(Kind.DOCUMENT, one) for one in done["missing"]])
        if claim is not None:
            note_advance(tx, claim)
        await services.recorder.record(tx, events)
        await tx.commit()


async def _write_grouped(
    services: Services,
    new: NewEnvelope,
    record: tuple[list[object], ...],
    claim: Claim | None,
    plan: Plan | None,
) -> bool:
    """With what other requests write now. False: it was not written, and is to be written alone."""
    envelope = new.envelope
    if new.attached or any(one.access_code or one.knowledge for one in envelope.recipients):
        return False
    dispatching = None
    if plan is not None:
        envelope = _pinned(envelope, plan)
        dispatching = Dispatching(plan.route.stamp, dispatch_time_s(services), plan.mode)
    held = None if claim is None else {**_claim_facts(claim), "envelope_id": envelope.id}
    insertion = Insertion(envelope=envelope, claim=held, record=record)
    if not await services.writes.insert(insertion, dispatching):
        return False
    await _written(services, claim)
    return True


def _pinned(envelope: StoredEnvelope, plan: Plan) -> StoredEnvelope:
    chosen = plan.route.candidate.connection
    return msgspec.structs.replace(
        envelope,
        status=EnvelopeStatus.PROCESSING,
        provider=chosen.provider,
        connection_id=chosen.id,
        connection_version=plan.route.opened.version,
        routing=plan.route.decision,
        degraded=plan.route.losses,
        dispatch_state=DispatchState.CREATING,
        dispatch_epoch=plan.epoch,
    )


async def _written(services: Services, claim: Claim | None) -> None:
    if claim is not None:
        claim.advanced = True
    await services.recorder.announced()


async def _write_at_once(
    services: Services, rows: Sequence[Any], record: Sequence[object], claim: Claim | None
) -> None:
    try:
        await services.database.execute(
            f"SELECT insert_envelope_recorded({_JSON}, {_RECORD})", *rows, *record
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate == _CLAIM_LOST:
            raise claim_lost() from error
        if error.sqlstate == _DOCUMENTS_TAKEN:
            missing = msgspec.json.decode(error.detail or "[]", type=tuple[UUID, ...])
            raise _taken([print_id(Kind.DOCUMENT, one) for one in missing]) from error
        if error.sqlstate == _ROUTING_CHANGED:
            raise RoutingChanged from error
        raise
    except StoreUnavailable as error:
        raise StoreUnavailable("no answer to the write of an envelope", outcome_unknown=True) from error
    await _written(services, claim)


def _rows(
    services: Services, new: NewEnvelope, claim: Claim | None, plan: Plan | None
) -> tuple[str | None, ...]:
    """The arguments of insert_envelope, each a JSON document."""
    envelope = new.envelope
    placed = list(enumerate(envelope.documents, start=1))
    taken = [{"id": str(one.id), "position": place} for place, one in placed if place in new.attached]
    return (
        dump(msgspec.structs.replace(envelope, recipients=(), documents=(), fields=())),
        dump([recipient_row(recipient) for recipient in envelope.recipients]),
        dump([one for place, one in placed if place in new.ingested]),
        dump(taken),
        dump(envelope.fields),
        _claim_row(claim),
        _dispatch_row(services, plan),
    )


def _claim_row(claim: Claim | None) -> str | None:
    if claim is None:
        return None
    return dump(_claim_facts(claim))


def _claim_facts(claim: Claim) -> dict[str, Any]:
    return {"principal": claim.principal, "route": claim.route, "key": claim.key, "token": claim.token}


def _dispatch_row(services: Services, plan: Plan | None) -> str | None:
    if plan is None:
        return None
    chosen = plan.route.candidate.connection
    return dump(
        {
            "status": EnvelopeStatus.PROCESSING,
            "epoch": plan.epoch,
            "provider": chosen.provider,
            "connection_id": chosen.id,
            "connection_version": plan.route.opened.version,
            "mode": plan.mode,
            "routing": plan.route.decision,
            "degraded": plan.route.losses,
            "deadline_s": dispatch_time_s(services),
            "routing_stamp": plan.route.stamp,
        }
    )


def _taken(names: Sequence[str]) -> Conflict:
    return Conflict(
        f"These documents are already part of an envelope: {', '.join(names)}.",
        remedy="Upload the document again for another envelope.",
    )
