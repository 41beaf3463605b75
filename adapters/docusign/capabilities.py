"""What DocuSign can do and where it is weaker, as data; and the check of one envelope against it.

Must never let a loss pass in silence: it is refused with UnsupportedFeature or told as a Degradation.
Source: eSignature REST API v2.1 field limits; DocuSign documentation of recipients and notifications.
"""

from adapters.docusign.credentials import credentials_of
from adapters.docusign.definition import MAX_DAYS
from adapters.docusign.recipients import is_language_known, methods_of
from adapters.kit.port import Connection, Limits
from normalizer.capabilities import CONVERTING_MEDIA_TYPES, Capabilities, Support, check_capabilities
from normalizer.envelope import Degradation, Envelope
from normalizer.errors import Finding, UnsupportedFeature, ValidationFailed
from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Recipient, Role

NAME = "docusign"

CAPABILITIES = Capabilities(
    roles={
        Role.SIGNER: Support.NATIVE,
        # No such role: a signer with Approve and Decline buttons instead of a signature.
        Role.APPROVER: Support.EMULATED,
        # No such role: a certified delivery proves that the reviewer opened it, not that they agreed.
        Role.REVIEWER: Support.DEGRADED,
        Role.CARBON_COPY: Support.NATIVE,
        Role.CERTIFIED_DELIVERY: Support.NATIVE,
        Role.IN_PERSON: Support.NATIVE,
    },
    authentication={
        AuthenticationMethod.EMAIL: Support.NATIVE,
        AuthenticationMethod.ACCESS_CODE: Support.NATIVE,
        # One workflow for both: the recipient chooses between a text message and a call.
        AuthenticationMethod.SMS: Support.DEGRADED,
        AuthenticationMethod.PHONE_CALL: Support.DEGRADED,
        AuthenticationMethod.KNOWLEDGE: Support.NATIVE,
        AuthenticationMethod.ID_VERIFICATION: Support.NATIVE,
    },
    fields=dict.fromkeys(FieldType, Support.NATIVE),
    media_types=CONVERTING_MEDIA_TYPES,
    max_document_bytes=50 * 1024 * 1024,
    max_subject=100,
    anchors=True,
    hybrid_routing=True,
    embedded_signing=True,
    templates=True,
    correct_in_flight=True,
    resend=True,
    signed_webhooks=True,
    expiration_precision="whole days after sending, rounded up",
    reminder_precision="whole days, rounded up",
    max_expiration_days=MAX_DAYS,
)

LIMITS = Limits(
    min_poll_interval_s=900.0,  # one GET per envelope and quarter of an hour, or go-live review refuses
    calls_per_hour=3000,
    burst_calls=500,
    burst_window_s=30.0,
)

_MAX_MESSAGE = 10_000
_MAX_REFERENCE = 100  # of a custom field's value
_MAX_TEXT = {
    "name": 100,
    "email": 100,
    "host_name": 100,
    "host_email": 100,
    "note": 1000,
    "template_role": 100,
}
_MAX_ACCESS_CODE = 50
_WITH_TABS = frozenset({Role.SIGNER, Role.APPROVER, Role.IN_PERSON})
_STRENGTH = (
    AuthenticationMethod.PHONE_CALL,
    AuthenticationMethod.SMS,
    AuthenticationMethod.ID_VERIFICATION,
)


def check(connection: Connection, envelope: Envelope) -> tuple[Degradation, ...]:
    """Raises UnsupportedFeature, or ValidationFailed for what a method needs and the envelope lacks."""
    credentials_of(connection)
    own = connection.max_document_bytes or CAPABILITIES.max_document_bytes
    lost = list(check_capabilities(NAME, _limited(own), envelope))
    if len(envelope.message) > _MAX_MESSAGE:
        raise UnsupportedFeature(NAME, f"messages over {_MAX_MESSAGE} characters")
    if len(envelope.reference) > _MAX_REFERENCE:
        raise UnsupportedFeature(NAME, f"references over {_MAX_REFERENCE} characters")
    if envelope.template_ref and (envelope.documents or envelope.fields):
        raise UnsupportedFeature(NAME, "documents and fields beside a template")
    for recipient in envelope.recipients:
        _check_recipient(envelope, recipient)
        lost.extend(_lost_by(envelope, recipient))
    lost.extend(_lost_in_days(envelope))
    return tuple(dict.fromkeys(lost))


