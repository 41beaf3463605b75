"""Fields, one at a time or a whole form: a value, a signature, and what a choice does to its neighbours.

A change names the version that it read; of two tabs the second finds out. Every value goes into the ledger under
the signer's own key, so that an earlier one is never lost (21 CFR 11.10(e)).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.capture import (
    Adoption,
    Purpose,
    adopted,
    keep_signature,
    store_signature,
    unless_refused,
)
from engine.ceremony.evidence import ceremony_event
from engine.ceremony.gate import lock_for, own_field
from engine.ceremony.refusals import FieldAlreadySigned, FieldChanged, FieldRefused, NotPermitted
from engine.ceremony.sessions import Session
from engine.ceremony.values import NOT_TYPED, SIGNED, is_filled, read_value
from engine.engine import Engine
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineField, EngineRecipient, Signature
from engine.record import record
from normalizer.events import Event, ResourceType
from normalizer.field import FieldType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

PURPOSES = {FieldType.SIGNATURE: Purpose.SIGNATURE, FieldType.INITIALS: Purpose.INITIALS}


async def save_value(
    engine: Engine, session: Session, visitor: Visitor, field_id: UUID, typed: str, *, version: int
) -> EngineField:
    """The field as it is stored now. Raises FieldRefused, FieldChanged, NotFound, InvalidTransition."""
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_for(engine, tx, session, "fill in")
        field = own_field(envelope, recipient, field_id)
        value = read_value(field, typed)
        if version != field.version:
            raise FieldChanged(field.version)
        if value == field.value:
            return field
        changed, facts = await _put_value(engine, tx, envelope, recipient, visitor, field, value)
        await record(engine, tx, facts)
        await tx.commit()
    return changed


async def sign_field(
    engine: Engine, session: Session, visitor: Visitor, field_id: UUID, signature_id: UUID, *, version: int
) -> EngineField:
    """The field with an adopted signature in it. Raises FieldAlreadySigned for the second of two tabs."""
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_for(engine, tx, session, "sign")
        field = own_field(envelope, recipient, field_id)
        if version != field.version:
            raise FieldAlreadySigned if field.signature_id is not None else FieldChanged(field.version)
        signature = _own_signature(envelope, recipient, field, signature_id)
        changed, fact = await _put_signature(engine, tx, envelope, recipient, visitor, field, signature)
        await record(engine, tx, [fact])
        await tx.commit()
    return changed


class FormSignatures(msgspec.Struct, frozen=True):
    """What a form without scripts says of signatures: typed texts and the hand; "" leaves them alone."""

    signature_text: str = ""
    initials_text: str = ""
    font: str = "caveat"


async def save_form(
    engine: Engine,
    session: Session,
    visitor: Visitor,
    values: Mapping[UUID, str],
    signatures: FormSignatures,
) -> EngineEnvelope:
    """Everything that a form without scripts sends, at once or not at all: typed values, and a typed signature in
    each place that still lacks one. There is no version: a reader without scripts has one form, and sees it whole.
    """
    made = await _make_signatures(engine, session, signatures)
    async with unless_refused(engine, session, made), engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_for(engine, tx, session, "fill in")
        facts: list[Event] = []
        for field_id, typed in values.items():
            field = own_field(envelope, recipient, field_id)
            value = read_value(field, typed)
            if value != field.value:
                changed, more = await _put_value(engine, tx, envelope, recipient, visitor, field, value)
                envelope = _with_field(envelope, changed)
                facts += more
        for signature in made:
            facts.append(await keep_signature(engine, tx, envelope, recipient, visitor, signature))
            envelope = msgspec.structs.replace(envelope, signatures=(*envelope.signatures, signature))
        for field in envelope.fields_of(recipient.id):
            if field.type in SIGNED and field.signature_id is None and not field.read_only:
                latest = adopted(envelope, recipient, PURPOSES[field.type])
                if latest is not None:
                    changed, fact = await _put_signature(
                        engine, tx, envelope, recipient, visitor, field, latest
                    )
                    envelope = _with_field(envelope, changed)
                    facts.append(fact)
        await record(engine, tx, facts)
        await tx.commit()
    return envelope


def missing_fields(envelope: EngineEnvelope, recipient: EngineRecipient) -> tuple[EngineField, ...]:
    """Required fields that are still empty, one per group of radio buttons."""
    own = envelope.fields_of(recipient.id)
    chosen = {field.group_name for field in own if field.type is FieldType.RADIO and field.value}
    missing: list[EngineField] = []
    for field in own:
        if not field.required or field.read_only or is_filled(field) or default_value(field, recipient):
            continue
        if field.type is FieldType.RADIO:
            if field.group_name in chosen:
                continue
            chosen.add(field.group_name)
        missing.append(field)
    return tuple(missing)


def default_value(field: EngineField, recipient: EngineRecipient) -> str:
    """What the server fills in when the recipient leaves it empty."""
    match field.type:
        case FieldType.FULL_NAME:
            return recipient.name
        case FieldType.EMAIL:
            return recipient.email
    return ""


def typed_fields(envelope: EngineEnvelope, recipient: EngineRecipient) -> tuple[EngineField, ...]:
    """Those that a form has an input for."""
    return tuple(
        field
        for field in envelope.fields_of(recipient.id)
        if field.type not in NOT_TYPED and not field.read_only
    )


def field_event(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    field: EngineField,
    **facts: str,
) -> Event:
    """That the field has the value that it has now."""
    return ceremony_event(
        engine,
        envelope,
        recipient,
        visitor,
        LedgerType.FIELD_COMPLETED,
        (ResourceType.FIELD, field.id),
        facts={
            "type": field.type.value,
            "document_id": print_id(Kind.DOCUMENT, field.document_id),
            "page": field.page,
            "version": field.version,
            "emptied": not is_filled(field),
            **facts,
        },
        personal={"value": field.value},
    )


async def _put_value(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    field: EngineField,
    value: str,
) -> tuple[EngineField, list[Event]]:
    if field.type is FieldType.RADIO and value:
        _check_choice(envelope, field)
        # The others of the group lose their value and keep their version: nobody typed in them.
        await tx.driver.execute(
            "UPDATE engine_fields SET value = '', completed_at = NULL WHERE tenant_id = $1 AND engine_id = $2"
            " AND recipient_id = $3 AND type = 'radio' AND group_name = $4 AND id <> $5 AND value <> ''",
            envelope.tenant_id,
            envelope.id,
            recipient.id,
            field.group_name,
            field.id,
        )
    changed = msgspec.structs.replace(
        field,
        value=value,
        completed_at=engine.clock.now() if value else None,
        version=field.version + 1,
    )
    await write_fields(tx, envelope, [changed])
    return changed, [field_event(engine, envelope, recipient, visitor, changed)]


def _check_choice(envelope: EngineEnvelope, field: EngineField) -> None:
    """Raises NotPermitted where the sender has fixed another button of the group as the chosen one."""
    group = (one for one in envelope.fields_of(field.recipient_id) if one.type is FieldType.RADIO)
    if any(one.read_only and one.value and one.group_name == field.group_name for one in group):
        raise NotPermitted("The sender has fixed this choice; it cannot be changed.")


async def _put_signature(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    field: EngineField,
    signature: Signature,
) -> tuple[EngineField, Event]:
    changed = msgspec.structs.replace(
        field, signature_id=signature.id, completed_at=engine.clock.now(), version=field.version + 1
    )
    await write_fields(tx, envelope, [changed])
    fact = field_event(
        engine,
        envelope,
        recipient,
        visitor,
        changed,
        signature_id=print_id(Kind.SIGNATURE, signature.id),
        signature_sha256=signature.sha256,
    )
    return changed, fact


async def write_fields(tx: Transaction, envelope: EngineEnvelope, fields: Sequence[EngineField]) -> None:
    """The fields' values as given, in one statement."""
    await tx.driver.execute(
        "UPDATE engine_fields f SET value = n.value, signature_id = n.signature, attachment_blob_key = n.attachment,"
        " completed_at = n.at, version = n.version"
        " FROM unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::timestamptz[], $8::int[])"
        " AS n(id, value, signature, attachment, at, version)"
        " WHERE f.tenant_id = $1 AND f.engine_id = $2 AND f.id = n.id",
        envelope.tenant_id,
        envelope.id,
        [field.id for field in fields],
        [field.value for field in fields],
        [field.signature_id for field in fields],
        [field.attachment_blob_key for field in fields],
        [field.completed_at for field in fields],
        [field.version for field in fields],
    )


