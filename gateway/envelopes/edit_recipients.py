"""Adds, changes and removes a draft's recipients."""

from uuid import UUID

from gateway.envelopes.build import build_field, build_recipient, dump, recipient_row
from gateway.envelopes.create import field_added
from gateway.envelopes.draft import RecipientInput, find_field_faults, find_recipient_faults
from gateway.envelopes.edit import Editing, edit_draft
from gateway.envelopes.facts import recipient_event
from gateway.envelopes.model import StoredRecipient
from gateway.envelopes.store import change_recipient
from gateway.services import Caller, Services
from normalizer.errors import Finding, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


async def add_recipient(
    services: Services, caller: Caller, envelope_id: UUID, given: RecipientInput
) -> StoredRecipient:
    """Adds a recipient, with fields when they are given."""
    _check(given)
    # Encrypting an access code takes its own connection: before the draft is locked, not inside.
    recipient = await build_recipient(services, caller.tenant_id, given, position=0)
    async with edit_draft(services, caller, envelope_id) as editing:
        envelope = editing.envelope
        limits = services.settings.limit
        if len(envelope.recipients) >= limits.recipients_per_envelope:
            raise ValidationFailed(
                f"An envelope has at most {limits.recipients_per_envelope} recipients.", code="too_many"
            )
        if len(envelope.fields) + len(given.fields) > limits.fields_per_envelope:
            raise ValidationFailed(
                f"An envelope has at most {limits.fields_per_envelope} fields.", code="too_many"
            )
        position = max((one.position for one in envelope.recipients), default=0) + 1
        row = recipient_row(recipient) | {"position": position}
        await editing.tx.driver.execute(
            "SELECT insert_recipients($1, $2, $3::jsonb)", caller.tenant_id, envelope_id, dump([row])
        )
        documents = envelope.documents
        for number, field in enumerate(given.fields):
            if field.document > len(documents):
                raise ValidationFailed(
                    "A field names a document that the envelope does not have.",
                    (Finding(f"/fields/{number}/document", f"There are {len(documents)} documents."),),
                )
        fields = [
            build_field(services, field, documents[field.document - 1].id, recipient.id)
            for field in given.fields
        ]
        if fields:
            await editing.tx.driver.execute(
                "SELECT insert_fields($1, $2, $3::jsonb)", caller.tenant_id, envelope_id, dump(fields)
            )
        editing.record(
            [
                recipient_event(
                    services, LedgerType.RECIPIENT_ADDED, envelope, recipient, caller.actor, caller.source
                ),
                *field_added(services, caller, envelope, fields),
            ]
        )
    return recipient


async def replace_recipient(
    services: Services, caller: Caller, envelope_id: UUID, recipient_id: UUID, given: RecipientInput
) -> None:
    """Sets all of a recipient's attributes; fields stay as they are and are edited by themselves."""
    _check(given)
    if given.fields:
        raise ValidationFailed(
            "Fields are changed by themselves.", (Finding("/fields", "Leave this out here."),)
        )
    changed = await build_recipient(services, caller.tenant_id, given, position=0, recipient_id=recipient_id)
    async with edit_draft(services, caller, envelope_id) as editing:
        before = _find(editing, recipient_id)
        columns = {
            "name": changed.name,
            "email": changed.email,
            "role": changed.role,
            "routing_order": changed.routing_order,
            "authentication_method": changed.authentication_method,
            "further_authentication": changed.further_authentication,
            "access_code": changed.access_code,
            "knowledge": changed.knowledge,
            "phone_country_code": changed.phone_country_code,
            "phone_number": changed.phone_number,
            "embedded": changed.embedded,
            "host_name": changed.host_name,
            "host_email": changed.host_email,
            "template_role": changed.template_role,
            "note": changed.note,
            "language": changed.language,
            "country": changed.country,
        }
        await change_recipient(editing.tx, caller.tenant_id, recipient_id, columns)
        names = [name for name, value in columns.items() if value != getattr(before, name)]
        editing.record(
            [
                recipient_event(
                    services,
                    LedgerType.RECIPIENT_CHANGED,
                    editing.envelope,
                    changed,
                    caller.actor,
                    caller.source,
                    facts={"changed": tuple(sorted(names))},
                )
            ]
        )


async def remove_recipient(services: Services, caller: Caller, envelope_id: UUID, recipient_id: UUID) -> None:
    """Removes a recipient together with the fields that were theirs."""
    async with edit_draft(services, caller, envelope_id) as editing:
        recipient = _find(editing, recipient_id)
        await editing.tx.driver.execute(
            "DELETE FROM document_fields WHERE tenant_id = $1 AND recipient_id = $2",
            caller.tenant_id,
            recipient_id,
        )
        await editing.tx.driver.execute(
            "DELETE FROM recipients WHERE tenant_id = $1 AND id = $2", caller.tenant_id, recipient_id
        )
        removed = sum(field.recipient_id == recipient_id for field in editing.envelope.fields)
        editing.record(
            [
                recipient_event(
                    services,
                    LedgerType.RECIPIENT_REMOVED,
                    editing.envelope,
                    recipient,
                    caller.actor,
                    caller.source,
                    facts={"fields_removed": removed},
                )
            ]
        )


def _check(given: RecipientInput) -> None:
    faults = list(find_recipient_faults(given, ""))
    for number, field in enumerate(given.fields):
        faults.extend(find_field_faults(field, given.role, f"/fields/{number}"))
    if faults:
        raise ValidationFailed("The recipient cannot be taken as it is.", tuple(faults))


def _find(editing: Editing, recipient_id: UUID) -> StoredRecipient:
    recipient = editing.envelope.recipient(recipient_id)
    if recipient is None:
        raise NotFound("recipient", print_id(Kind.RECIPIENT, recipient_id))
    return recipient