def _limited(max_document_bytes: int) -> Capabilities:
    values = {name: getattr(CAPABILITIES, name) for name in CAPABILITIES.__struct_fields__}
    return Capabilities(**(values | {"max_document_bytes": max_document_bytes}))


def _check_recipient(envelope: Envelope, recipient: Recipient) -> None:
    for name, limit in _MAX_TEXT.items():
        if len(getattr(recipient, name)) > limit:
            raise UnsupportedFeature(NAME, f"a recipient's {name} over {limit} characters")
    if recipient.access_code and len(recipient.access_code.value) > _MAX_ACCESS_CODE:
        raise UnsupportedFeature(NAME, f"access codes over {_MAX_ACCESS_CODE} characters")
    if recipient.embedded and recipient.role is Role.CARBON_COPY:
        raise UnsupportedFeature(NAME, "embedded carbon copies")
    kinds = {field.type for field in envelope.fields_of(recipient)}
    if kinds and recipient.role not in _WITH_TABS:
        raise UnsupportedFeature(NAME, f"fields of a {recipient.role}")
    if recipient.role is Role.APPROVER and kinds & {FieldType.SIGNATURE, FieldType.INITIALS}:
        raise UnsupportedFeature(NAME, "signatures of an approver")
    if recipient.role.signs and not kinds and not envelope.template_ref:
        # Free-form signing would let the signer choose where to sign, or whether.
        raise UnsupportedFeature(NAME, "signers without a field")
    _check_proofs(envelope, recipient)


def _check_proofs(envelope: Envelope, recipient: Recipient) -> None:
    methods = methods_of(envelope, recipient)
    phone = methods & {AuthenticationMethod.SMS, AuthenticationMethod.PHONE_CALL}
    if phone and recipient.phone is None and AuthenticationMethod.ID_VERIFICATION not in methods:
        raise _lacking(envelope, recipient, "phone", "Authentication by phone needs a phone number.")
    if AuthenticationMethod.ACCESS_CODE in methods and recipient.access_code is None:
        raise _lacking(envelope, recipient, "access_code", "Authentication by access code needs a code.")
    if recipient.role is Role.IN_PERSON and not (recipient.host_name and recipient.host_email):
        raise _lacking(
            envelope, recipient, "host_email", "An in-person signer needs a host, by name and e-mail."
        )


def _lacking(envelope: Envelope, recipient: Recipient, attribute: str, problem: str) -> ValidationFailed:
    where = f"/recipients/{envelope.recipients.index(recipient)}/{attribute}"
    return ValidationFailed("A recipient is incomplete.", (Finding(where, problem),))


def _lost_by(envelope: Envelope, recipient: Recipient) -> list[Degradation]:
    lost = []
    workflows = [method for method in _STRENGTH if method in methods_of(envelope, recipient)]
    lost += [Degradation(f"authentication {weaker}", weaker, workflows[-1]) for weaker in workflows[:-1]]
    language = recipient.language or envelope.language
    if language and not is_language_known(language):
        lost.append(Degradation("language", language, "the account's language"))
    return lost


def _lost_in_days(envelope: Envelope) -> list[Degradation]:
    lost = []
    if envelope.expiration:
        asked = envelope.expiration.at.isoformat()
        lost.append(Degradation("expiration", asked, CAPABILITIES.expiration_precision))
    reminders = envelope.reminders
    if reminders and (reminders.first_after_hours % 24 or reminders.every_hours % 24):
        asked = f"{reminders.first_after_hours} h, then every {reminders.every_hours} h"
        lost.append(Degradation("reminders", asked, CAPABILITIES.reminder_precision))
    return lost
