"""Writes a new envelope of the engine's with its parts: four statements, whatever their number."""

from typing import Any

import msgspec

from config.database import Transaction
from engine.model import EngineEnvelope

_ENVELOPE = """
INSERT INTO engine_envelopes (tenant_id, id, connection_id, envelope_id, reference, status, subject, message,
    language, sender_id, sender_name, sender_email, authentication_level, sealing_mode, reminder_first_hours,
    reminder_every_hours, expires_at, warn_at, verification_code, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
ON CONFLICT (tenant_id, connection_id, reference) DO NOTHING
"""
_RECIPIENTS = """
INSERT INTO engine_recipients (tenant_id, engine_id, id, position, name, email, role, routing_order, status,
    authentication, access_code, knowledge, phone_country_code, phone_number, embedded, host_name, host_email, note,
    language, country)
SELECT $1, $2, r.id, r.position, r.name, r.email, r.role, r.routing_order, r.status, r.authentication,
    decode(r.access_code, 'base64'), decode(r.knowledge, 'base64'), r.phone_country_code, r.phone_number, r.embedded,
    r.host_name, r.host_email, r.note, r.language, r.country
FROM jsonb_to_recordset($3::jsonb) AS r(id uuid, position integer, name text, email text, role text,
    routing_order integer, status text, authentication text[], access_code text, knowledge text,
    phone_country_code text, phone_number text, embedded boolean, host_name text, host_email text, note text,
    language text, country text)
"""
_DOCUMENTS = """
INSERT INTO engine_documents (tenant_id, engine_id, id, position, name, source_blob_key, source_sha256, blob_key,
    sha256, size_bytes, page_count, pages, is_signed)
SELECT $1, $2, d.id, d.position, d.name, d.source_blob_key, d.source_sha256, d.blob_key, d.sha256, d.size_bytes,
    d.page_count, d.pages, d.is_signed
FROM jsonb_to_recordset($3::jsonb) AS d(id uuid, position integer, name text, source_blob_key text,
    source_sha256 text, blob_key text, sha256 text, size_bytes bigint, page_count integer, pages jsonb,
    is_signed boolean)
"""
_FIELDS = """
INSERT INTO engine_fields (tenant_id, engine_id, id, document_id, recipient_id, type, page, x, y, width, height,
    required, read_only, label, value, options, group_name)
SELECT $1, $2, f.id, f.document_id, f.recipient_id, f.type, f.page, f.x, f.y, f.width, f.height, f.required,
    f.read_only, f.label, f.value, f.options, f.group_name
FROM jsonb_to_recordset($3::jsonb) AS f(id uuid, document_id uuid, recipient_id uuid, type text, page integer,
    x double precision, y double precision, width double precision, height double precision, required boolean,
    read_only boolean, label text, value text, options text[], group_name text)
"""


async def insert_envelope(tx: Transaction, envelope: EngineEnvelope) -> bool:
    """False when the reference is taken: nothing was written."""
    made = await tx.driver.execute(
        _ENVELOPE,
        envelope.tenant_id,
        envelope.id,
        envelope.connection_id,
        envelope.envelope_id,
        envelope.reference,
        envelope.status,
        envelope.subject,
        envelope.message,
        envelope.language,
        envelope.sender_id,
        envelope.sender_name,
        envelope.sender_email,
        envelope.authentication_level,
        envelope.sealing_mode,
        envelope.reminder_first_hours,
        envelope.reminder_every_hours,
        envelope.expires_at,
        envelope.warn_at,
        envelope.verification_code,
        envelope.created_at,
    )
    if made != "INSERT 0 1":
        return False
    parts: tuple[tuple[str, tuple[Any, ...]], ...] = (
        (_RECIPIENTS, envelope.recipients),
        (_DOCUMENTS, envelope.documents),
        (_FIELDS, envelope.fields),
    )
    for statement, rows in parts:
        if rows:
            # Bytes become base64 in JSON, which the statement takes back.
            encoded = msgspec.json.encode(rows).decode()
            await tx.driver.execute(statement, envelope.tenant_id, envelope.id, encoded)
    return True
