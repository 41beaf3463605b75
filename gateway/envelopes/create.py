"""Creates an envelope from one request: documents, recipients, fields; and sends it when asked."""

from collections.abc import Sequence
from typing import Any

import msgspec

from config.errors import StoreUnavailable
from gateway.claims import Claim
from gateway.envelopes.build import build_field, build_recipient
from gateway.envelopes.defaults import choose_expiration, choose_reminders
from gateway.envelopes.dispatch import plan_dispatch, routed_event
from gateway.envelopes.documents import document_events
from gateway.envelopes.draft import EnvelopeInput, find_envelope_faults
from gateway.envelopes.examination import note_examinations
from gateway.envelopes.facts import envelope_event, part_event, recipient_event
from gateway.envelopes.insert import NewEnvelope, RoutingChanged, write_envelope
from gateway.envelopes.model import (
    DispatchState,
    StoredDocument,
    StoredEnvelope,
    StoredField,
)
from gateway.envelopes.plan import Plan
from gateway.envelopes.route import choose_route
from gateway.envelopes.take_documents import TakenDocuments, drop_documents, take_documents
from gateway.services import Caller, Services
from gateway.templates.use import FilledTemplate, fill_template
from normalizer.canonical import Json
from normalizer.errors import ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id
from normalizer.status import EnvelopeStatus
from normalizer.vocabulary import LedgerType


class CreatedEnvelope(msgspec.Struct, frozen=True):
    """`plan` is to be carried out when the envelope is being sent; None for a draft."""

    envelope: StoredEnvelope
    plan: Plan | None


async def create_envelope(
    services: Services, caller: Caller, draft: EnvelopeInput, claim: Claim | None = None
) -> CreatedEnvelope:
    """Writes the envelope and, with `draft.send`, pins its dispatch in the same transaction.

    Raises ValidationFailed with everything that is wrong, NotFound for documents, Conflict for a document
    that is in another envelope. Nothing is written unless everything is.
    """
    filled = await fill_template(services, caller.tenant_id, draft)
    faults = find_envelope_faults(filled.draft, services.clock.now(), services.settings.limit)
    if faults:
        raise ValidationFailed("The envelope cannot be taken as it is.", faults)
    taken = TakenDocuments()
    try:
        await take_documents(services, caller.tenant_id, filled.draft, filled.documents, taken)
        created = await _create(services, caller, filled, claim, taken)
    except StoreUnavailable:
        raise  # the rows may have been written, and then the bytes are theirs
    except Exception:  # whatever it was that stopped us: no row names these bytes, and it is raised again
        await drop_documents(services, caller.tenant_id, taken)
        raise
    await note_examinations(services, caller.tenant_id, taken.examined)
    return created


async def _create(
    services: Services, caller: Caller, filled: FilledTemplate, claim: Claim | None, taken: TakenDocuments
) -> CreatedEnvelope:
    draft = filled.draft
    envelope = await _assemble(services, caller, draft, taken)
    new = NewEnvelope(envelope, taken.new, frozenset(taken.attached))
    events = _events(services, caller, envelope, filled, taken)
    plan = None
    at_hand: dict[str, bytes] = {}
    if draft.send:
        # What came inside the request and was stored as it is need not be fetched again.
        at_hand = {
            document.blob_key: draft.documents[position - 1].content_base64
            for position, document in taken.ingested.items()
            if not document.source_sha256
        }
        route = await choose_route(services, envelope, from_memory=True)
        plan = plan_dispatch(envelope, route, at_hand=at_hand, version=envelope.version)
    try:
        await write_envelope(services, new, _with_route(services, caller, events, plan), claim, plan)
    except RoutingChanged:
        # An administrator was faster than our memory: once more, with what holds now.
        services.routings.drop(caller.tenant_id)
        route = await choose_route(services, envelope)
        plan = plan_dispatch(envelope, route, at_hand=at_hand, version=envelope.version)
        await write_envelope(services, new, _with_route(services, caller, events, plan), claim, plan)
    return CreatedEnvelope(envelope, plan)


def _with_route(
    services: Services, caller: Caller, events: Sequence[Event], plan: Plan | None
) -> Sequence[Event]:
    return events if plan is None else [*events, routed_event(services, caller, plan)]


