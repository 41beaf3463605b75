"""Reading and writing envelopes in PostgreSQL; rows become structs here and nowhere else.

Hot writes are SQL functions (gateway/migrations/sql/0001_21_envelope_functions.sql), one round trip each.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from gateway.envelopes.model import StoredDocument, StoredEnvelope
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id

_envelope_decoder = msgspec.json.Decoder(StoredEnvelope)
_document_decoder = msgspec.json.Decoder(StoredDocument)

# The columns that a use case may change by itself; identity, tenant and history are not among them.
_CHANGEABLE = frozenset(
    {
        "name",
        "message",
        "status",
        "external_reference",
        "document_type",
        "authentication_level",
        "signature_level",
        "language",
        "template_ref",
        "metadata",
        "reminder_first_hours",
        "reminder_every_hours",
        "expiration_date",
        "expiry_warn_days",
        "provider_ref",
        "provider_status",
        "dispatch_state",
        "lookups",
        "next_lookup_at",
        "last_error",
        "reason",
        "sent_at",
        "completed_at",
    }
)
_RECIPIENT_CHANGEABLE = frozenset(
    {
        "name",
        "email",
        "role",
        "routing_order",
        "status",
        "authentication_method",
        "further_authentication",
        "access_code",
        "knowledge",
        "phone_country_code",
        "phone_number",
        "embedded",
        "host_name",
        "host_email",
        "template_role",
        "note",
        "language",
        "country",
        "provider_ref",
        "ip_address",
        "reason",
        "delivered_at",
        "completed_at",
    }
)
_JSON_COLUMNS = frozenset({"metadata", "last_error", "anchor"})


async def load_envelope(source: Database | Transaction, tenant_id: UUID, envelope_id: UUID) -> StoredEnvelope:
    """One round trip. Raises NotFound, also for another tenant's envelope."""
    connection = source.driver if isinstance(source, Transaction) else source
    row = await connection.fetchval("SELECT load_envelope($1, $2, false)", tenant_id, envelope_id)
    return _decode(row, envelope_id)


async def lock_envelope(tx: Transaction, tenant_id: UUID, envelope_id: UUID) -> StoredEnvelope:
    """As load_envelope, and nobody else changes it until this transaction ends."""
    row = await tx.driver.fetchval("SELECT load_envelope($1, $2, true)", tenant_id, envelope_id)
    return _decode(row, envelope_id)


async def change_envelope(
    tx: Transaction, tenant_id: UUID, envelope_id: UUID, changes: Mapping[str, Any]
) -> None:
    """Sets the given columns; the version counts up. `changes` maps column names to values."""
    assignments, values = _assign(changes, _CHANGEABLE, first=3)
    await tx.driver.execute(
        f"UPDATE envelopes SET {assignments}, updated_at = clock_timestamp(), version = version + 1"
        " WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        envelope_id,
        *values,
    )


async def change_recipient(
    tx: Transaction, tenant_id: UUID, recipient_id: UUID, changes: Mapping[str, Any]
) -> None:
    assignments, values = _assign(changes, _RECIPIENT_CHANGEABLE, first=3)
    await tx.driver.execute(
        f"UPDATE recipients SET {assignments} WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        recipient_id,
        *values,
    )


async def load_document(source: Database | Transaction, tenant_id: UUID, document_id: UUID) -> StoredDocument:
    """Raises NotFound, also for another tenant's document."""
    sql = "SELECT to_jsonb(d) FROM documents d WHERE tenant_id = $1 AND id = $2"
    if isinstance(source, Transaction):
        row = await source.driver.fetchval(sql, tenant_id, document_id)
    else:
        async with source.transaction(tenant_id) as tx:
            row = await tx.driver.fetchval(sql, tenant_id, document_id)
    if row is None:
        raise NotFound("document", print_id(Kind.DOCUMENT, document_id))
    return _document_decoder.decode(row)


def _decode(row: str | None, envelope_id: UUID) -> StoredEnvelope:
    if row is None:
        raise NotFound("envelope", print_id(Kind.ENVELOPE, envelope_id))
    return _envelope_decoder.decode(row)


def _assign(changes: Mapping[str, Any], allowed: frozenset[str], first: int) -> tuple[str, list[Any]]:
    unknown = changes.keys() - allowed
    if unknown or not changes:
        raise ValueError(f"these columns cannot be set here: {sorted(unknown)}")
    parts = []
    values: list[Any] = []
    for number, (column, value) in enumerate(changes.items(), start=first):
        if column in _JSON_COLUMNS and value is not None:
            parts.append(f"{column} = ${number}::jsonb")
            values.append(msgspec.json.encode(value).decode())
        else:
            parts.append(f"{column} = ${number}")
            values.append(value)
    return ", ".join(parts), values
