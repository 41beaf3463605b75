"""Composes what the certificate of completion says, out of the envelope and of what was read. Pure."""

from datetime import datetime
from uuid import UUID

from engine.model import EngineEnvelope, EngineRecipient, Signature
from engine.sealing.attachment_facts import attachment_facts
from engine.sealing.completion_facts import (
    ChainFacts,
    Completion,
    DocumentFacts,
    EntryFacts,
    RecipientFacts,
    SealFacts,
    SignatureFacts,
    ValueFacts,
)
from engine.sealing.completion_records import Records, consents_of
from engine.sealing.level_facts import level_of, own_certificate
from engine.sealing.tokens import TokenFacts
from ledger.read import ReadEntry
from normalizer.ids import Kind, print_id


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
