"""Webhooks in: who posts, how to answer, and what a notification says.

The provider signs nothing. What stands for a signature is the application's client id in a header, the
unguessable path of the connection, and that every end is confirmed by a GET before it is believed. Must never
echo a client id that is not this connection's own: the echo is what approves a webhook at the provider.
Source: developer guide of 2026-04-29: verification of intent, notifications, payload, events.
"""

import hashlib
import hmac
from typing import Any

import msgspec

from adapters.adobe_sign.answers import (
    Agreement,
    Member,
    Members,
    Notification,
    NotifiedAgreement,
    ParticipantSet,
)
from adapters.adobe_sign.credentials import Credentials
from adapters.adobe_sign.happenings import Happening, happening_of
from adapters.adobe_sign.mapping import AMBIGUOUS_END, envelope_status
from adapters.adobe_sign.moments import read_moment
from adapters.adobe_sign.reports import active_member, recipient_id_of, report_agreement
from adapters.kit.port import Connection, RawRequest, Reply, Verdict
from normalizer.envelope import EnvelopeReport
from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent, ReportedDocument
from normalizer.status import EnvelopeStatus, RecipientStatus
from normalizer.vocabulary import EventType

_CLIENT_ID = "x-adobesign-clientid"
_ECHO = "X-AdobeSign-ClientId"
_HANDOVERS = frozenset({EventType.RECIPIENT_DELEGATED, EventType.RECIPIENT_REPLACED})


def verify(request: RawRequest, connection: Connection) -> Verdict:
    """Whether the post names this connection's application; fails closed when there is no id to compare."""
    credentials: Credentials = connection.credentials
    named = [value for key, value in request.headers if key == _CLIENT_ID]
    if not credentials.client_id:
        return Verdict(authentic=False, key_index=-1, reason="the connection has no client id")
    if len(named) != 1:
        return Verdict(authentic=False, key_index=-1, reason=f"{len(named)} client ids in the headers")
    if not hmac.compare_digest(named[0].encode(), credentials.client_id.encode()):
        return Verdict(authentic=False, key_index=-1, reason="another client id")
    return Verdict(authentic=True, key_index=0, reason="client id", scheme="client_id")


def challenge(request: RawRequest, connection: Connection) -> Reply:
    """The answer to the GET that asks whether we want a webhook; the provider waits five seconds for it."""
    return acknowledge(connection, verify(request, connection))


def acknowledge(connection: Connection, verdict: Verdict) -> Reply:
    """A 2xx without the echo counts as a failure and comes again for ever, so both forms of it are sent."""
    if not verdict.authentic:
        return Reply(403)
    client_id: str = connection.credentials.client_id
    body = msgspec.json.encode({"xAdobeSignClientId": client_id})
    return Reply(200, ((_ECHO, client_id), ("Content-Type", "application/json")), body)


def parse(body: bytes) -> tuple[ProviderEvent, ...]:
    """One event per notification; () for web forms, bulk sends and library documents. Raises
    PayloadMalformed.
    """
    notification = _decode(body)
    if not notification.event:
        raise PayloadMalformed("The notification names no event.")
    if not _is_about_agreement(notification):
        return ()
    agreement = notification.agreement
    if agreement is None or not agreement.id:
        raise PayloadMalformed(f"The notification {notification.event[:80]} names no agreement.")
    return (_event(notification, agreement, body),)


