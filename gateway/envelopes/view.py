"""The envelope as the API shows it: printed ids, the field's words, and no vault ciphertext."""

from datetime import datetime
from typing import Any

import msgspec

from gateway.envelopes.documents import IngestedDocument
from gateway.envelopes.model import (
    PlacedDocument,
    StoredDocument,
    StoredEnvelope,
    StoredField,
    StoredRecipient,
)
from gateway.envelopes.search import EnvelopeLine
from normalizer.envelope import Degradation
from normalizer.errors import Finding
from normalizer.ids import Kind, print_id, print_optional_id
from normalizer.status import EnvelopeStatus, RecipientStatus


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    document_id: str
    recipient_id: str | None
    type: str
    page: int
    x: float
    y: float
    width: float
    height: float
    anchor: dict[str, Any] | None
    required: bool
    read_only: bool
    label: str
    value: str
    options: tuple[str, ...]
    group: str


class RecipientView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    email: str
    role: str
    routing_order: int
    status: RecipientStatus
    authentication: str
    authentication_methods: tuple[str, ...]
    embedded: bool
    reason: str
    delivered_at: datetime | None
    completed_at: datetime | None


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """`sha256` is of the bytes that are sent; `source_sha256` of the upload, when that was converted. `status`:
    processing, ready or refused; `findings` say why. `removed` is taken out before it is signed here.
    """

    id: str
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    page_count: int | None
    source_media_type: str = ""
    source_sha256: str = ""
    status: str = "ready"
    findings: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    is_signed: bool = False


class ProblemNote(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    detail: str
    remedy: str = ""
    provider_code: str = ""


class EnvelopeView(msgspec.Struct, frozen=True, kw_only=True):
    """`degraded`: what the provider has in a weaker form only; `last_error`: why the last sending failed."""

    id: str
    status: EnvelopeStatus
    name: str
    message: str
    reference: str
    document_type: str
    sender_id: str
    authentication_level: str
    signature_level: str
    provider: str | None
    connection_id: str | None
    provider_ref: str | None
    provider_status: str
    routing: dict[str, Any] | None
    degraded: tuple[Degradation, ...]
    last_error: ProblemNote | None
    reason: str
    metadata: dict[str, str]
    template_ref: str
    language: str
    expires_at: datetime | None
    expiry_warn_days: int
    reminders: dict[str, int] | None
    documents: tuple[DocumentView, ...]
    recipients: tuple[RecipientView, ...]
    fields: tuple[FieldView, ...]
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    completed_at: datetime | None


class EnvelopeLineView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    status: EnvelopeStatus
    provider: str | None
    reference: str
    sender_id: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    completed_at: datetime | None


def view_envelope(envelope: StoredEnvelope) -> EnvelopeView:
    reminders = None
    if envelope.reminder_first_hours and envelope.reminder_every_hours:
        reminders = {
            "first_after_hours": envelope.reminder_first_hours,
            "every_hours": envelope.reminder_every_hours,
        }
    return EnvelopeView(
        id=print_id(Kind.ENVELOPE, envelope.id),
        status=envelope.status,
        name=envelope.name,
        message=envelope.message,
        reference=envelope.external_reference,
        document_type=envelope.document_type,
        sender_id=envelope.sender_id,
        authentication_level=envelope.authentication_level,
        signature_level=envelope.signature_level,
        provider=envelope.provider,
        connection_id=print_optional_id(Kind.CONNECTION, envelope.connection_id),
        provider_ref=envelope.provider_ref,
        provider_status=envelope.provider_status,
        routing=envelope.routing,
        degraded=envelope.degraded,
        last_error=msgspec.convert(envelope.last_error, ProblemNote) if envelope.last_error else None,
        reason=envelope.reason,
        metadata=envelope.metadata,
        template_ref=envelope.template_ref,
        language=envelope.language,
        expires_at=envelope.expiration_date,
        expiry_warn_days=envelope.expiry_warn_days,
        reminders=reminders,
        documents=tuple(view_document(document) for document in envelope.documents),
        recipients=tuple(view_recipient(recipient) for recipient in envelope.recipients),
        fields=tuple(view_field(field) for field in envelope.fields),
        created_at=envelope.created_at,
        updated_at=envelope.updated_at,
        sent_at=envelope.sent_at,
        completed_at=envelope.completed_at,
    )


def view_document(document: StoredDocument | IngestedDocument) -> DocumentView:
    return msgspec.structs.replace(
        view_bytes(document),
        status=document.status,
        findings=document.findings,
        removed=document.removed,
        is_signed=document.is_signed,
    )


def view_bytes(document: PlacedDocument | IngestedDocument) -> DocumentView:
    """Without what an examination found."""
    return DocumentView(
        id=print_id(Kind.DOCUMENT, document.id),
        name=document.name,
        media_type=document.media_type,
        size_bytes=document.size_bytes,
        sha256=document.sha256,
        page_count=document.page_count,
        source_media_type=document.source_media_type,
        source_sha256=document.source_sha256,
    )


def view_recipient(recipient: StoredRecipient) -> RecipientView:
    return RecipientView(
        id=print_id(Kind.RECIPIENT, recipient.id),
        name=recipient.name,
        email=recipient.email,
        role=recipient.role,
        routing_order=recipient.routing_order,
        status=recipient.status,
        authentication=recipient.authentication_method,
        authentication_methods=recipient.methods,
        embedded=recipient.embedded,
        reason=recipient.reason,
        delivered_at=recipient.delivered_at,
        completed_at=recipient.completed_at,
    )


def view_field(field: StoredField) -> FieldView:
    return FieldView(
        id=print_id(Kind.FIELD, field.id),
        document_id=print_id(Kind.DOCUMENT, field.document_id),
        recipient_id=print_optional_id(Kind.RECIPIENT, field.recipient_id),
        type=field.type,
        page=field.page_number,
        x=field.x,
        y=field.y,
        width=field.width,
        height=field.height,
        anchor=field.anchor,
        required=field.required,
        read_only=field.read_only,
        label=field.label,
        value=field.value,
        options=field.options,
        group=field.group_name,
    )


def view_line(line: EnvelopeLine) -> EnvelopeLineView:
    return EnvelopeLineView(
        id=print_id(Kind.ENVELOPE, line.id),
        name=line.name,
        status=line.status,
        provider=line.provider,
        reference=line.external_reference,
        sender_id=line.sender_id,
        created_at=line.created_at,
        updated_at=line.updated_at,
        sent_at=line.sent_at,
        completed_at=line.completed_at,
    )
