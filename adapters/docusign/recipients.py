"""Recipients become entries of DocuSign's arrays: role, order, how they prove who they are.

`recipientId` is the recipient's place in the envelope, counted from 1, so that the same envelope always makes
the same request. Our own id travels in the recipient's `customFields`, which DocuSign returns untouched.
Must never send an access code by e-mail (`addAccessCodeToEmail` stays unset, which means no).
Source: eSignature REST API v2.1, recipients and identity verification.
"""

from collections.abc import Mapping
from uuid import UUID

from adapters.docusign.tabs import tabs_of
from adapters.docusign.wire import (
    EmailNotification,
    IdentityInput,
    IdentityVerification,
    PhoneNumber,
    Recipient,
    Recipients,
    flag,
)
from normalizer import recipient as ours
from normalizer.envelope import Envelope
from normalizer.recipient import LEVEL_METHOD, AuthenticationMethod, Role

ARRAYS: dict[Role, str] = {
    Role.SIGNER: "signers",
    Role.APPROVER: "signers",  # with Approve and Decline tabs
    Role.REVIEWER: "certifiedDeliveries",  # must open it; cannot be asked to agree
    Role.CARBON_COPY: "carbonCopies",
    Role.CERTIFIED_DELIVERY: "certifiedDeliveries",
    Role.IN_PERSON: "inPersonSigners",
}

# The account's workflows are found by these names; their ids differ from account to account.
PHONE_WORKFLOW = "Phone Authentication"
ID_WORKFLOW = "DocuSign ID Verification"
WORKFLOWS: dict[AuthenticationMethod, str] = {
    AuthenticationMethod.ID_VERIFICATION: ID_WORKFLOW,
    AuthenticationMethod.SMS: PHONE_WORKFLOW,
    AuthenticationMethod.PHONE_CALL: PHONE_WORKFLOW,
}

_ID_PREFIX = "countersign_recipient_id="
_LANGUAGES = frozenset(
    {
        *("ar", "bg", "cs", "da", "de", "el", "en", "en_GB", "es", "es_MX", "et", "fa", "fi", "fr", "fr_CA"),
        *("he", "hi", "hr", "hu", "hy", "id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt"),
        *("pt_BR", "ro", "ru", "sk", "sl", "sr", "sv", "th", "tr", "uk", "vi", "zh_CN", "zh_TW"),
    }
)


def recipients_of(
    envelope: Envelope,
    document_ids: Mapping[UUID, str],
    workflows: Mapping[str, str],
    id_check_name: str,
) -> Recipients:
    """Every recipient in its array. `workflows` gives the account's workflow ids by name."""
    arrays: dict[str, list[Recipient]] = {}
    for place, recipient in enumerate(envelope.recipients, start=1):
        member = _member(envelope, recipient, str(place), document_ids, workflows, id_check_name)
        arrays.setdefault(ARRAYS[recipient.role], []).append(member)
    return {array: tuple(members) for array, members in arrays.items()}


def methods_of(envelope: Envelope, recipient: ours.Recipient) -> frozenset[AuthenticationMethod]:
    """What the recipient must pass: the own method, and the envelope's level for everybody who acts."""
    methods = {recipient.authentication}
    if recipient.access_code is not None:
        methods.add(AuthenticationMethod.ACCESS_CODE)
    if recipient.role.acts:
        methods.add(LEVEL_METHOD[envelope.authentication_level])
    return frozenset(methods - {AuthenticationMethod.EMAIL})


def workflow_of(envelope: Envelope, recipient: ours.Recipient) -> str:
    """The name of the workflow; a recipient has room for one, so the stronger wins. Empty: none."""
    methods = methods_of(envelope, recipient)
    return next((name for method, name in WORKFLOWS.items() if method in methods), "")


def custom_field_of(recipient_id: UUID) -> str:
    return f"{_ID_PREFIX}{recipient_id}"


def recipient_id_in(custom_fields: tuple[str, ...]) -> UUID | None:
    """Our id, when one of the recipient's custom fields carries it."""
    for field in custom_fields:
        if field.startswith(_ID_PREFIX):
            try:
                return UUID(field.removeprefix(_ID_PREFIX))
            except ValueError:
                return None
    return None


def language_of(tag: str) -> str:
    """DocuSign's spelling of a language tag: "pt-BR" is "pt_BR". Empty for a language it does not have."""
    language, _, region = tag.replace("-", "_").partition("_")
    for spelling in (f"{language.lower()}_{region.upper()}", language.lower()):
        if spelling in _LANGUAGES:
            return spelling
    return ""


def is_language_known(tag: str) -> bool:
    return bool(language_of(tag))


def _member(
    envelope: Envelope,
    recipient: ours.Recipient,
    place: str,
    document_ids: Mapping[UUID, str],
    workflows: Mapping[str, str],
    id_check_name: str,
) -> Recipient:
    is_hosted = recipient.role is Role.IN_PERSON
    is_checked = AuthenticationMethod.KNOWLEDGE in methods_of(envelope, recipient)
    return Recipient(
        recipient_id=place,
        routing_order=str(recipient.routing_order),
        role_name=recipient.template_role,
        name="" if is_hosted else recipient.name,
        email="" if is_hosted else recipient.email,
        host_name=recipient.host_name if is_hosted else "",
        host_email=recipient.host_email if is_hosted else "",
        signer_name=recipient.name if is_hosted else "",
        signer_email=recipient.email if is_hosted else "",
        client_user_id=str(recipient.id) if recipient.embedded else "",
        access_code=recipient.access_code.value if recipient.access_code else "",
        require_id_lookup=flag(True) if is_checked else "",
        id_check_configuration_name=id_check_name if is_checked else "",
        identity_verification=_identity(envelope, recipient, workflows),
        note=recipient.note,
        email_notification=_email(envelope, recipient),
        custom_fields=(custom_field_of(recipient.id),),
        tabs=tabs_of(envelope, recipient, document_ids),
    )


def _identity(
    envelope: Envelope, recipient: ours.Recipient, workflows: Mapping[str, str]
) -> IdentityVerification | None:
    name = workflow_of(envelope, recipient)
    if not name:
        return None
    if name != PHONE_WORKFLOW or recipient.phone is None:
        return IdentityVerification(workflow_id=workflows[name])
    number = PhoneNumber(country_code=recipient.phone.country_code, number=recipient.phone.number)
    numbers = IdentityInput(
        name="phone_number_list", value_type="PhoneNumberList", phone_number_list=(number,)
    )
    return IdentityVerification(workflow_id=workflows[name], input_options=(numbers,))


def _email(envelope: Envelope, recipient: ours.Recipient) -> EmailNotification | None:
    """A recipient's language comes with the subject and text, or DocuSign would leave both empty."""
    language = language_of(recipient.language or envelope.language)
    if not language:
        return None
    return EmailNotification(
        email_subject=envelope.subject, email_body=envelope.message, supported_language=language
    )
