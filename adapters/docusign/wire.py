"""What we write to DocuSign: request bodies with its exact spelling and its strings for everything.

Booleans and whole numbers are strings ("true", "1") in every eSignature body; `flag` and `number` make them.
An attribute left at its default is not written, so a body holds exactly what was meant.
Must never hold a word of ours: mapping.py, tabs.py and recipients.py translate.
Source: eSignature REST API v2.1; names checked against the models of docusign-esign 6.1.0 in the tests.
"""

from collections.abc import Mapping

import msgspec

# A raw value cannot contain NUL: JSON escapes it. So a NUL marks the place where a document streams in.
_MARK = b"\x00"


def flag(value: bool) -> str:
    return "true" if value else "false"


def number(value: float) -> str:
    """A whole number as DocuSign takes it; coordinates are rounded to the nearest point, never negative."""
    return str(max(0, int(value + 0.5)))


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """The base of every request body."""


class Tab(Wire, frozen=True, kw_only=True):
    """One tab of any kind; tabs.py knows which attributes a kind has."""

    document_id: str = ""
    page_number: str = ""
    x_position: str = ""
    y_position: str = ""
    anchor_string: str = ""
    anchor_units: str = ""
    anchor_x_offset: str = ""
    anchor_y_offset: str = ""
    anchor_ignore_if_not_present: str = ""
    tab_label: str = ""
    width: str = ""
    height: str = ""
    required: str = ""
    optional: str = ""
    locked: str = ""
    value: str = ""
    selected: str = ""
    button_text: str = ""
    list_items: tuple["ListItem", ...] = ()


class ListItem(Wire, frozen=True, kw_only=True):
    text: str
    value: str
    selected: str = ""


class RadioGroup(Wire, frozen=True, kw_only=True):
    document_id: str
    group_name: str
    radios: tuple[Tab, ...]


Tabs = Mapping[str, tuple[Tab | RadioGroup, ...]]


class PhoneNumber(Wire, frozen=True, kw_only=True):
    country_code: str
    number: str


class IdentityInput(Wire, frozen=True, kw_only=True):
    name: str
    value_type: str
    phone_number_list: tuple[PhoneNumber, ...]


class IdentityVerification(Wire, frozen=True, kw_only=True):
    workflow_id: str
    input_options: tuple[IdentityInput, ...] = ()


class EmailNotification(Wire, frozen=True, kw_only=True):
    email_subject: str = ""
    email_body: str = ""
    supported_language: str = ""


class Recipient(Wire, frozen=True, kw_only=True):
    """A recipient of any array; recipients.py knows which attributes a role has."""

    recipient_id: str
    routing_order: str = ""
    role_name: str = ""
    name: str = ""
    email: str = ""
    host_name: str = ""
    host_email: str = ""
    signer_name: str = ""
    signer_email: str = ""
    client_user_id: str = ""
    access_code: str = ""
    require_id_lookup: str = ""
    id_check_configuration_name: str = ""
    identity_verification: IdentityVerification | None = None
    note: str = ""
    email_notification: EmailNotification | None = None
    custom_fields: tuple[str, ...] = ()
    tabs: Tabs | None = None


# By array; it is also the whole body of a recipients request.
Recipients = Mapping[str, tuple[Recipient, ...]]


class Document(Wire, frozen=True, kw_only=True):
    document_id: str
    name: str
    file_extension: str
    order: str
    remote_url: str = ""
    document_base64: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class TextCustomField(Wire, frozen=True, kw_only=True):
    name: str
    value: str
    show: str
    required: str


class CustomFields(Wire, frozen=True, kw_only=True):
    text_custom_fields: tuple[TextCustomField, ...]


class Reminders(Wire, frozen=True, kw_only=True):
    reminder_enabled: str
    reminder_delay: str = ""
    reminder_frequency: str = ""


class Expirations(Wire, frozen=True, kw_only=True):
    expire_enabled: str
    expire_after: str
    expire_warn: str


class Notification(Wire, frozen=True, kw_only=True):
    use_account_defaults: str
    reminders: Reminders | None = None
    expirations: Expirations | None = None


class EventData(Wire, frozen=True, kw_only=True):
    version: str
    format: str
    include_data: tuple[str, ...]


class EventNotification(Wire, frozen=True, kw_only=True):
    """Per-envelope Connect. Its `requireAcknowledgment` is spelt otherwise than the account-wide one."""

    url: str
    logging_enabled: str
    require_acknowledgment: str
    include_hmac: str = msgspec.field(name="includeHMAC")
    delivery_mode: str
    events: tuple[str, ...]
    event_data: EventData


class ConnectConfiguration(Wire, frozen=True, kw_only=True):
    """Connect for a whole account. Its `requiresAcknowledgement` and `enableLog` are spelt otherwise than an
    envelope's.
    """

    connect_id: str
    name: str
    configuration_type: str = ""
    url_to_publish_to: str
    allow_envelope_publish: str
    all_users: str = ""
    user_ids: tuple[str, ...] = ()
    requires_acknowledgement: str
    enable_log: str
    include_hmac: str = msgspec.field(name="includeHMAC")
    delivery_mode: str
    events: tuple[str, ...]
    event_data: EventData


class ServerTemplate(Wire, frozen=True, kw_only=True):
    sequence: str
    template_id: str


class InlineTemplate(Wire, frozen=True, kw_only=True):
    sequence: str
    recipients: Recipients
    custom_fields: CustomFields


class CompositeTemplate(Wire, frozen=True, kw_only=True):
    composite_template_id: str
    server_templates: tuple[ServerTemplate, ...]
    inline_templates: tuple[InlineTemplate, ...]


class EnvelopeDefinition(Wire, frozen=True, kw_only=True):
    status: str
    email_subject: str
    email_blurb: str = ""
    transaction_id: str
    documents: tuple[Document, ...] = ()
    recipients: Recipients | None = None
    custom_fields: CustomFields | None = None
    composite_templates: tuple[CompositeTemplate, ...] = ()
    notification: Notification | None = None
    event_notification: EventNotification | None = None


class EnvelopeUpdate(Wire, frozen=True, kw_only=True):
    """Minimal bodies only: a GET written back whole is refused for attributes nobody meant to change."""

    status: str
    voided_reason: str = ""


class EnvelopeIds(Wire, frozen=True, kw_only=True):
    envelope_ids: tuple[str, ...]


class RecipientViewRequest(Wire, frozen=True, kw_only=True):
    return_url: str
    authentication_method: str
    client_user_id: str
    recipient_id: str
    user_name: str
    email: str


class ChunkedUploadRequest(Wire, frozen=True, kw_only=True):
    data: msgspec.Raw


def streamed(place: int) -> msgspec.Raw:
    """A JSON string whose content the executor streams in: the `place`-th blob of `split_at_streams`."""
    return msgspec.Raw(b'"' + _MARK + str(place).encode() + _MARK + b'"')


def split_at_streams(body: Wire) -> tuple[bytes | int, ...]:
    """The encoded body, cut at every `streamed` value; the numbers stand where those blobs belong."""
    pieces = msgspec.json.encode(body).split(_MARK)
    return tuple(int(piece) if index % 2 else piece for index, piece in enumerate(pieces))
