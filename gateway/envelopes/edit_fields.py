"""Places, changes and removes a draft's fields."""

from typing import Annotated
from uuid import UUID

import msgspec

from gateway.envelopes.build import build_field, dump
from gateway.envelopes.create import field_added, field_facts
from gateway.envelopes.draft import FieldInput, find_field_faults
from gateway.envelopes.edit import Editing, edit_draft
from gateway.envelopes.facts import part_event
from gateway.envelopes.model import StoredField
from gateway.services import Caller, Services
from normalizer.errors import Finding, NotFound, ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id, read_id
from normalizer.recipient import Role
from normalizer.vocabulary import LedgerType


class PlacedFieldInput(FieldInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field with its recipient; without one it is a place that somebody must still be given."""

    recipient_id: Annotated[str, msgspec.Meta(max_length=40)] = ""


async def add_field(
    services: Services, caller: Caller, envelope_id: UUID, given: PlacedFieldInput
) -> StoredField:
    async with edit_draft(services, caller, envelope_id) as editing:
        limit = services.settings.limit.fields_per_envelope
        if len(editing.envelope.fields) >= limit:
            raise ValidationFailed(f"An envelope has at most {limit} fields.", code="too_many")
        field = _build(services, editing, given)
        await _insert(editing, caller.tenant_id, field)
        editing.record(field_added(services, caller, editing.envelope, [field]))
    return field


async def replace_field(
    services: Services, caller: Caller, envelope_id: UUID, field_id: UUID, given: PlacedFieldInput
) -> StoredField:
    """Sets all of a field's attributes; the id stays."""
    async with edit_draft(services, caller, envelope_id) as editing:
        _find(editing, field_id)
        field = msgspec.structs.replace(_build(services, editing, given), id=field_id)
        await _delete(editing, caller.tenant_id, field_id)
        await _insert(editing, caller.tenant_id, field)
        editing.record([_event(services, caller, editing, LedgerType.FIELD_CHANGED, field)])
    return field


async def remove_field(services: Services, caller: Caller, envelope_id: UUID, field_id: UUID) -> None:
    async with edit_draft(services, caller, envelope_id) as editing:
        field = _find(editing, field_id)
        await _delete(editing, caller.tenant_id, field_id)
        editing.record([_event(services, caller, editing, LedgerType.FIELD_REMOVED, field)])


def _build(services: Services, editing: Editing, given: PlacedFieldInput) -> StoredField:
    envelope = editing.envelope
    recipient_id = read_id(Kind.RECIPIENT, given.recipient_id) if given.recipient_id else None
    role = Role.SIGNER
    if recipient_id is not None:
        recipient = envelope.recipient(recipient_id)
        if recipient is None:
            raise NotFound("recipient", given.recipient_id)
        role = Role(recipient.role)
    faults = list(find_field_faults(given, role, ""))
    if given.document > len(envelope.documents):
        faults.append(Finding("/document", f"The envelope has {len(envelope.documents)} documents."))
    if faults:
        raise ValidationFailed("The field cannot be taken as it is.", tuple(faults))
    return build_field(services, given, envelope.documents[given.document - 1].id, recipient_id)


async def _insert(editing: Editing, tenant_id: UUID, field: StoredField) -> None:
    await editing.tx.driver.execute(
        "SELECT insert_fields($1, $2, $3::jsonb)", tenant_id, editing.envelope.id, dump([field])
    )


async def _delete(editing: Editing, tenant_id: UUID, field_id: UUID) -> None:
    await editing.tx.driver.execute(
        "DELETE FROM document_fields WHERE tenant_id = $1 AND id = $2", tenant_id, field_id
    )


def _find(editing: Editing, field_id: UUID) -> StoredField:
    field = next((one for one in editing.envelope.fields if one.id == field_id), None)
    if field is None:
        raise NotFound("field", print_id(Kind.FIELD, field_id))
    return field


def _event(
    services: Services, caller: Caller, editing: Editing, kind: LedgerType, field: StoredField
) -> Event:
    return part_event(
        services,
        kind,
        editing.envelope,
        ResourceType.FIELD,
        print_id(Kind.FIELD, field.id),
        caller.actor,
        caller.source,
        field_facts(field),
    )
