"""What the certificate of completion says: who did what, when, proved how, on which bytes, and where it is written.

Written twice: as pages for people and as JSON for machines. Holds personal data, as the parties need it; must never
hold a secret (codes, answers, links).
Source: the order's list for a certificate; 15 U.S.C. 7001(c) for consents; 21 CFR 11.50 for meanings.
"""

from datetime import datetime
from typing import Any

import msgspec

from engine.sealing.attachment_facts import AttachmentFacts
from engine.sealing.level_facts import OwnCertificateFacts

FORMAT = "countersign-completion/1"


class DocumentFacts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    page_count: int
    original_sha256: str
    shown_sha256: str
    sealed_sha256: str
    sealed_size: int
    sealed_level: str
    timestamp: str
    timestamp_authority: str
    timestamp_serial: str
    escaped_letters: int


class SignatureFacts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    purpose: str
    type: str
    text: str
    sha256: str
    created_at: datetime
    blob_key: str = ""  # where the picture lies; not written


class ConsentFacts(msgspec.Struct, frozen=True, kw_only=True):
    disclosure_id: str
    version: str
    sha256: str
    language: str
    outcome: str
    shown_at: datetime
    decided_at: datetime
    method: str
    demonstration: str
    withdrawn_at: datetime | None
    ip_address: str
    user_agent: str


class RecipientFacts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    signed_name: str
    email: str
    role: str
    routing_order: int
    status: str
    authentication: tuple[str, ...]
    meaning: str
    host: str
    delegated_from: str
    delegation_reason: str
    reason: str
    sent_at: datetime | None
    delivered_at: datetime | None
    completed_at: datetime | None
    time_zone: str
    geolocation: str
    ip_address: str
    user_agent: str
    signatures: tuple[SignatureFacts, ...]
    consents: tuple[ConsentFacts, ...]
    own_certificate: OwnCertificateFacts | None = None


class ValueFacts(msgspec.Struct, frozen=True, kw_only=True):
    document: str
    page: int
    type: str
    label: str
    recipient: str
    value: str
    completed_at: datetime | None
    is_cut: bool


class EntryFacts(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor: str
    actor_id: str
    resource: str
    ip_address: str
    facts: dict[str, Any]
    body_hash: str
    previous_hash: str
    hash: str


class DisclosureFacts(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: str
    language: str
    sha256: str
    paragraphs: tuple[tuple[str, str], ...]


class ChainFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is the RFC 3161 token over SHA-256 of the head's 32 bytes, in base64 when written. `entries_verified`:
    how many were found unbroken before anything was sealed; one that is broken stops the sealing.
    """

    chain_id: str
    head_seq: int
    head_hash: str
    token: bytes
    token_serial: str
    token_at: datetime
    authority: str
    entries_verified: int


class SealFacts(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    issuer: str
    serial: str
    sha256: str
    not_after: datetime


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    format: str = FORMAT
    envelope_id: str
    subject: str
    message: str
    status: str
    created_at: datetime
    sent_at: datetime | None
    sealed_at: datetime
    level: str
    level_reason: str
    sender_id: str
    sender_name: str
    sender_email: str
    organisation: str
    sender_ip_address: str
    verification_code: str
    verify_url: str
    seal: SealFacts
    documents: tuple[DocumentFacts, ...]
    recipients: tuple[RecipientFacts, ...]
    values: tuple[ValueFacts, ...]
    attachments: tuple[AttachmentFacts, ...] = ()
    disclosures: tuple[DisclosureFacts, ...]
    events: tuple[EntryFacts, ...]
    chain: ChainFacts | None
