"""DocuSign's words become ours: statuses, recipients, events; total tables with a remark where it surprises.

Must never raise for a word that nobody has mapped: it becomes UNKNOWN and a warning, and moves nothing.
Source: eSignature REST API v2.1 (envelope and recipient statuses); DocuSign Connect event triggers.
"""

import logging
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from adapters.docusign import answers
from adapters.docusign.answers import is_true, moment, text
from adapters.docusign.definition import REFERENCE_FIELD
from adapters.docusign.recipients import recipient_id_in
from normalizer.envelope import AuditRecord, EnvelopeReport, RecipientReport
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType

_log = logging.getLogger("countersign.provider")
_S, _R, _E = EnvelopeStatus, RecipientStatus, EventType
_W = TypeVar("_W", EnvelopeStatus, RecipientStatus)

ENVELOPE_STATUS: dict[str, EnvelopeStatus] = {
    "created": _S.DRAFT,
    "processing": _S.PROCESSING,  # answer of an asynchronous create
    "sent": _S.SENT,  # also again after delivered, when the next order's turn comes: the rank rule ignores it
    "correct": _S.SENT,  # older word: the sender has the envelope open for correction
    "delivered": _S.DELIVERED,
    "signed": _S.SIGNED,
    "completed": _S.COMPLETED,
    "declined": _S.DECLINED,
    "voided": _S.VOIDED,  # or EXPIRED: `_ended`
    "deleted": _S.VOIDED,  # a draft in the recycle bin, which nobody can sign any more
    "timedout": _S.EXPIRED,
}

RECIPIENT_STATUS: dict[str, RecipientStatus] = {
    "created": _R.PENDING,
    "sent": _R.SENT,
    "faxpending": _R.SENT,  # signs on paper; the fax is awaited
    "delivered": _R.DELIVERED,
    "signed": _R.COMPLETED,  # short-lived word before completed
    "completed": _R.COMPLETED,
    "declined": _R.DECLINED,
    "autoresponded": _R.BOUNCED,  # a bounce or an out-of-office answer: soft, the address can be corrected
}


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """`type` None: authentic, kept, and nothing to do."""

    type: EventType | None
    status: EnvelopeStatus | None = None
    recipient_status: RecipientStatus | None = None
    remark: str = ""


EVENTS: dict[str, EventRow] = {
    "envelope-created": EventRow(type=_E.ENVELOPE_CREATED, status=_S.DRAFT),
    "envelope-sent": EventRow(type=_E.ENVELOPE_SENT, status=_S.SENT),
    "envelope-resent": EventRow(type=_E.ENVELOPE_RESENT),
    "envelope-delivered": EventRow(type=_E.ENVELOPE_DELIVERED, status=_S.DELIVERED),
    "envelope-completed": EventRow(type=_E.ENVELOPE_COMPLETED, status=_S.COMPLETED),
    "envelope-declined": EventRow(type=_E.ENVELOPE_DECLINED, status=_S.DECLINED),
    "envelope-voided": EventRow(
        type=_E.ENVELOPE_VOIDED, status=_S.VOIDED, remark="expiry comes as this, too; there is no other event"
    ),
    "envelope-corrected": EventRow(type=_E.ENVELOPE_CORRECTED),
    "envelope-purge": EventRow(type=_E.ENVELOPE_PURGED, remark="a configuration option, not a status"),
    "envelope-deleted": EventRow(type=_E.ENVELOPE_DELETED, remark="into the recycle bin; no status either"),
    "envelope-discard": EventRow(type=_E.ENVELOPE_DELETED, remark="a draft thrown away in DocuSign's own UI"),
    "envelope-reminder-sent": EventRow(type=_E.ENVELOPE_REMINDED),
    "recipient-sent": EventRow(type=_E.RECIPIENT_SENT, recipient_status=_R.SENT),
    "recipient-resent": EventRow(type=_E.ENVELOPE_RESENT, remark="names the recipient who was asked again"),
    "recipient-delivered": EventRow(type=_E.RECIPIENT_DELIVERED, recipient_status=_R.DELIVERED),
    "recipient-completed": EventRow(type=_E.RECIPIENT_COMPLETED, recipient_status=_R.COMPLETED),
    "recipient-declined": EventRow(type=_E.RECIPIENT_DECLINED, recipient_status=_R.DECLINED),
    "recipient-authenticationfailed": EventRow(
        type=_E.RECIPIENT_AUTH_FAILED, recipient_status=_R.AUTH_FAILED, remark="there is no such status"
    ),
    "recipient-autoresponded": EventRow(type=_E.RECIPIENT_BOUNCED, recipient_status=_R.BOUNCED),
    "recipient-reassign": EventRow(
        type=_E.RECIPIENT_DELEGATED,
        recipient_status=_R.REASSIGNED,
        remark="the recipient chose 'assign to someone else'; a sender's correction is envelope-corrected",
    ),
    "recipient-delegate": EventRow(type=_E.RECIPIENT_DELEGATED, recipient_status=_R.REASSIGNED),
    "recipient-finish-later": EventRow(type=None, remark="a pause; the status says delivered already"),
}
UNMAPPED_EVENT = EventRow(type=None, remark="authentic but new: kept and answered, never guessed at")

# Arrays whose members must act before the envelope can complete.
_BLOCKING = frozenset(
    {"signers", "inPersonSigners", "certifiedDeliveries", "agents", "editors", "intermediaries", "witnesses"}
)
# What DocuSign is said to write as the reason of an expiry; unconfirmed, so dates are asked first.
_EXPIRY_REASONS = frozenset({"envelope has expired", "envelope expired", "expired"})