def _own_signature(
    envelope: EngineEnvelope, recipient: EngineRecipient, field: EngineField, signature_id: UUID
) -> Signature:
    purpose = PURPOSES.get(field.type)
    for signature in envelope.signatures_of(recipient.id):
        if signature.id == signature_id:
            if purpose is None or signature.purpose != purpose.value:
                raise FieldRefused(
                    "signature_purpose",
                    f"A field of the type {field.type} does not take these {signature.purpose}.",
                )
            return signature
    raise FieldRefused("signature_unknown", "There is no such signature.", remedy="Adopt a signature first.")


async def _make_signatures(engine: Engine, session: Session, wanted: FormSignatures) -> tuple[Signature, ...]:
    texts = ((Purpose.SIGNATURE, wanted.signature_text), (Purpose.INITIALS, wanted.initials_text))
    return tuple(
        [
            await store_signature(engine, session, Adoption(purpose=purpose, text=text, font=wanted.font))
            for purpose, text in texts
            if text.strip()
        ]
    )


def _with_field(envelope: EngineEnvelope, changed: EngineField) -> EngineEnvelope:
    """With the group's other buttons emptied too, when one was chosen."""
    group = changed.group_name if changed.type is FieldType.RADIO and changed.value else None
    return msgspec.structs.replace(
        envelope,
        fields=tuple(
            changed
            if one.id == changed.id
            else msgspec.structs.replace(one, value="", completed_at=None)
            if group is not None
            and one.type is FieldType.RADIO
            and one.group_name == group
            and one.recipient_id == changed.recipient_id
            else one
            for one in envelope.fields
        ),
    )
