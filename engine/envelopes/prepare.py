"""Makes the engine's envelope out of the normalized one: documents examined, fields as fractions of the page.

Everything that takes time or may be refused happens here, before a transaction is open. Must never let an
access code through in clear.
"""

import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from engine.ceremony.methods import check_methods, methods_asked
from engine.documents.anchors import AnchorPlace, find_anchors, missing_anchor
from engine.documents.examine import Examination, examine_document
from engine.engine import Engine
from engine.envelopes.level import choose_mode
from engine.envelopes.proofs import seal_secrets
from engine.model import (
    EngineDocument,
    EngineEnvelope,
    EngineField,
    EngineRecipient,
    EngineStatus,
)
from normalizer.document import Document
from normalizer.envelope import Envelope
from normalizer.errors import Finding, ValidationFailed
from normalizer.field import DEFAULT_SIZE, Field
from normalizer.recipient import Recipient
from normalizer.status import RecipientStatus

Anchors = Mapping[UUID, Mapping[str, Sequence[AnchorPlace]]]
_CODE_BYTES = 18


async def prepare_envelope(
    engine: Engine, engine_id: UUID, connection_id: UUID, envelope: Envelope
) -> EngineEnvelope:
    """A draft, not yet stored. Raises ValidationFailed: "document_refused", "anchor_not_found", "proof_missing",
    "signature_level_unavailable".
    """
    check_methods(engine.settings, envelope)
    documents = tuple([await _document(engine, envelope, one) for one in envelope.documents])
    anchors = await _anchors(engine, envelope, documents)
    by_id = {one.id: one for one in documents}
    fields = tuple(_place(field, by_id[field.document_id], anchors) for field in envelope.fields)
    mode = await choose_mode(engine, envelope, documents, fields)
    recipients = tuple(
        [
            await _recipient(engine, envelope, one, number)
            for number, one in enumerate(envelope.recipients, start=1)
        ]
    )
    now, expiration, reminders = engine.clock.now(), envelope.expiration, envelope.reminders
    warned_before = timedelta(days=expiration.warn_days) if expiration and expiration.warn_days else None
    return EngineEnvelope(
        tenant_id=envelope.tenant_id,
        id=engine_id,
        connection_id=connection_id,
        envelope_id=envelope.id,
        reference=envelope.reference,
        status=EngineStatus.DRAFT,
        version=1,
        subject=envelope.subject,
        message=envelope.message,
        language=envelope.language,
        sender_id=envelope.sender.id,
        sender_name=envelope.sender.name,
        sender_email=envelope.sender.email,
        authentication_level=str(envelope.authentication_level),
        sealing_mode=mode,
        reminder_first_hours=reminders.first_after_hours if reminders else None,
        reminder_every_hours=reminders.every_hours if reminders else None,
        next_reminder_at=None,
        expires_at=expiration.at if expiration else None,
        warn_at=expiration.at - warned_before if expiration and warned_before else None,
        warned_at=None,
        reason="",
        seal_attempts=0,
        seal_due_at=None,
        seal_error="",
        certificate_blob_key="",
        certificate_sha256="",
        certificate_size=0,
        combined_blob_key="",
        combined_sha256="",
        combined_size=0,
        verification_code=secrets.token_urlsafe(_CODE_BYTES),
        created_at=now,
        updated_at=now,
        sent_at=None,
        completed_at=None,
        ended_at=None,
        recipients=recipients,
        documents=documents,
        fields=fields,
    )


async def _document(engine: Engine, envelope: Envelope, document: Document) -> EngineDocument:
    examined = await examine_document(engine, envelope.tenant_id, document.blob_key, document.sha256)
    if not examined.is_ready:
        raise _refused(document, examined)
    return EngineDocument(
        id=document.id,
        position=document.order,
        name=document.name,
        source_blob_key=document.blob_key,
        source_sha256=document.sha256,
        blob_key=examined.blob_key,
        sha256=examined.sha256,
        size_bytes=examined.size_bytes,
        page_count=examined.page_count,
        pages=examined.pages,
        is_signed=examined.is_signed,
    )


def _refused(document: Document, examined: Examination) -> ValidationFailed:
    said = " ".join(f"{finding.problem} {finding.remedy}".strip() for finding in examined.findings)
    return ValidationFailed(
        f"The document {document.name} is refused. {said}".strip(),
        tuple(
            Finding(f"/documents/{document.order - 1}", finding.problem, finding.remedy)
            for finding in examined.findings
        ),
        code="document_refused",
    )


async def _anchors(engine: Engine, envelope: Envelope, documents: Sequence[EngineDocument]) -> Anchors:
    wanted: defaultdict[UUID, set[str]] = defaultdict(set)
    for field in envelope.fields:
        if field.anchor is not None:
            wanted[field.document_id].add(field.anchor.text)
    return {
        document.id: await find_anchors(
            engine, envelope.tenant_id, document.blob_key, tuple(sorted(wanted[document.id]))
        )
        for document in documents
        if document.id in wanted
    }


def _place(field: Field, document: EngineDocument, anchors: Anchors) -> EngineField:
    default_width, default_height = DEFAULT_SIZE[field.type]
    width, height = field.width or default_width, field.height or default_height
    page, x, y = field.page, field.x, field.y
    if field.anchor is not None:
        places = anchors[document.id].get(field.anchor.text, ())
        if not places:
            raise ValidationFailed(
                f"The text {field.anchor.text!r} is not in {document.name}, so a field has no place.",
                (missing_anchor(field.anchor.text, document.name),),
                code="anchor_not_found",
            )
        # The first place in reading order: a field has one id, so it stands in one place.
        first = places[0]
        page, x, y = first.page, first.x + field.anchor.x_offset, first.y + field.anchor.y_offset
    if not 1 <= page <= document.page_count:
        raise ValidationFailed(f"{document.name} has {document.page_count} pages, and a field is on {page}.")
    size = document.pages[page - 1]
    wide, high = min(width / size.width, 1.0), min(height / size.height, 1.0)
    return EngineField(
        id=field.id,
        document_id=document.id,
        recipient_id=field.recipient_id,
        type=field.type,
        page=page,
        # A field at an anchor near the edge is moved in as a whole: what hangs over cannot be seen.
        x=min(max(x / size.width, 0.0), 1.0 - wide),
        y=min(max(y / size.height, 0.0), 1.0 - high),
        width=wide,
        height=high,
        required=field.required,
        read_only=field.read_only,
        label=field.label,
        value=field.value,
        options=field.options,
        group_name=field.group,
    )


async def _recipient(
    engine: Engine, envelope: Envelope, recipient: Recipient, number: int
) -> EngineRecipient:
    phone = recipient.phone
    code, knowledge = await seal_secrets(engine, envelope.tenant_id, recipient)
    return EngineRecipient(
        id=recipient.id,
        position=number,
        name=recipient.name,
        email=recipient.email,
        role=recipient.role,
        routing_order=recipient.routing_order,
        status=RecipientStatus.PENDING,
        authentication=methods_asked(engine.settings, envelope, recipient),
        access_code=code,
        knowledge=knowledge,
        phone_country_code=phone.country_code if phone else "",
        phone_number=phone.number if phone else "",
        embedded=recipient.embedded,
        host_name=recipient.host_name,
        host_email=recipient.host_email,
        note=recipient.note,
        language=recipient.language,
        country=recipient.country,
    )
