"""Applies what a provider says to an envelope: forward only, once, and recorded as it changes.

Used for webhooks, for answers to our own commands and for look-ups, so that a fact has the same effect
however it reaches us. Must never move an ended envelope, and never fail for a recipient it cannot find.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from config.database import Transaction
from gateway.envelopes.facts import envelope_event, recipient_event
from gateway.envelopes.model import StoredEnvelope, StoredRecipient
from gateway.envelopes.store import change_envelope, change_recipient
from gateway.services import Services
from normalizer.canonical import Json
from normalizer.envelope import EnvelopeReport, RecipientReport
from normalizer.events import Actor, Event, Source
from normalizer.recipient import Role
from normalizer.status import EnvelopeStatus, RecipientStatus, advance, advance_recipient
from normalizer.vocabulary import LedgerType

_S, _R, _L = EnvelopeStatus, RecipientStatus, LedgerType

ENVELOPE_ENTRY: dict[EnvelopeStatus, LedgerType] = {
    _S.SENT: _L.ENVELOPE_SENT,
    _S.DELIVERED: _L.ENVELOPE_DELIVERED,
    _S.SIGNED: _L.ENVELOPE_SIGNED,
    _S.COMPLETED: _L.ENVELOPE_COMPLETED,
    _S.DECLINED: _L.ENVELOPE_DECLINED,
    _S.VOIDED: _L.ENVELOPE_VOIDED,
    _S.EXPIRED: _L.ENVELOPE_EXPIRED,
    _S.FAILED: _L.ENVELOPE_FAILED,
}
RECIPIENT_ENTRY: dict[RecipientStatus, LedgerType] = {
    _R.SENT: _L.SIGNATURE_REQUESTED,
    _R.DELIVERED: _L.RECIPIENT_VIEWED,
    _R.COMPLETED: _L.RECIPIENT_COMPLETED,
    _R.DECLINED: _L.RECIPIENT_DECLINED,
    _R.BOUNCED: _L.RECIPIENT_BOUNCED,
    _R.AUTH_FAILED: _L.RECIPIENT_AUTH_FAILED,
}
# What becomes of those who had not finished when the envelope ends otherwise than by completion.
_LEFT_BEHIND = {
    _S.DECLINED: _R.CANCELLED,
    _S.VOIDED: _R.CANCELLED,
    _S.FAILED: _R.CANCELLED,
    _S.EXPIRED: _R.EXPIRED,
}


class Applied(msgspec.Struct, frozen=True):
    """The envelope after the change, and the events that were recorded; () when nothing was new."""

    envelope: StoredEnvelope
    events: tuple[Event, ...]


async def apply_report(
    services: Services,
    tx: Transaction,
    envelope: StoredEnvelope,
    report: EnvelopeReport,
    actor: Actor,
    source: Source,
    *,
    extra: Sequence[Event] = (),
) -> Applied:
    """Writes the changes of a locked envelope in the caller's transaction; the caller commits.

    `extra`: events of the same fact that change no status (an authentication, a reminder).
    """
    facts: dict[str, Json] = {"provider": envelope.provider or "", "provider_status": report.provider_status}
    recipients: list[StoredRecipient] = list(envelope.recipients)
    events: list[Event] = []
    for told in report.recipients:
        events.extend(
            await _apply_to_recipient(services, tx, envelope, recipients, told, actor, source, facts)
        )
    status = advance(envelope.status, report.status)
    status = advance(status, derive_status(recipients))
    changes: dict[str, Any] = {}
    if report.provider_status and report.provider_status != envelope.provider_status:
        changes["provider_status"] = report.provider_status[:60]
    if status is not envelope.status:
        changes |= await _change_status(services, tx, envelope, status, report, recipients)
        events.append(
            envelope_event(
                services,
                ENVELOPE_ENTRY[status],
                envelope,
                actor,
                source,
                status=status,
                facts=facts,
                occurred_at=report.changed_at,
                reason=report.reason,
            )
        )
    if changes:
        await change_envelope(tx, envelope.tenant_id, envelope.id, changes)
    events = [*extra, *events]
    if events:
        await services.recorder.record(tx, events)
    after = msgspec.structs.replace(envelope, status=status, recipients=tuple(recipients))
    return Applied(after, tuple(events))


def derive_status(recipients: Sequence[StoredRecipient]) -> EnvelopeStatus:
    """What the recipients alone say: SIGNED when one has finished, DELIVERED when all whose turn it is have
    opened it, else UNKNOWN. Completion is never derived: only the provider says so.
    """
    acting = [one for one in recipients if Role(one.role).acts]
    if any(one.status is _R.COMPLETED for one in acting):
        return _S.SIGNED
    waiting = [one for one in acting if not one.status.is_terminal]
    if not waiting:
        return _S.UNKNOWN
    turn = min(one.routing_order for one in waiting)
    if all(one.status is _R.DELIVERED for one in waiting if one.routing_order == turn):
        return _S.DELIVERED
    return _S.UNKNOWN


def find_recipient(recipients: Sequence[StoredRecipient], told: RecipientReport) -> StoredRecipient | None:
    """By our id, by the provider's, then by e-mail (and routing order, when several share an address)."""
    if told.recipient_id is not None:
        return next((one for one in recipients if one.id == told.recipient_id), None)
    if told.provider_ref:
        known = next((one for one in recipients if one.provider_ref == told.provider_ref), None)
        if known is not None:
            return known
    same = [one for one in recipients if one.email.lower() == told.email.lower()]
    if len(same) > 1 and told.routing_order:
        same = [one for one in same if one.routing_order == told.routing_order] or same
    unfinished = [one for one in same if not one.status.is_terminal]
    candidates = unfinished or same
    return candidates[0] if candidates else None


