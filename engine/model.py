"""The engine's envelope as it is stored: who acts when on which documents, and how far it has come.

Frozen: a change is a statement and a new copy. Positions of fields are fractions (0..1) of the displayed page
(CropBox after Rotate), top-left origin, so that the browser and the stamp agree.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from normalizer.document import PageSize
from normalizer.field import FieldType
from normalizer.recipient import AuthenticationMethod, Role
from normalizer.status import RecipientStatus


class EngineStatus(StrEnum):
    DRAFT = "draft"
    SENT = "sent"
    SEALING = "sealing"  # everybody has finished; the documents are being sealed
    COMPLETED = "completed"
    DECLINED = "declined"
    VOIDED = "voided"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """Whether recipients may still act."""
        return self is EngineStatus.SENT


class SealingMode(StrEnum):
    SEAL = "seal"
    PER_SIGNER = "per_signer"


class SignatureType(StrEnum):
    DRAW = "draw"
    TYPED = "typed"
    UPLOAD = "upload"


class EngineRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """`authentication` in the order asked; EMAIL is the link itself. `access_code` and `knowledge` are vault
    ciphertext of argon2id hashes (Place "engine_recipients", column, recipient's id).
    """

    id: UUID
    position: int
    name: str
    email: str
    role: Role
    routing_order: int
    status: RecipientStatus
    authentication: tuple[AuthenticationMethod, ...]
    access_code: bytes | None = None
    knowledge: bytes | None = None
    phone_country_code: str = ""
    phone_number: str = ""
    embedded: bool = False
    host_name: str = ""
    host_email: str = ""
    note: str = ""
    language: str = ""
    country: str = ""
    delegated_from: UUID | None = None
    delegation_reason: str = ""
    reason: str = ""
    signed_name: str = ""
    meaning: str = ""
    ip_address: str = ""
    user_agent: str = ""
    geolocation: str = ""
    time_zone: str = ""
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    completed_at: datetime | None = None


class EngineDocument(msgspec.Struct, frozen=True, kw_only=True):
    """`source_*` is what was sent to us, `blob_key` and `sha256` what is shown and sealed."""

    id: UUID
    position: int
    name: str
    source_blob_key: str
    source_sha256: str
    blob_key: str
    sha256: str
    size_bytes: int
    page_count: int
    pages: tuple[PageSize, ...]
    is_signed: bool = False
    sealed_blob_key: str = ""
    sealed_sha256: str = ""
    sealed_size: int = 0


class EngineField(msgspec.Struct, frozen=True, kw_only=True):
    """`page` is 1-based; x, y, width, height are fractions of the displayed page."""

    id: UUID
    document_id: UUID
    recipient_id: UUID
    type: FieldType
    page: int
    x: float
    y: float
    width: float
    height: float
    required: bool = True
    read_only: bool = False
    label: str = ""
    value: str = ""
    options: tuple[str, ...] = ()
    group_name: str = ""
    signature_id: UUID | None = None
    attachment_blob_key: str = ""
    completed_at: datetime | None = None
    version: int = 1


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A captured signature or initials; `blob_key` is a PNG with transparent ground, sizes in pixels."""

    id: UUID
    recipient_id: UUID
    purpose: str
    type: SignatureType
    blob_key: str
    sha256: str
    width: int
    height: int
    text: str
    font: str
    created_at: datetime


class EngineEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the engine's (what the gateway calls provider_ref), `envelope_id` the gateway's."""

    tenant_id: UUID
    id: UUID
    connection_id: UUID
    envelope_id: UUID
    reference: str
    status: EngineStatus
    version: int
    subject: str
    message: str
    language: str
    sender_id: str
    sender_name: str
    sender_email: str
    authentication_level: str
    sealing_mode: SealingMode
    reminder_first_hours: int | None
    reminder_every_hours: int | None
    next_reminder_at: datetime | None
    expires_at: datetime | None
    warn_at: datetime | None
    warned_at: datetime | None
    reason: str
    seal_attempts: int
    seal_due_at: datetime | None
    seal_error: str
    certificate_blob_key: str
    certificate_sha256: str
    certificate_size: int
    combined_blob_key: str
    combined_sha256: str
    combined_size: int
    verification_code: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    completed_at: datetime | None
    ended_at: datetime | None
    recipients: tuple[EngineRecipient, ...] = ()
    documents: tuple[EngineDocument, ...] = ()
    fields: tuple[EngineField, ...] = ()
    signatures: tuple[Signature, ...] = ()

    def recipient(self, recipient_id: UUID) -> EngineRecipient:
        """Raises KeyError."""
        for one in self.recipients:
            if one.id == recipient_id:
                return one
        raise KeyError(recipient_id)

    def fields_of(self, recipient_id: UUID) -> tuple[EngineField, ...]:
        return tuple(field for field in self.fields if field.recipient_id == recipient_id)

    def signatures_of(self, recipient_id: UUID) -> tuple[Signature, ...]:
        """Made since this person was asked: before a correction of the address, they are somebody else's."""
        asked_at = self.recipient(recipient_id).sent_at
        return tuple(
            one
            for one in self.signatures
            if one.recipient_id == recipient_id and (asked_at is None or one.created_at >= asked_at)
        )