async def _assemble(
    services: Services, caller: Caller, draft: EnvelopeInput, taken: TakenDocuments
) -> StoredEnvelope:
    now = services.clock.now()
    envelope_id = services.ids.new()
    first_hours, every_hours = choose_reminders(services.settings.signature, draft.reminders)
    documents = taken.in_order(envelope_id, now)
    recipients = []
    fields: list[StoredField] = []
    for position, given in enumerate(draft.recipients, start=1):
        recipient = await build_recipient(services, caller.tenant_id, given, position)
        recipients.append(recipient)
        fields.extend(
            build_field(services, field, documents[field.document - 1].id, recipient.id)
            for field in given.fields
        )
    return StoredEnvelope(
        tenant_id=caller.tenant_id,
        id=envelope_id,
        name=draft.name,
        message=draft.message,
        status=EnvelopeStatus.DRAFT,
        sender_id=caller.actor.id,
        sender_name=caller.actor.name,
        sender_email=caller.actor.email,
        external_reference=draft.reference,
        document_type=draft.document_type,
        authentication_level=str(draft.authentication_level),
        signature_level=str(draft.signature_level),
        language=draft.language,
        template_ref=draft.template_ref,
        metadata=draft.metadata,
        reminder_first_hours=first_hours,
        reminder_every_hours=every_hours,
        expiration_date=choose_expiration(services.settings.signature, draft.expires_at, now),
        expiry_warn_days=draft.expiry_warn_days,
        provider=None,
        connection_id=None,
        connection_version=None,
        provider_ref=None,
        provider_status="",
        routing=None,
        degraded=(),
        dispatch_state=DispatchState.IDLE,
        dispatch_epoch=0,
        dispatch_deadline=None,
        lookups=0,
        next_lookup_at=None,
        last_error=None,
        reason="",
        version=1,
        created_at=now,
        updated_at=now,
        sent_at=None,
        completed_at=None,
        recipients=tuple(recipients),
        documents=documents,
        fields=tuple(fields),
    )


def _events(
    services: Services,
    caller: Caller,
    envelope: StoredEnvelope,
    filled: FilledTemplate,
    taken: TakenDocuments,
) -> list[Event]:
    facts: dict[str, Json] = {
        "documents": len(envelope.documents),
        "recipients": len(envelope.recipients),
        "fields": len(envelope.fields),
        "reference": envelope.external_reference,
    }
    if filled.template is not None:
        facts["template"] = print_id(Kind.TEMPLATE, filled.template.id)
        facts["template_version"] = filled.template.version
    events = [
        envelope_event(
            services, LedgerType.ENVELOPE_CREATED, envelope, caller.actor, caller.source, facts=facts
        )
    ]
    for document in taken.ingested.values():
        events.extend(document_events(services, caller, document, envelope.id))
    events.extend(
        document_added(services, caller, envelope, document, position)
        for position, document in enumerate(envelope.documents, start=1)
        if position not in taken.ingested
    )
    events.extend(
        recipient_event(
            services, LedgerType.RECIPIENT_ADDED, envelope, recipient, caller.actor, caller.source
        )
        for recipient in envelope.recipients
    )
    events.extend(field_added(services, caller, envelope, envelope.fields))
    return events


def document_added(
    services: Services, caller: Caller, envelope: StoredEnvelope, document: StoredDocument, position: int
) -> Event:
    return part_event(
        services,
        LedgerType.DOCUMENT_ADDED,
        envelope,
        ResourceType.DOCUMENT,
        print_id(Kind.DOCUMENT, document.id),
        caller.actor,
        caller.source,
        {"document_sha256": document.sha256, "position": position},
    )


def field_added(
    services: Services, caller: Caller, envelope: StoredEnvelope, fields: Sequence[StoredField]
) -> list[Event]:
    return [
        part_event(
            services,
            LedgerType.FIELD_ADDED,
            envelope,
            ResourceType.FIELD,
            print_id(Kind.FIELD, field.id),
            caller.actor,
            caller.source,
            field_facts(field),
        )
        for field in fields
    ]


def field_facts(field: StoredField) -> dict[str, Any]:
    """Coordinates as strings: canonical JSON has no floats."""
    return {
        "type": field.type,
        "document": print_id(Kind.DOCUMENT, field.document_id),
        "recipient": print_id(Kind.RECIPIENT, field.recipient_id) if field.recipient_id else "",
        "page": field.page_number,
        "x": f"{field.x:g}",
        "y": f"{field.y:g}",
        "required": field.required,
    }