async def _apply_to_recipient(
    services: Services,
    tx: Transaction,
    envelope: StoredEnvelope,
    recipients: list[StoredRecipient],
    told: RecipientReport,
    actor: Actor,
    source: Source,
    facts: dict[str, Json],
) -> list[Event]:
    before = find_recipient(recipients, told)
    if before is None:
        return []
    # A place that was handed on is still open: the event of it (apply_event.py) put the successor in.
    reported = _R.UNKNOWN if told.status is _R.REASSIGNED else told.status
    status = advance_recipient(before.status, reported)
    changes: dict[str, Any] = {}
    if told.provider_ref and told.provider_ref != before.provider_ref:
        changes["provider_ref"] = told.provider_ref[:255]
    if status is not before.status:
        changes["status"] = str(status)
        moment: datetime = told.at or services.clock.now()
        if status is _R.DELIVERED:
            changes["delivered_at"] = moment
        if status is _R.COMPLETED:
            changes["completed_at"] = moment
        if told.reason:
            changes["reason"] = told.reason[:1000]
        if told.ip_address:
            changes["ip_address"] = told.ip_address[:50]
    if not changes:
        return []
    await change_recipient(tx, envelope.tenant_id, before.id, changes)
    after = msgspec.structs.replace(
        before, status=status, provider_ref=changes.get("provider_ref", before.provider_ref)
    )
    recipients[recipients.index(before)] = after
    kind = RECIPIENT_ENTRY.get(status) if status is not before.status else None
    if kind is None:
        return []
    return [
        recipient_event(
            services,
            kind,
            envelope,
            before,
            actor,
            source,
            status=status,
            facts=facts,
            occurred_at=told.at,
            reason=told.reason,
        )
    ]


async def _change_status(
    services: Services,
    tx: Transaction,
    envelope: StoredEnvelope,
    status: EnvelopeStatus,
    report: EnvelopeReport,
    recipients: list[StoredRecipient],
) -> dict[str, Any]:
    moment = report.changed_at or services.clock.now()
    changes: dict[str, Any] = {"status": str(status)}
    if envelope.sent_at is None and status is not _S.FAILED:
        changes["sent_at"] = moment
    if status is _S.COMPLETED:
        changes["completed_at"] = moment
    if report.reason:
        changes["reason"] = report.reason[:1000]
    left_behind = _LEFT_BEHIND.get(status)
    if left_behind is not None:
        open_ids: list[UUID] = [one.id for one in recipients if not one.status.is_terminal]
        await tx.driver.execute(
            "UPDATE recipients SET status = $3 WHERE tenant_id = $1 AND id = ANY($2)",
            envelope.tenant_id,
            open_ids,
            str(left_behind),
        )
        recipients[:] = [
            msgspec.structs.replace(one, status=left_behind) if one.id in open_ids else one
            for one in recipients
        ]
    return changes
