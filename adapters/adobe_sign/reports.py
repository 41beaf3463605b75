"""What the provider says, in our words: agreements, participants, and an agreement's history.

Must never take CANCELLED for a withdrawal by itself: the history says whether it was one.
Source: developer guide of 2026-04-29, agreement statuses and events.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from adapters.adobe_sign.answers import (
    Agreement,
    AgreementEvent,
    ListedAgreement,
    Member,
    Members,
    ParticipantSet,
    SigningUrls,
)
from adapters.adobe_sign.mapping import (
    AMBIGUOUS_END,
    END_EVENT,
    PARTICIPANT_STATUS,
    WAITING_FOR_THEM,
    End,
    envelope_status,
    recipient_status,
)
from adapters.adobe_sign.moments import read_moment
from normalizer.envelope import AuditRecord, EnvelopeReport, RecipientReport
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id, read_id
from normalizer.recipient import Recipient
from normalizer.status import EnvelopeStatus, RecipientStatus

_REPLACED = "REPLACED"
_UNEXPLAINED = End(EnvelopeStatus.VOIDED, None, "unknown")


def is_ambiguous_end(word: str) -> bool:
    return word in AMBIGUOUS_END


def explain_end(events: Iterable[AgreementEvent]) -> tuple[End, AgreementEvent]:
    """Why an agreement ended, and the event that says so; the latest wins. VOIDED with the reason "unknown"
    when no event says.
    """
    ended = [event for event in events if event.type in END_EVENT]
    if not ended:
        return _UNEXPLAINED, AgreementEvent()
    last = max(ended, key=lambda event: event.date)
    return END_EVENT[last.type], last


def report_agreement(
    agreement: Agreement, members: Members, events: tuple[AgreementEvent, ...] = ()
) -> EnvelopeReport:
    """`events` are needed when the status is an ambiguous end, and ignored otherwise."""
    report = EnvelopeReport(
        provider_ref=agreement.id,
        status=_status(agreement.status, members.participant_sets),
        provider_status=agreement.status,
        reference=agreement.external_id.id if agreement.external_id else "",
        changed_at=read_moment(agreement.last_event_date),
        recipients=tuple(report_participant(each) for each in members.participant_sets),
    )
    return _with_end(report, events) if is_ambiguous_end(agreement.status) else report


def report_listed(
    row: ListedAgreement, reference: str = "", events: tuple[AgreementEvent, ...] | None = None
) -> EnvelopeReport:
    """One row of a list. An ambiguous end without its events stays UNKNOWN: ends are for ever."""
    report = EnvelopeReport(
        provider_ref=row.id,
        status=envelope_status(row.status),
        provider_status=row.status,
        reference=reference,
    )
    if not is_ambiguous_end(row.status):
        return report
    if events is None:
        return msgspec.structs.replace(report, status=EnvelopeStatus.UNKNOWN)
    return _with_end(report, events)


def report_participant(each: ParticipantSet) -> RecipientReport:
    member = active_member(each)
    return RecipientReport(
        status=recipient_status(each.status),
        email=member.email,
        name=member.name,
        provider_ref=each.id,
        recipient_id=recipient_id_of(each.name),
        routing_order=each.order if isinstance(each.order, int) else 0,
    )


def audit_record(event: AgreementEvent) -> AuditRecord:
    return AuditRecord(
        at=read_moment(event.date),
        action=event.type,
        actor=event.acting_user_email or event.participant_email,
        ip_address=event.acting_user_ip_address,
        detail=event.comment or event.description,
    )


def find_set(members: Members, recipient: Recipient) -> ParticipantSet | None:
    """By the provider's id, by ours (the set's name), and last by e-mail address."""
    sets = members.participant_sets
    named = print_id(Kind.RECIPIENT, recipient.id)
    for found in (
        [each for each in sets if recipient.provider_ref and each.id == recipient.provider_ref],
        [each for each in sets if each.name == named],
        [each for each in sets if _same(active_member(each).email, recipient.email)],
    ):
        if found:
            return found[0]
    return None


def find_signing_url(urls: SigningUrls, recipient: Recipient) -> str:
    """Empty when it is not their turn. The set's name first: two recipients may share an address."""
    sets = urls.signing_url_set_infos
    named = [each for each in sets if each.signing_url_set_name == print_id(Kind.RECIPIENT, recipient.id)]
    for each in named or sets:
        for url in each.signing_urls:
            if _same(url.email, recipient.email):
                return url.esign_url
    return ""


def waiting_members(sets: Iterable[ParticipantSet]) -> tuple[str, ...]:
    """The participants' ids of those sets whose turn it is."""
    return tuple(
        member.id
        for each in sets
        if each.status.startswith(WAITING_FOR_THEM) and each.status in PARTICIPANT_STATUS
        for member in each.member_infos
        if member.status != _REPLACED
    )


def active_member(each: ParticipantSet) -> Member:
    """Who acts for the set now; replaced members stay in the list."""
    active = [member for member in each.member_infos if member.status != _REPLACED]
    return active[-1] if active else Member()


def recipient_id_of(name: str) -> UUID | None:
    """Our recipient's id from a participant set's name, when we gave it that name."""
    if not name.startswith(f"{Kind.RECIPIENT}_"):
        return None
    try:
        return read_id(Kind.RECIPIENT, name)
    except NotFound:
        return None


def _status(word: str, sets: tuple[ParticipantSet, ...]) -> EnvelopeStatus:
    """The provider has no word for "some have signed": the participants say it."""
    status = envelope_status(word)
    if status is EnvelopeStatus.SENT and any(
        recipient_status(each.status) is RecipientStatus.COMPLETED for each in sets
    ):
        return EnvelopeStatus.SIGNED
    return status


def _with_end(report: EnvelopeReport, events: tuple[AgreementEvent, ...]) -> EnvelopeReport:
    end, event = explain_end(events)
    reason = ": ".join(filter(None, (end.reason, event.comment)))
    return msgspec.structs.replace(
        report,
        status=end.status,
        reason=reason,
        changed_at=read_moment(event.date) or report.changed_at,
        recipients=tuple(
            msgspec.structs.replace(each, status=end.recipient, reason=reason)
            if end.recipient is not None and _same(each.email, event.participant_email)
            else each
            for each in report.recipients
        ),
    )


def _same(one: str, other: str) -> bool:
    return bool(one) and one.casefold() == other.casefold()