def report_of(envelope: answers.Envelope) -> EnvelopeReport:
    """The provider's view of an envelope; partly signed is derived from the recipients."""
    word = text(envelope.status)
    status = _ended(envelope, _word(ENVELOPE_STATUS, word, _S.UNKNOWN))
    recipients = tuple(
        recipient_report(member, status) for _, member in (envelope.recipients or answers.Recipients()).each()
    )
    return EnvelopeReport(
        provider_ref=envelope.envelope_id.lower(),
        status=_partly_signed(envelope, status),
        provider_status=word,
        reference=_reference(envelope),
        changed_at=moment(envelope.status_changed_date_time),
        reason=text(envelope.voided_reason) or _declined_reason(envelope),
        recipients=recipients,
    )


def recipient_report(
    member: answers.Recipient, envelope_status: EnvelopeStatus = _S.UNKNOWN
) -> RecipientReport:
    status = _word(RECIPIENT_STATUS, text(member.status), _R.UNKNOWN)
    if not status.is_terminal and envelope_status in {_S.VOIDED, _S.EXPIRED}:
        status = _R.EXPIRED if envelope_status is _S.EXPIRED else _R.CANCELLED
    elif not status.is_terminal and _has_failed_proof(member):
        status = _R.AUTH_FAILED
    return RecipientReport(
        status=status,
        email=email_of(member),
        name=text(member.signer_name) or text(member.name),
        provider_ref=text(member.recipient_id),
        recipient_id=our_id_of(member),
        routing_order=_whole(text(member.routing_order)),
        at=_since(member),
        reason=text(member.declined_reason) or text(member.auto_responded_reason),
    )


def email_of(member: answers.Recipient) -> str:
    """For a person at a host's device the signer's own address, when given; never the host's."""
    return text(member.signer_email) or text(member.email)


def our_id_of(member: answers.Recipient) -> UUID | None:
    return recipient_id_in(tuple(text(field) for field in member.custom_fields or ()))


def audit_record(event: answers.AuditEvent) -> AuditRecord:
    fields = {text(field.name).casefold(): text(field.value) for field in event.event_fields or ()}
    return AuditRecord(
        at=moment(fields.get("logtime")),
        action=fields.get("action", ""),
        actor=fields.get("username", ""),
        ip_address=fields.get("clientipaddress", ""),
        detail=fields.get("message", "") or fields.get("information", ""),
    )


def event_row(event: str) -> EventRow:
    row = EVENTS.get(event.casefold())
    if row is None:
        _log.warning("provider.event_unmapped", extra={"provider": "docusign", "provider_event": event[:80]})
        return UNMAPPED_EVENT
    return row


def type_of(row: EventRow, status: EnvelopeStatus | None) -> EventType | None:
    """The event's type, once it is known whether a void was an expiry."""
    return _E.ENVELOPE_EXPIRED if status is _S.EXPIRED and row.type is _E.ENVELOPE_VOIDED else row.type


def _ended(envelope: answers.Envelope, status: EnvelopeStatus) -> EnvelopeStatus:
    """Voided, or expired: DocuSign voids an envelope whose time has run out."""
    if status is not _S.VOIDED or text(envelope.status).casefold() == "deleted":
        return status
    voided, due = moment(envelope.voided_date_time), moment(envelope.expire_date_time)
    if is_true(envelope.expire_enabled) and voided and due and voided >= due:
        return _S.EXPIRED
    reason = text(envelope.voided_reason).strip().rstrip(".").casefold()
    return _S.EXPIRED if reason in _EXPIRY_REASONS else status


def _partly_signed(envelope: answers.Envelope, status: EnvelopeStatus) -> EnvelopeStatus:
    if status not in {_S.SENT, _S.DELIVERED} or envelope.recipients is None:
        return status
    finished = any(
        array in _BLOCKING and RECIPIENT_STATUS.get(text(member.status).casefold()) is _R.COMPLETED
        for array, member in envelope.recipients.each()
    )
    return _S.SIGNED if finished else status


def _reference(envelope: answers.Envelope) -> str:
    fields = (envelope.custom_fields.text_custom_fields if envelope.custom_fields else None) or ()
    own = next((text(field.value) for field in fields if text(field.name) == REFERENCE_FIELD), "")
    return own or text(envelope.transaction_id)


def _declined_reason(envelope: answers.Envelope) -> str:
    members = envelope.recipients.each() if envelope.recipients else ()
    return next((text(member.declined_reason) for _, member in members if text(member.declined_reason)), "")


def _has_failed_proof(member: answers.Recipient) -> bool:
    """The exact spelling is not documented ("Fail", "Failed"), so the word's beginning decides."""
    results = (member.recipient_authentication_status or {}).values()
    return any(
        str(result.get("status", "")).casefold().startswith("fail")
        for result in results
        if isinstance(result, dict)
    )


def _since(member: answers.Recipient) -> datetime | None:
    for value in (
        member.declined_date_time,
        member.signed_date_time,
        member.delivered_date_time,
        member.sent_date_time,
    ):
        found = moment(value)
        if found is not None:
            return found
    return None


def _whole(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() else 0


def _word(table: dict[str, _W], word: str, unknown: _W) -> _W:
    found = table.get(word.casefold())
    if found is None:
        _log.warning("provider.status_unmapped", extra={"provider": "docusign", "status": word[:80]})
        return unknown
    return found
