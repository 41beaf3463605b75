"""Puts documents into a draft and takes them out."""

from uuid import UUID

from gateway.envelopes.create import document_added
from gateway.envelopes.edit import edit_draft
from gateway.envelopes.facts import part_event
from gateway.envelopes.store import load_document
from gateway.services import Caller, Services
from normalizer.errors import Conflict, NotFound, ValidationFailed
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


async def add_document(services: Services, caller: Caller, envelope_id: UUID, document_id: UUID) -> None:
    """Puts an uploaded document at the end of the draft's documents. Raises Conflict when it is taken."""
    async with edit_draft(services, caller, envelope_id) as editing:
        envelope = editing.envelope
        limit = services.settings.limit.documents_per_envelope
        if len(envelope.documents) >= limit:
            raise ValidationFailed(f"An envelope has at most {limit} documents.", code="too_many")
        document = await load_document(editing.tx, caller.tenant_id, document_id)
        position = max((one.position for one in envelope.documents), default=0) + 1
        taken = await editing.tx.driver.fetchval(
            "UPDATE documents SET envelope_id = $3, position = $4"
            " WHERE tenant_id = $1 AND id = $2 AND envelope_id IS NULL RETURNING id",
            caller.tenant_id,
            document_id,
            envelope_id,
            position,
        )
        if taken is None:
            raise Conflict(
                "The document is already part of an envelope.", remedy="Upload it again for this envelope."
            )
        editing.record([document_added(services, caller, envelope, document, position)])


async def remove_document(services: Services, caller: Caller, envelope_id: UUID, document_id: UUID) -> None:
    """Takes a document out, with the fields on it; the document itself stays and may be used again."""
    async with edit_draft(services, caller, envelope_id) as editing:
        envelope = editing.envelope
        document = next((one for one in envelope.documents if one.id == document_id), None)
        if document is None:
            raise NotFound("document", print_id(Kind.DOCUMENT, document_id))
        await editing.tx.driver.execute(
            "DELETE FROM document_fields WHERE tenant_id = $1 AND envelope_id = $2 AND document_id = $3",
            caller.tenant_id,
            envelope_id,
            document_id,
        )
        await editing.tx.driver.execute(
            "UPDATE documents SET envelope_id = NULL, position = 0 WHERE tenant_id = $1 AND id = $2",
            caller.tenant_id,
            document_id,
        )
        editing.record(
            [
                part_event(
                    services,
                    LedgerType.DOCUMENT_REMOVED,
                    envelope,
                    ResourceType.DOCUMENT,
                    print_id(Kind.DOCUMENT, document_id),
                    caller.actor,
                    caller.source,
                    {"document_sha256": document.sha256},
                )
            ]
        )
