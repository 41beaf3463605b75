"""Changes a draft's own attributes: name, message, expiration, reminders and the like."""

from typing import Any
from uuid import UUID

import msgspec

from gateway.envelopes.draft import EnvelopeChange, find_attribute_faults, find_level_faults
from gateway.envelopes.edit import edit_draft
from gateway.envelopes.facts import envelope_event
from gateway.envelopes.store import change_envelope
from gateway.services import Caller, Services
from normalizer.errors import ValidationFailed
from normalizer.vocabulary import LedgerType

# The API's word -> the column; reminders are two columns and handled apart.
_COLUMNS = {
    "name": "name",
    "message": "message",
    "reference": "external_reference",
    "document_type": "document_type",
    "authentication_level": "authentication_level",
    "signature_level": "signature_level",
    "expires_at": "expiration_date",
    "expiry_warn_days": "expiry_warn_days",
    "template_ref": "template_ref",
    "language": "language",
    "metadata": "metadata",
}
_LEVELS = frozenset({"authentication_level", "signature_level"})


async def change_attributes(
    services: Services, caller: Caller, envelope_id: UUID, change: EnvelopeChange
) -> None:
    """Sets what `change` names. Raises ValidationFailed, NotFound, InvalidTransition."""
    columns = _changed_columns(change)
    if not columns:
        raise ValidationFailed("Nothing to change was named.", code="empty_change")
    expires_at = change.expires_at if change.expires_at is not msgspec.UNSET else None
    metadata = change.metadata if change.metadata is not msgspec.UNSET else {}
    faults = find_attribute_faults(expires_at, metadata, services.clock.now())
    if change.signature_level is not msgspec.UNSET:
        faults += find_level_faults(change.signature_level)
    if faults:
        raise ValidationFailed("The change cannot be taken as it is.", faults)
    async with edit_draft(services, caller, envelope_id) as editing:
        await change_envelope(editing.tx, caller.tenant_id, envelope_id, columns)
        editing.record(
            [
                envelope_event(
                    services,
                    LedgerType.ENVELOPE_MODIFIED,
                    editing.envelope,
                    caller.actor,
                    caller.source,
                    facts={"changed": tuple(sorted(columns))},
                )
            ]
        )


def _changed_columns(change: EnvelopeChange) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for word, column in _COLUMNS.items():
        value = getattr(change, word)
        if value is not msgspec.UNSET:
            columns[column] = str(value) if word in _LEVELS else value
    if change.reminders is not msgspec.UNSET:
        reminders = change.reminders
        columns["reminder_first_hours"] = reminders.first_after_hours if reminders else None
        columns["reminder_every_hours"] = reminders.every_hours if reminders else None
    return columns