def _decode(body: bytes) -> Notification:
    try:
        # Nulls stand for absent attributes in trimmed messages; the structs know only absence.
        return msgspec.convert(_without_nulls(msgspec.json.decode(body)), Notification)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PayloadMalformed(f"The notification is not what the provider documents: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value


def _is_about_agreement(notification: Notification) -> bool:
    """Real messages write the type in lower case, the documentation in upper case."""
    kind = notification.event_resource_type.lower()
    return kind == "agreement" or (not kind and notification.event.startswith("AGREEMENT_"))


def _event(notification: Notification, agreement: NotifiedAgreement, body: bytes) -> ProviderEvent:
    happening = happening_of(notification.event, notification.sub_event)
    acting_set = _set_of(agreement, notification)
    reason = happening.reason or _comment(notification)
    report = _report(agreement, happening, notification, reason)
    old, new = _people(happening, notification, acting_set)
    status = happening.status or _open_status(agreement.status)
    return ProviderEvent(
        type=happening.type,
        provider_event=f"{notification.event}/{notification.sub_event}".rstrip("/"),
        dedupe_key=_dedupe_key(notification, body),
        provider_ref=agreement.id,
        occurred_at=read_moment(notification.event_date),
        reference=agreement.external_id.id if agreement.external_id else "",
        status=status,
        recipient_status=happening.recipient,
        recipient_email=old if happening.concerns_recipient else "",
        recipient_ref=acting_set.id if happening.concerns_recipient and acting_set else "",
        recipient_id=recipient_id_of(acting_set.name)
        if happening.concerns_recipient and acting_set
        else None,
        new_recipient_email=new.email,
        new_recipient_name=new.name,
        reason=reason,
        ip_address=notification.acting_user_ip_address,
        report=report,
        confirm=_needs_confirmation(status, report),
        documents=_documents(agreement),
    )


def _documents(agreement: NotifiedAgreement) -> tuple[ReportedDocument, ...] | None:
    listed = agreement.documents_info
    if listed is None:
        return None
    return tuple(ReportedDocument(one.name or one.label) for one in listed.documents)


def _dedupe_key(notification: Notification, body: bytes) -> str:
    """Redeliveries repeat the notification's id; a message without one is known by its bytes."""
    if notification.webhook_notification_id:
        return f"{notification.webhook_notification_id}:{notification.event}"
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _open_status(word: str) -> EnvelopeStatus | None:
    """The agreement's own status where the event says none; ends come from events alone."""
    status = envelope_status(word) if word else None
    return None if status is None or status.is_terminal or status is EnvelopeStatus.UNKNOWN else status


def _comment(notification: Notification) -> str:
    for about in (notification.agreement_cancellation_info, notification.agreement_expiration_info):
        if about is not None and about.comment:
            return about.comment
    return ""


def _set_of(agreement: NotifiedAgreement, notification: Notification) -> ParticipantSet | None:
    """The participant set of the person that the event is about, when the message carries participants."""
    wanted = notification.participant_user_email.casefold()
    sets = agreement.participant_sets_info.participant_sets if agreement.participant_sets_info else ()
    return next(
        (
            each
            for each in sets
            if wanted and any(member.email.casefold() == wanted for member in each.member_infos)
        ),
        None,
    )


def _people(
    happening: Happening, notification: Notification, acting_set: ParticipantSet | None
) -> tuple[str, Member]:
    """(whom the event is about, who takes the place). Only a handover has the second."""
    named = notification.participant_user_email
    if happening.type not in _HANDOVERS:
        return named, Member()
    members = acting_set.member_infos if acting_set else ()
    replaced = [member.email for member in members if member.status == "REPLACED"]
    new = active_member(acting_set) if acting_set else Member()
    if replaced and new.email:
        return replaced[-1], new
    # Without participants: whoever acted handed over to whom the event names.
    return notification.acting_user_email or named, Member(email=named)


def _report(
    agreement: NotifiedAgreement, happening: Happening, notification: Notification, reason: str
) -> EnvelopeReport | None:
    """The whole view, when the message has one. CANCELLED stays UNKNOWN unless the event explains it."""
    if agreement.participant_sets_info is None or not agreement.status:
        return None
    seen = Agreement(id=agreement.id, status=agreement.status, external_id=agreement.external_id)
    members = Members(participant_sets=agreement.participant_sets_info.participant_sets)
    report = report_agreement(seen, members)
    if happening.status is not None and happening.status.is_terminal:
        status, about = happening.status, notification.participant_user_email.casefold()
    else:
        status, about = report.status, ""
        if agreement.status in AMBIGUOUS_END:
            status = EnvelopeStatus.UNKNOWN
    return msgspec.structs.replace(
        report,
        status=status,
        reason=reason,
        changed_at=read_moment(notification.event_date),
        recipients=tuple(
            msgspec.structs.replace(each, status=happening.recipient, reason=reason)
            if happening.recipient in {RecipientStatus.DECLINED, RecipientStatus.AUTH_FAILED}
            and about
            and each.email.casefold() == about
            else each
            for each in report.recipients
        ),
    )


def _needs_confirmation(status: EnvelopeStatus | None, report: EnvelopeReport | None) -> bool:
    ends = status is not None and status.is_terminal
    return ends or (
        report is not None and (report.status.is_terminal or report.status is EnvelopeStatus.UNKNOWN)
    )
