"""Envelopes as they are stored: the rows, as frozen structs."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from normalizer.envelope import Degradation
from normalizer.errors import Finding
from normalizer.status import EnvelopeStatus, RecipientStatus


class DispatchState(msgspec.Struct, frozen=True):
    """Names of the dispatch's states; see docs/life-of-an-envelope.md."""

    IDLE = "idle"
    CREATING = "creating"
    UNKNOWN = "unknown"
    SETTLED = "settled"


class StoredField(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    document_id: UUID
    recipient_id: UUID | None
    type: str
    page_number: int
    x: float
    y: float
    width: float
    height: float
    anchor: dict[str, Any] | None
    required: bool
    read_only: bool
    label: str
    value: str
    options: tuple[str, ...]
    group_name: str


class PlacedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document in its place among an envelope's or a template's. Sizes in bytes and points."""

    id: UUID
    position: int
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    page_count: int | None
    pages: tuple[tuple[float, float], ...]
    blob_key: str
    source_media_type: str
    source_sha256: str


class StoredDocument(PlacedDocument, frozen=True, kw_only=True):
    """`status`: processing, ready or refused. `removed`: what its examination takes out before it is signed."""

    envelope_id: UUID | None
    status: str
    created_at: datetime
    findings: tuple[Finding, ...] = ()
    removed: tuple[str, ...] = ()
    is_signed: bool = False


class StoredRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """`access_code` and `knowledge` are vault ciphertext."""

    id: UUID
    position: int
    name: str
    email: str
    role: str
    routing_order: int
    status: RecipientStatus
    authentication_method: str
    access_code: bytes | None
    phone_country_code: str
    phone_number: str
    embedded: bool
    host_name: str
    host_email: str
    template_role: str
    note: str
    language: str
    country: str
    provider_ref: str
    reason: str
    delivered_at: datetime | None
    completed_at: datetime | None
    further_authentication: tuple[str, ...] = ()
    knowledge: bytes | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method of authentication, in the order in which they are asked for."""
        return (self.authentication_method, *self.further_authentication)


class StoredEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    id: UUID
    name: str
    message: str
    status: EnvelopeStatus
    sender_id: str
    sender_name: str
    sender_email: str
    external_reference: str
    document_type: str
    authentication_level: str
    signature_level: str
    language: str
    template_ref: str
    metadata: dict[str, str]
    reminder_first_hours: int | None
    reminder_every_hours: int | None
    expiration_date: datetime | None
    expiry_warn_days: int
    provider: str | None
    connection_id: UUID | None
    connection_version: int | None
    provider_ref: str | None
    provider_status: str
    routing: dict[str, Any] | None
    degraded: tuple[Degradation, ...]
    dispatch_state: str
    dispatch_epoch: int
    dispatch_deadline: datetime | None
    lookups: int
    next_lookup_at: datetime | None
    last_error: dict[str, Any] | None
    reason: str
    version: int
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    completed_at: datetime | None
    recipients: tuple[StoredRecipient, ...] = ()
    documents: tuple[StoredDocument, ...] = ()
    fields: tuple[StoredField, ...] = ()

    def recipient(self, recipient_id: UUID) -> StoredRecipient | None:
        return next((one for one in self.recipients if one.id == recipient_id), None)
