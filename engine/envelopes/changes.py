"""The statements that change an envelope of the engine's, each returning the copy that is true afterwards.

The caller holds the envelope's lock. Identity, tenant and reference are not among the columns that change.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.model import EngineEnvelope, EngineField

_ENVELOPE = frozenset(
    {
        "status",
        "version",
        "next_reminder_at",
        "warned_at",
        "warn_at",
        "reason",
        "seal_attempts",
        "seal_due_at",
        "seal_error",
        "certificate_blob_key",
        "certificate_sha256",
        "certificate_size",
        "combined_blob_key",
        "combined_sha256",
        "combined_size",
        "sent_at",
        "completed_at",
        "ended_at",
    }
)
_RECIPIENT = frozenset(
    {
        "name",
        "email",
        "status",
        "reason",
        "signed_name",
        "meaning",
        "ip_address",
        "user_agent",
        "geolocation",
        "time_zone",
        "sent_at",
        "delivered_at",
        "completed_at",
    }
)
_EMPTIED = (
    "value = '', signature_id = NULL, attachment_blob_key = '', completed_at = NULL, version = version + 1"
)


async def change_envelope(
    tx: Transaction, envelope: EngineEnvelope, changes: Mapping[str, Any]
) -> EngineEnvelope:
    """`changes` maps column names to values."""
    assignments = _assign(changes, _ENVELOPE)
    await tx.driver.execute(
        f"UPDATE engine_envelopes SET {assignments}, updated_at = now() WHERE tenant_id = $1 AND id = $2",
        envelope.tenant_id,
        envelope.id,
        *changes.values(),
    )
    return msgspec.structs.replace(envelope, **changes)


async def change_recipient(
    tx: Transaction, envelope: EngineEnvelope, recipient_id: UUID, changes: Mapping[str, Any]
) -> EngineEnvelope:
    """The envelope is marked as changed too: whoever asks for what changed finds it."""
    assignments = _assign(changes, _RECIPIENT, first=4)
    await tx.driver.execute(
        "WITH touched AS (UPDATE engine_envelopes SET updated_at = now() WHERE tenant_id = $1 AND id = $2)"
        f" UPDATE engine_recipients SET {assignments} WHERE tenant_id = $1 AND engine_id = $2 AND id = $3",
        envelope.tenant_id,
        envelope.id,
        recipient_id,
        *changes.values(),
    )
    return msgspec.structs.replace(
        envelope,
        recipients=tuple(
            msgspec.structs.replace(one, **changes) if one.id == recipient_id else one
            for one in envelope.recipients
        ),
    )


async def pass_fields_on(
    tx: Transaction, envelope: EngineEnvelope, former: UUID, successor: UUID
) -> EngineEnvelope:
    """The former person's fields are the successor's, and what the former entered is taken out of them: nobody
    signs what another has filled in. What the sender had filled in stays.
    """
    await tx.driver.execute(
        f"UPDATE engine_fields SET {_EMPTIED} WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
        " AND completed_at IS NOT NULL AND NOT read_only",
        envelope.tenant_id,
        envelope.id,
        former,
    )
    await tx.driver.execute(
        "UPDATE engine_fields SET recipient_id = $4 WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3",
        envelope.tenant_id,
        envelope.id,
        former,
        successor,
    )
    return msgspec.structs.replace(
        envelope,
        fields=tuple(
            _emptied(field, successor) if field.recipient_id == former else field for field in envelope.fields
        ),
    )


def _emptied(field: EngineField, successor: UUID) -> EngineField:
    if field.completed_at is None or field.read_only:
        return msgspec.structs.replace(field, recipient_id=successor)
    return msgspec.structs.replace(
        field,
        recipient_id=successor,
        value="",
        signature_id=None,
        attachment_blob_key="",
        completed_at=None,
        version=field.version + 1,
    )


def _assign(changes: Mapping[str, Any], allowed: frozenset[str], first: int = 3) -> str:
    unknown = changes.keys() - allowed
    if unknown or not changes:
        raise ValueError(f"these columns cannot be set here: {sorted(unknown)}")
    return ", ".join(f"{column} = ${number}" for number, column in enumerate(changes, start=first))
