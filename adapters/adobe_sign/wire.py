"""What is sent to the Acrobat Sign REST v6 API: documented attributes only, and nothing at its default.

Must never leave this folder. What comes back stands in answers.py.
Source: Acrobat Sign REST v6 swagger 1.2 (2018-08); developer guide of 2026-04-29, which wins over it.
"""

import msgspec


class Sent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The base of everything we send: camel case, and nothing that was left at its default."""


class ExternalId(Sent, frozen=True):
    id: str


class FileInfo(Sent, frozen=True):
    transient_document_id: str = ""
    library_document_id: str = ""
    label: str = ""


class PhoneInfo(Sent, frozen=True):
    country_code: str
    phone: str


class SecurityOption(Sent, frozen=True):
    authentication_method: str
    password: str = ""
    phone_info: PhoneInfo | None = None

    def __repr__(self) -> str:
        return f"SecurityOption({self.authentication_method})"


class MemberInfo(Sent, frozen=True):
    email: str
    name: str = ""
    security_option: SecurityOption | None = None


class ParticipantSetInfo(Sent, frozen=True):
    """`id` stands only in the replacement of a participant."""

    member_infos: tuple[MemberInfo, ...]
    order: int
    role: str
    name: str = ""
    private_message: str = ""
    id: str = ""


class Copy(Sent, frozen=True):
    email: str


class SendOptions(Sent, frozen=True):
    init_emails: str
    in_flight_emails: str
    completion_emails: str


class EmailOption(Sent, frozen=True):
    send_options: SendOptions


class AnchoredLocation(Sent, frozen=True):
    offset_x: float
    offset_y: float
    width: float
    height: float


class AnchorTextInfo(Sent, frozen=True):
    anchor_text: str
    anchored_form_field_location: AnchoredLocation
    file_info_label: str = ""


class FieldDescription(Sent, frozen=True):
    input_type: str
    content_type: str
    required: bool
    read_only: bool = False
    default_value: str = ""
    validation: str = ""
    display_label: str = ""
    visible_options: tuple[str, ...] = ()
    hidden_options: tuple[str, ...] = ()


class FieldGenerator(Sent, frozen=True):
    form_field_name_prefix: str
    participant_set_name: str
    anchor_text_info: AnchorTextInfo
    form_field_description: FieldDescription


class AgreementInfo(Sent, frozen=True):
    """The body of POST /agreements."""

    name: str
    state: str
    signature_type: str
    external_id: ExternalId
    file_infos: tuple[FileInfo, ...]
    participant_sets_info: tuple[ParticipantSetInfo, ...]
    message: str = ""
    locale: str = ""
    ccs: tuple[Copy, ...] = ()
    expiration_time: str = ""
    reminder_frequency: str = ""
    first_reminder_delay: int = 0
    email_option: EmailOption | None = None
    form_field_generators: tuple[FieldGenerator, ...] = ()


class FieldLocation(Sent, frozen=True):
    """`top` is measured from the bottom of the page to the field's upper edge."""

    page_number: int
    left: float
    top: float
    width: float
    height: float


class FormField(Sent, frozen=True):
    name: str
    input_type: str
    content_type: str
    assignee: str
    required: bool
    locations: tuple[FieldLocation, ...]
    read_only: bool = False
    default_value: str = ""
    validation: str = ""
    display_label: str = ""
    visible_options: tuple[str, ...] = ()
    hidden_options: tuple[str, ...] = ()


class FormFieldPut(Sent, frozen=True):
    """The whole list: what is not in it is removed. Fields that are there already go back as they came."""

    fields: tuple[FormField | msgspec.Raw, ...]


class CancellationInfo(Sent, frozen=True):
    comment: str
    notify_others: bool


class StateChange(Sent, frozen=True):
    state: str
    agreement_cancellation_info: CancellationInfo | None = None


class Reminder(Sent, frozen=True):
    recipient_participant_ids: tuple[str, ...]
    status: str
    frequency: str
    note: str = ""


class WebhookUrl(Sent, frozen=True):
    url: str


class AgreementEventsWanted(Sent, frozen=True):
    include_detailed_info: bool
    include_participants_info: bool


class ConditionalParams(Sent, frozen=True):
    webhook_agreement_events: AgreementEventsWanted


class WebhookInfo(Sent, frozen=True):
    name: str
    scope: str
    resource_type: str
    resource_id: str
    state: str
    webhook_subscription_events: tuple[str, ...]
    webhook_url_info: WebhookUrl
    webhook_conditional_params: ConditionalParams


class WebhookState(Sent, frozen=True):
    state: str


def encode(value: Sent) -> bytes:
    return msgspec.json.encode(value)
