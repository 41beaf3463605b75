"""Turns a stored envelope into the normalized one that adapters take, and checks that it is ready to send."""

import msgspec

from config.vault import Place
from engine.ceremony.knowledge import decode_questions
from gateway.envelopes.model import StoredDocument, StoredEnvelope, StoredField, StoredRecipient
from gateway.services import Services
from normalizer.document import Document, PageSize
from normalizer.envelope import Envelope, Expiration, Reminders, Sender, SignatureLevel
from normalizer.errors import Finding, ValidationFailed
from normalizer.field import DEFAULT_SIZE, Anchor, Field, FieldType
from normalizer.ids import Kind, print_id
from normalizer.recipient import (
    AccessCode,
    AuthenticationLevel,
    AuthenticationMethod,
    KnowledgeQuestion,
    Phone,
    Recipient,
    Role,
)


def check_ready(envelope: StoredEnvelope) -> None:
    """Raises ValidationFailed listing everything that stands between this draft and sending it."""
    faults: list[Finding] = []
    if not envelope.documents and not envelope.template_ref:
        faults.append(Finding("/documents", "There is no document.", "Add a document or a template_ref."))
    acting = [one for one in envelope.recipients if Role(one.role).acts]
    if not acting:
        faults.append(Finding("/recipients", "Nobody has to act.", "Add a signer or an approver."))
    faults.extend(
        Finding(
            f"/fields/{print_id(Kind.FIELD, field.id)}",
            "A required field belongs to no recipient.",
            "Give it a recipient_id, make it optional, or remove it.",
        )
        for field in envelope.fields
        if field.recipient_id is None and field.required
    )
    documents = {document.id: document for document in envelope.documents}
    for field in envelope.fields:
        faults.extend(_page_faults(field, documents[field.document_id]))
    owners = {field.recipient_id for field in envelope.fields}
    signatures = {
        field.recipient_id
        for field in envelope.fields
        if field.type in {FieldType.SIGNATURE, FieldType.INITIALS}
    }
    for recipient in envelope.recipients:
        where = f"/recipients/{print_id(Kind.RECIPIENT, recipient.id)}"
        if envelope.template_ref and recipient.template_role:
            continue  # the template brings the fields
        if Role(recipient.role).signs and recipient.id not in owners:
            faults.append(
                Finding(where, "A signer has no field.", "Place a signature field for this signer.")
            )
        elif Role(recipient.role).signs and recipient.id not in signatures:
            faults.append(
                Finding(where, "A signer has no signature field.", "Place one, or make it a reviewer.")
            )
    if faults:
        raise ValidationFailed("The envelope is not ready to be sent.", tuple(faults), code="not_ready")


def _page_faults(field: StoredField, document: StoredDocument) -> tuple[Finding, ...]:
    where = f"/fields/{print_id(Kind.FIELD, field.id)}"
    if field.anchor is not None or not document.pages:
        return ()
    if field.page_number > len(document.pages):
        return (Finding(f"{where}/page", f"{document.name} has {len(document.pages)} pages."),)
    width, height = document.pages[field.page_number - 1]
    if field.x + field.width > width + 0.5 or field.y + field.height > height + 0.5:
        return (
            Finding(
                where,
                f"The field reaches over the edge of page {field.page_number} ({width:g} x {height:g}).",
                "Move it or make it smaller.",
            ),
        )
    return ()


def client_reference(envelope: StoredEnvelope, epoch: int) -> str:
    """The key under which the provider can find this try again: our id and the attempt's number."""
    return f"{print_id(Kind.ENVELOPE, envelope.id)}_{epoch}"


def epoch_of_reference(reference: str) -> int:
    """The attempt's number out of a client reference; 0 when it is not one of ours."""
    epoch = reference.rpartition("_")[2]
    return int(epoch) if epoch.isdecimal() and len(epoch) < 10 else 0


