"""What the certificate of completion says: who did what, when, proved how, on which bytes, and where it is written.

Gathered once, written twice: as pages for people and as JSON for machines. Holds personal data, as the parties
need it; must never hold a secret (codes, answers, links).
Source: the order's list for a certificate; 15 U.S.C. 7001(c) for consents; 21 CFR 11.50 for meanings.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.attach import Attachment, load_attachments
from engine.engine import Engine
from engine.model import EngineEnvelope, EngineRecipient, Signature
from engine.sealing.attachment_facts import AttachmentFacts, attachment_facts
from engine.sealing.level_facts import OwnCertificateFacts, level_of, own_certificate
from engine.sealing.own_signatures import OwnSignature, load_signatures
from engine.sealing.tokens import TokenFacts
from ledger.read import ReadEntry, read_chain
from normalizer.ids import Kind, print_id

FORMAT = "countersign-completion/1"
_PAGE = 500


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


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What lies in other tables and in the ledger."""

    organisation: str
    consents: dict[UUID, tuple[ConsentFacts, ...]]
    disclosures: tuple[DisclosureFacts, ...]
    entries: tuple[ReadEntry, ...]
    attachments: tuple[Attachment, ...] = ()
    own_signatures: dict[UUID, OwnSignature] = {}


async def read_records(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> Records:
    tenant_id = envelope.tenant_id
    organisation = await tx.driver.fetchval("SELECT engine_organisation($1)", tenant_id)
    rows = await tx.driver.fetch(
        "SELECT * FROM consents WHERE tenant_id = $1 AND engine_id = $2 ORDER BY decided_at, id",
        tenant_id,
        envelope.id,
    )
    consents: dict[UUID, tuple[ConsentFacts, ...]] = {}
    for row in rows:
        facts = ConsentFacts(**{name: row[name] for name in ConsentFacts.__struct_fields__})
        consents[row["recipient_id"]] = (*consents.get(row["recipient_id"], ()), facts)
    shown = await tx.driver.fetch(
        "SELECT disclosure_id, version, language, sha256, paragraphs::text AS paragraphs FROM disclosures"
        " WHERE tenant_id = $1 AND sha256 = ANY ($2) ORDER BY disclosure_id, version, language",
        tenant_id,
        [row["sha256"] for row in rows],
    )
    return Records(
        organisation=organisation or "",
        consents=consents,
        disclosures=tuple(
            DisclosureFacts(
                id=row["disclosure_id"],
                version=row["version"],
                language=row["language"],
                sha256=row["sha256"],
                paragraphs=msgspec.json.decode(row["paragraphs"], type=tuple[tuple[str, str], ...]),
            )
            for row in shown
        ),
        entries=await read_entries(engine, tx, envelope),
        attachments=await load_attachments(tx, tenant_id, envelope.id),
        own_signatures=await load_signatures(tx, tenant_id, envelope.id),
    )


async def read_entries(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> tuple[ReadEntry, ...]:
    """The envelope's audit chain."""
    found: list[ReadEntry] = []
    while True:
        page = await read_chain(
            tx,
            engine.subjects,
            envelope.tenant_id,
            f"env:{envelope.envelope_id}",
            after=found[-1].seq if found else 0,
            limit=_PAGE,
        )
        found += page
        if len(page) < _PAGE:
            return tuple(found)


def compose_completion(
    envelope: EngineEnvelope,
    records: Records,
    *,
    base_url: str,
    sealed_at: datetime,
    seal: SealFacts,
    documents: tuple[DocumentFacts, ...],
    cut_fields: frozenset[UUID],
    token: TokenFacts | None,
    entries_verified: int,
) -> Completion:
    level, reason = level_of(envelope, records.own_signatures)
    created = next((entry for entry in records.entries if entry.actor.ip_address), None)
    return Completion(
        envelope_id=print_id(Kind.ENVELOPE, envelope.envelope_id),
        subject=envelope.subject,
        message=envelope.message,
        status="completed",
        created_at=envelope.created_at,
        sent_at=envelope.sent_at,
        sealed_at=sealed_at,
        level=level,
        level_reason=reason,
        sender_id=envelope.sender_id,
        sender_name=envelope.sender_name,
        sender_email=envelope.sender_email,
        organisation=records.organisation,
        sender_ip_address=created.actor.ip_address if created is not None and created.seq == 1 else "",
        verification_code=envelope.verification_code,
        verify_url=f"{base_url.rstrip('/')}/verify/{envelope.verification_code}",
        seal=seal,
        documents=documents,
        recipients=tuple(_recipient(envelope, one, records) for one in envelope.recipients),
        values=_values(envelope, cut_fields),
        attachments=attachment_facts(envelope, records.attachments),
        disclosures=records.disclosures,
        events=tuple(_entry(one) for one in records.entries),
        chain=_chain(records, token, entries_verified),
    )


def _recipient(envelope: EngineEnvelope, one: EngineRecipient, records: Records) -> RecipientFacts:
    before = envelope.recipient(one.delegated_from).name if one.delegated_from is not None else ""
    used = {field.signature_id for field in envelope.fields_of(one.id)}
    return RecipientFacts(
        id=print_id(Kind.RECIPIENT, one.id),
        name=one.name,
        signed_name=one.signed_name,
        email=one.email,
        role=one.role.value,
        routing_order=one.routing_order,
        status=one.status.value,
        authentication=tuple(method.value for method in one.authentication),
        meaning=one.meaning,
        host=f"{one.host_name} <{one.host_email}>" if one.host_email else one.host_name,
        delegated_from=before,
        delegation_reason=one.delegation_reason,
        reason=one.reason,
        sent_at=one.sent_at,
        delivered_at=one.delivered_at,
        completed_at=one.completed_at,
        time_zone=one.time_zone,
        geolocation=one.geolocation,
        ip_address=one.ip_address,
        user_agent=one.user_agent,
        signatures=tuple(
            _signature(mark)
            for mark in envelope.signatures
            if mark.recipient_id == one.id and mark.id in used
        ),
        consents=consents_of(one, records),
        own_certificate=own_certificate(records.own_signatures.get(one.id)),
    )


def consents_of(one: EngineRecipient, records: Records) -> tuple[ConsentFacts, ...]:
    """The signer's own: what was decided before a correction of the address stands in the events only."""
    found = records.consents.get(one.id, ())
    return tuple(consent for consent in found if one.sent_at is None or consent.decided_at >= one.sent_at)


def _signature(mark: Signature) -> SignatureFacts:
    return SignatureFacts(
        id=print_id(Kind.SIGNATURE, mark.id),
        purpose=mark.purpose,
        type=mark.type.value,
        text=mark.text,
        sha256=mark.sha256,
        created_at=mark.created_at,
        blob_key=mark.blob_key,
    )


def _values(envelope: EngineEnvelope, cut_fields: frozenset[UUID]) -> tuple[ValueFacts, ...]:
    names = {document.id: document.name for document in envelope.documents}
    return tuple(
        ValueFacts(
            document=names.get(field.document_id, ""),
            page=field.page,
            type=field.type.value,
            label=field.label,
            recipient=print_id(Kind.RECIPIENT, field.recipient_id),
            value=field.value or (print_id(Kind.SIGNATURE, field.signature_id) if field.signature_id else ""),
            completed_at=field.completed_at,
            is_cut=field.id in cut_fields,
        )
        for field in envelope.fields
        if field.value or field.signature_id is not None
    )


def _entry(entry: ReadEntry) -> EntryFacts:
    return EntryFacts(
        seq=entry.seq,
        type=entry.event_type.value,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        actor=entry.actor.name or entry.actor.email or entry.actor.type.value,
        actor_id=entry.actor.id,
        resource=f"{entry.resource_type.value} {entry.resource_id}",
        ip_address=entry.actor.ip_address,
        facts=dict(entry.facts),
        body_hash=entry.body_hash.hex(),
        previous_hash=entry.prev_hash.hex(),
        hash=entry.hash.hex(),
    )


def _chain(records: Records, token: TokenFacts | None, entries_verified: int) -> ChainFacts | None:
    if not records.entries or token is None:
        return None
    head = records.entries[-1]
    return ChainFacts(
        chain_id=head.chain_id,
        head_seq=head.seq,
        head_hash=head.hash.hex(),
        token=token.token,
        token_serial=token.serial,
        token_at=token.moment,
        authority=token.authority,
        entries_verified=entries_verified,
    )
