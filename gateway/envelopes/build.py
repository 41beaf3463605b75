"""Builds the rows of an envelope's parts from what a caller sent."""

from typing import Any
from uuid import UUID

import msgspec

from config.vault import Place
from engine.ceremony.knowledge import encode_questions, make_question
from gateway.envelopes.draft import FieldInput, RecipientInput
from gateway.envelopes.model import StoredField, StoredRecipient
from gateway.services import Services
from normalizer.field import DEFAULT_SIZE
from normalizer.status import RecipientStatus


async def build_recipient(
    services: Services,
    tenant_id: UUID,
    given: RecipientInput,
    position: int,
    recipient_id: UUID | None = None,
) -> StoredRecipient:
    """A recipient's row, new unless an id is given; access code and questions go into the vault here, and of the
    answers their hashes only.
    """
    recipient_id = recipient_id or services.ids.new()
    code = None
    if given.access_code:
        place = Place("recipients", "access_code", recipient_id)
        code = await services.vault.encrypt(services.database, tenant_id, place, given.access_code.encode())
    knowledge = None
    if given.knowledge_questions:
        questions = [await make_question(one.question, one.answer) for one in given.knowledge_questions]
        place = Place("recipients", "knowledge", recipient_id)
        plain = encode_questions(questions)
        knowledge = await services.vault.encrypt(services.database, tenant_id, place, plain)
    first, *further = given.methods
    return StoredRecipient(
        id=recipient_id,
        position=position,
        name=given.name,
        email=given.email,
        role=str(given.role),
        routing_order=given.routing_order,
        status=RecipientStatus.PENDING,
        authentication_method=str(first),
        further_authentication=tuple(str(one) for one in further),
        access_code=code,
        knowledge=knowledge,
        phone_country_code=given.phone.country_code if given.phone else "",
        phone_number=given.phone.number if given.phone else "",
        embedded=given.embedded,
        host_name=given.host_name,
        host_email=given.host_email,
        template_role=given.template_role,
        note=given.note,
        language=given.language,
        country=given.country.upper(),
        provider_ref="",
        reason="",
        delivered_at=None,
        completed_at=None,
    )


def build_field(
    services: Services, given: FieldInput, document_id: UUID, recipient_id: UUID | None
) -> StoredField:
    width, height = DEFAULT_SIZE[given.type]
    return StoredField(
        id=services.ids.new(),
        document_id=document_id,
        recipient_id=recipient_id,
        type=str(given.type),
        page_number=given.page,
        x=given.x,
        y=given.y,
        width=given.width or width,
        height=given.height or height,
        anchor=msgspec.to_builtins(given.anchor) if given.anchor else None,
        required=given.required,
        read_only=given.read_only,
        label=given.label,
        value=given.value,
        options=given.options,
        group_name=given.group,
    )


def recipient_row(recipient: StoredRecipient) -> dict[str, Any]:
    """The row as insert_recipients takes it: bytes in PostgreSQL's hexadecimal form."""
    row: dict[str, Any] = msgspec.to_builtins(recipient)
    row["access_code"] = f"\\x{recipient.access_code.hex()}" if recipient.access_code else None
    row["knowledge"] = f"\\x{recipient.knowledge.hex()}" if recipient.knowledge else None
    return row


def dump(rows: object) -> str:
    return msgspec.json.encode(rows).decode()
