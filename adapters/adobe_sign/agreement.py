"""A normalized envelope as the body of POST /agreements.

One recipient is one participant set with one member: several members of a set would mean that any one of
them signs for all. Must never invent an attribute that the provider does not document, nor drop one of ours
that losses.py has not told.
Source: REST v6 swagger 1.2 (AgreementInfo); developer guide of 2026-04-29.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from adapters.adobe_sign.capabilities import CAPABILITIES
from adapters.adobe_sign.fields import build_generators, document_label, in_order
from adapters.adobe_sign.losses import NAME, is_silent, reminder_frequency
from adapters.adobe_sign.mapping import AUTHENTICATION, ROLE, locale
from adapters.adobe_sign.moments import write_moment
from adapters.adobe_sign.wire import (
    AgreementInfo,
    Copy,
    EmailOption,
    ExternalId,
    FileInfo,
    MemberInfo,
    ParticipantSetInfo,
    PhoneInfo,
    SecurityOption,
    SendOptions,
)
from normalizer.envelope import Envelope
from normalizer.errors import Finding, UnsupportedFeature, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.recipient import LEVEL_METHOD, AuthenticationLevel, AuthenticationMethod, Recipient, Role

_MAIL_NOBODY = EmailOption(
    send_options=SendOptions(init_emails="NONE", in_flight_emails="NONE", completion_emails="NONE")
)


def build_agreement(
    envelope: Envelope, transient_ids: Sequence[str], state: str, now: datetime
) -> AgreementInfo:
    """`transient_ids` in the order of the documents. Raises ValidationFailed and UnsupportedFeature."""
    reminders = envelope.reminders
    return AgreementInfo(
        name=envelope.subject,
        state=state,
        signature_type="ESIGN",
        message=envelope.message,
        locale=locale(envelope.language),
        external_id=ExternalId(id=envelope.reference),
        file_infos=_file_infos(envelope, transient_ids),
        participant_sets_info=_participant_sets(envelope),
        ccs=tuple(
            Copy(email=recipient.email)
            for recipient in envelope.recipients
            if recipient.role is Role.CARBON_COPY
        ),
        expiration_time=_expiration(envelope, now),
        reminder_frequency=reminder_frequency(reminders.every_hours) if reminders else "",
        first_reminder_delay=max(1, reminders.first_after_hours) if reminders else 0,
        email_option=_MAIL_NOBODY if is_silent(envelope) else None,
        form_field_generators=build_generators(envelope),
    )


def build_member(recipient: Recipient, level: AuthenticationLevel, *, name: str, email: str) -> MemberInfo:
    return MemberInfo(email=email, name=name, security_option=_security(recipient, level))


def _file_infos(envelope: Envelope, transient_ids: Sequence[str]) -> tuple[FileInfo, ...]:
    template = (FileInfo(library_document_id=envelope.template_ref),) if envelope.template_ref else ()
    return template + tuple(
        FileInfo(transient_document_id=transient_id, label=document_label(envelope, document))
        for document, transient_id in zip(in_order(envelope), transient_ids, strict=True)
    )


def _participant_sets(envelope: Envelope) -> tuple[ParticipantSetInfo, ...]:
    acting = [recipient for recipient in envelope.recipients if recipient.role.acts]
    # Their orders begin with 1 and have no gaps; ours may be 5, 10, 10, 40.
    orders = sorted({recipient.routing_order for recipient in acting})
    return tuple(
        ParticipantSetInfo(
            name=print_id(Kind.RECIPIENT, recipient.id),
            order=orders.index(recipient.routing_order) + 1,
            role=ROLE[recipient.role],
            private_message=recipient.note,
            member_infos=(
                build_member(
                    recipient, envelope.authentication_level, name=recipient.name, email=recipient.email
                ),
            ),
        )
        for recipient in sorted(acting, key=lambda recipient: recipient.routing_order)
    )


def _security(recipient: Recipient, level: AuthenticationLevel) -> SecurityOption:
    """The recipient's own method; who has none gets the envelope's level."""
    method = recipient.authentication
    if method is AuthenticationMethod.EMAIL:
        method = LEVEL_METHOD[level]
    word = AUTHENTICATION[method]
    if word == "PASSWORD" and (recipient.access_code is None or not recipient.access_code.value):
        raise _missing(recipient, "access_code", "an access code")
    if word == "PHONE" and recipient.phone is None:
        raise _missing(recipient, "phone", "a telephone number")
    return SecurityOption(
        authentication_method=word,
        password=recipient.access_code.value if recipient.access_code and word == "PASSWORD" else "",
        phone_info=PhoneInfo(country_code=recipient.phone.country_code, phone=recipient.phone.number)
        if recipient.phone and word == "PHONE"
        else None,
    )


def _missing(recipient: Recipient, field: str, what: str) -> ValidationFailed:
    where = f"/recipients/{print_id(Kind.RECIPIENT, recipient.id)}/{field}"
    return ValidationFailed(
        f"The recipient's authentication needs {what}.", (Finding(where, "is missing", f"Give {what}."),)
    )


def _expiration(envelope: Envelope, now: datetime) -> str:
    if envelope.expiration is None:
        return ""
    if envelope.expiration.at > now + timedelta(days=CAPABILITIES.max_expiration_days):
        raise UnsupportedFeature(NAME, f"expiration beyond {CAPABILITIES.max_expiration_days} days")
    return write_moment(envelope.expiration.at)
