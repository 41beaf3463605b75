"""The normalized envelope becomes a create request, whose documents stream in when it is sent.

Must never hold a document's bytes, and never round a deadline down: nobody loses time that was promised.
Source: eSignature REST API v2.1, envelopeDefinition; DocuSign Connect, event notification of an envelope.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from adapters.docusign.credentials import credentials_of
from adapters.docusign.recipients import recipients_of
from adapters.docusign.wire import (
    CompositeTemplate,
    CustomFields,
    Document,
    EnvelopeDefinition,
    EventData,
    EventNotification,
    Expirations,
    InlineTemplate,
    Notification,
    Recipients,
    Reminders,
    ServerTemplate,
    TextCustomField,
    flag,
    split_at_streams,
    streamed,
)
from adapters.kit.exchange import BlobChunk, BlobEncoding, Chunk
from adapters.kit.port import Connection, SendMode
from normalizer import document as ours
from normalizer.document import DOCX, PDF
from normalizer.envelope import Envelope, Expiration
from normalizer.errors import UnsupportedFeature

REFERENCE_FIELD = "gateway_envelope_id"

# All that move an envelope or a recipient. envelope-created is left out: we made it, we know.
SUBSCRIBED = (
    "envelope-sent",
    "envelope-delivered",
    "envelope-completed",
    "envelope-declined",
    "envelope-voided",
    "envelope-corrected",
    "envelope-resent",
    "envelope-purge",
    "envelope-deleted",
    "recipient-sent",
    "recipient-delivered",
    "recipient-completed",
    "recipient-declined",
    "recipient-authenticationfailed",
    "recipient-autoresponded",
    "recipient-reassign",
    "recipient-delegate",
    "recipient-finish-later",
)

_EXTENSIONS = {PDF: "pdf", DOCX: "docx"}
_DAY = timedelta(days=1)
MAX_DAYS = 999  # of an expiry, as the account settings page takes it
_STATUS = {SendMode.SEND: "sent", SendMode.DRAFT: "created"}


def content_of(
    connection: Connection,
    envelope: Envelope,
    mode: SendMode,
    now: datetime,
    uploads: Mapping[int, str],
    workflows: Mapping[str, str],
) -> tuple[Chunk, ...]:
    """The request's body. `uploads`: URIs of the documents that were uploaded before, by their place."""
    body = define(connection, envelope, mode, now, uploads, workflows)
    documents = in_order(envelope)
    return tuple(
        piece if isinstance(piece, bytes) else _stream(documents[piece]) for piece in split_at_streams(body)
    )


def define(
    connection: Connection,
    envelope: Envelope,
    mode: SendMode,
    now: datetime,
    uploads: Mapping[int, str],
    workflows: Mapping[str, str],
) -> EnvelopeDefinition:
    documents = in_order(envelope)
    document_ids = {document.id: str(place) for place, document in enumerate(documents, start=1)}
    recipients = recipients_of(envelope, document_ids, workflows, credentials_of(connection).id_check_name)
    definition = EnvelopeDefinition(
        status=_STATUS[mode],
        email_subject=envelope.subject,
        email_blurb=envelope.message,
        transaction_id=envelope.reference,
        documents=tuple(_document(place, document, uploads) for place, document in enumerate(documents)),
        notification=_notification(envelope, now),
        event_notification=_event_notification(connection.webhook_url),
    )
    if envelope.template_ref:
        template = _template(envelope, recipients)
        return msgspec.structs.replace(definition, composite_templates=(template,))
    return msgspec.structs.replace(definition, recipients=recipients, custom_fields=_custom_fields(envelope))


def in_order(envelope: Envelope) -> tuple[ours.Document, ...]:
    return tuple(sorted(envelope.documents, key=lambda document: document.order))


def days_until(expiration: Expiration, now: datetime) -> int:
    """Whole days, rounded up, at least one: `expireAfter` counts from sending and knows no hours."""
    return max(1, -((now - expiration.at) // _DAY))


def _document(place: int, document: ours.Document, uploads: Mapping[int, str]) -> Document:
    uploaded = uploads.get(place, "")
    return Document(
        document_id=str(place + 1),
        name=document.name,
        file_extension=_EXTENSIONS[document.media_type],
        order=str(place + 1),
        remote_url=uploaded,
        document_base64=msgspec.UNSET if uploaded else streamed(place),
    )


def _stream(document: ours.Document) -> BlobChunk:
    return BlobChunk(document.blob_key, document.size_bytes, BlobEncoding.BASE64)


def _custom_fields(envelope: Envelope) -> CustomFields:
    """Our reference, hidden: `transactionId` is found for seven days only, a custom field for ever."""
    reference = TextCustomField(
        name=REFERENCE_FIELD, value=envelope.reference, show=flag(False), required=flag(False)
    )
    return CustomFields(text_custom_fields=(reference,))


def _template(envelope: Envelope, recipients: Recipients) -> CompositeTemplate:
    """The provider's template below, our recipients above: the higher sequence wins. Custom fields given
    beside a composite template would be lost, so they stand in the inline one.
    """
    inline = InlineTemplate(sequence="2", recipients=recipients, custom_fields=_custom_fields(envelope))
    server = ServerTemplate(sequence="1", template_id=envelope.template_ref)
    return CompositeTemplate(
        composite_template_id="1", server_templates=(server,), inline_templates=(inline,)
    )


def _notification(envelope: Envelope, now: datetime) -> Notification:
    """What nobody asked for is the account's own: said outright, because DocuSign's documents disagree about
    what an absent notification means.
    """
    if envelope.reminders is None and envelope.expiration is None:
        return Notification(use_account_defaults=flag(True))
    return Notification(
        use_account_defaults=flag(False),
        reminders=_reminders(envelope),
        expirations=_expirations(envelope, now),
    )


def _reminders(envelope: Envelope) -> Reminders:
    if envelope.reminders is None:
        return Reminders(reminder_enabled=flag(False))
    return Reminders(
        reminder_enabled=flag(True),
        reminder_delay=_whole_days(envelope.reminders.first_after_hours),
        reminder_frequency=_whole_days(envelope.reminders.every_hours),
    )


def _expirations(envelope: Envelope, now: datetime) -> Expirations | None:
    if envelope.expiration is None:
        return None
    days = days_until(envelope.expiration, now)
    if days > MAX_DAYS:
        raise UnsupportedFeature("docusign", f"expiry after more than {MAX_DAYS} days")
    return Expirations(
        expire_enabled=flag(True),
        expire_after=str(days),
        expire_warn=str(envelope.expiration.warn_days),
    )


def _whole_days(hours: int) -> str:
    return str(max(1, -(-hours // 24)))


def _event_notification(url: str) -> EventNotification | None:
    """Acknowledgement and logging are off by default at DocuSign, which loses events in silence."""
    if not url:
        return None
    return EventNotification(
        url=url,
        logging_enabled=flag(True),
        require_acknowledgment=flag(True),
        include_hmac=flag(True),
        delivery_mode="SIM",
        events=SUBSCRIBED,
        event_data=EventData(version="restv2.1", format="json", include_data=("custom_fields", "recipients")),
    )