async def build_outgoing(services: Services, envelope: StoredEnvelope, epoch: int) -> Envelope:
    """The normalized envelope. Opens access codes; must not be logged or kept."""
    recipients = tuple([await _recipient(services, envelope, one) for one in envelope.recipients])
    reminders = None
    if envelope.reminder_first_hours and envelope.reminder_every_hours:
        reminders = Reminders(envelope.reminder_first_hours, envelope.reminder_every_hours)
    expiration = None
    if envelope.expiration_date is not None:
        expiration = Expiration(envelope.expiration_date, envelope.expiry_warn_days)
    return Envelope(
        id=envelope.id,
        tenant_id=envelope.tenant_id,
        reference=client_reference(envelope, epoch),
        subject=envelope.name,
        message=envelope.message,
        documents=tuple(_document(one, number) for number, one in enumerate(envelope.documents, start=1)),
        recipients=recipients,
        fields=tuple(_field(field) for field in envelope.fields if field.recipient_id is not None),
        sender=Sender(envelope.sender_id, envelope.sender_name, envelope.sender_email),
        authentication_level=AuthenticationLevel(envelope.authentication_level),
        signature_level=SignatureLevel(envelope.signature_level),
        reminders=reminders,
        expiration=expiration,
        template_ref=envelope.template_ref,
        language=envelope.language,
    )


async def outgoing_recipient(
    services: Services, envelope: StoredEnvelope, stored: StoredRecipient
) -> Recipient:
    return await _recipient(services, envelope, stored)


async def _recipient(services: Services, envelope: StoredEnvelope, stored: StoredRecipient) -> Recipient:
    code = None
    if stored.access_code is not None:
        place = Place("recipients", "access_code", stored.id)
        plain = await services.vault.decrypt(services.database, envelope.tenant_id, place, stored.access_code)
        code = AccessCode(plain.decode())
    questions: tuple[KnowledgeQuestion, ...] = ()
    if stored.knowledge is not None:
        place = Place("recipients", "knowledge", stored.id)
        plain = await services.vault.decrypt(services.database, envelope.tenant_id, place, stored.knowledge)
        questions = decode_questions(plain)
    phone = Phone(stored.phone_country_code, stored.phone_number) if stored.phone_number else None
    return Recipient(
        id=stored.id,
        name=stored.name,
        email=stored.email,
        role=Role(stored.role),
        routing_order=stored.routing_order,
        authentication=AuthenticationMethod(stored.authentication_method),
        further_authentication=tuple(AuthenticationMethod(one) for one in stored.further_authentication),
        access_code=code,
        knowledge=questions,
        phone=phone,
        embedded=stored.embedded,
        host_name=stored.host_name,
        host_email=stored.host_email,
        template_role=stored.template_role,
        note=stored.note,
        language=stored.language,
        country=stored.country,
        provider_ref=stored.provider_ref,
    )


def _document(stored: StoredDocument, number: int) -> Document:
    return Document(
        id=stored.id,
        name=stored.name,
        media_type=stored.media_type,
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        order=number,
        blob_key=stored.blob_key,
        pages=tuple(PageSize(width, height) for width, height in stored.pages),
    )


def _field(stored: StoredField) -> Field:
    kind = FieldType(stored.type)
    width, height = DEFAULT_SIZE[kind]
    assert stored.recipient_id is not None  # noqa: S101 - the caller filters; mypy cannot see it
    return Field(
        id=stored.id,
        document_id=stored.document_id,
        recipient_id=stored.recipient_id,
        type=kind,
        page=stored.page_number,
        x=stored.x,
        y=stored.y,
        width=stored.width or width,
        height=stored.height or height,
        anchor=msgspec.convert(stored.anchor, Anchor) if stored.anchor else None,
        required=stored.required,
        read_only=stored.read_only,
        label=stored.label,
        value=stored.value,
        options=stored.options,
        group=stored.group_name,
    )
