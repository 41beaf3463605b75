"""Finishing: everything required is there, the intent is meant, and what it was meant for is pinned down.

The signer's name goes under the exact bytes that were shown and the values that were filled in: their canonical
JSON, with a salt, is kept, and its SHA-256 stands in the ledger (21 CFR 11.70). Sent twice with one key it is done
once. Whoever does not sign (approver, reviewer, certified delivery) finishes without a signature.
"""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from config.database import Transaction
from engine.ceremony.attach import Attachment, load_attachments
from engine.ceremony.capture import Purpose, adopted
from engine.ceremony.consent import Ceremony, load_ceremony
from engine.ceremony.evidence import ceremony_event
from engine.ceremony.fields import default_value, missing_fields, write_fields
from engine.ceremony.gate import check_consent
from engine.ceremony.reader import lock_reader
from engine.ceremony.refusals import FieldRefused, FieldsMissing, NotPermitted
from engine.ceremony.sessions import Session
from engine.engine import Engine
from engine.envelopes.act import check_deadline, check_turn, complete_recipient
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineField, EngineRecipient
from engine.record import record
from engine.sealing.own_signatures import queue_signature
from normalizer.canonical import Json, canonical_bytes
from normalizer.errors import Finding
from normalizer.events import ResourceType
from normalizer.field import FieldType
from normalizer.ids import Kind, print_id
from normalizer.recipient import Role
from normalizer.vocabulary import LedgerType

# What a signature may mean; 21 CFR 11.50(a)(3) names these.
MEANINGS = ("authorship", "approval", "review", "responsibility")
_MEANT_BY: dict[Role, str] = {
    Role.SIGNER: "signature",
    Role.IN_PERSON: "signature",
    Role.APPROVER: "approval",
    Role.REVIEWER: "review",
    Role.CERTIFIED_DELIVERY: "receipt",
}
_KEY = re.compile(r"[A-Za-z0-9._\-]{8,100}")
_PLACE = re.compile(r"(-?\d{1,2}(?:\.\d{1,10})?),\s?(-?\d{1,3}(?:\.\d{1,10})?)")
_ZONE = re.compile(r"[A-Za-z0-9_+\-]{1,20}(?:/[A-Za-z0-9_+\-]{1,20}){0,2}")


class Finish(msgspec.Struct, frozen=True, kw_only=True):
    """`geolocation` ("lat,lon") only when the reader agreed to share it."""

    intent: bool
    idempotency_key: str
    meaning: str = ""
    geolocation: str = ""
    time_zone: str = ""


def offered_meanings(engine: Engine) -> tuple[str, ...]:
    """Where the rules ask for a meaning, the recipient chooses it; else the role says it."""
    return MEANINGS if engine.settings.signature.require_part11_signatures else ()


async def finish_recipient(
    engine: Engine, session: Session, visitor: Visitor, wanted: Finish
) -> EngineEnvelope:
    """The envelope afterwards. Raises FieldsMissing, InvalidTransition out of turn or for a second finish with
    another key.
    """
    if not wanted.intent:
        raise FieldRefused("intent_missing", "The box for the intent is not ticked.", where="intent")
    if _KEY.fullmatch(wanted.idempotency_key) is None:
        raise FieldRefused("idempotency_key_missing", "There is no idempotency key.", where="idempotency_key")
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_reader(engine, tx, session)
        ceremony = await load_ceremony(tx, envelope.tenant_id, envelope.id, recipient.id)
        if ceremony.idempotency_key == wanted.idempotency_key:
            return envelope
        check_turn(envelope, recipient, "finish")
        check_deadline(engine, envelope, "finish")
        await check_consent(tx, envelope, recipient)
        meaning = _meaning(engine, recipient, wanted.meaning)
        _check_complete(envelope, recipient, ceremony)
        envelope = await _fill(engine, tx, envelope, recipient, wanted.time_zone)
        signed_name = _signed_name(envelope, recipient)
        attachments = await load_attachments(tx, envelope.tenant_id, envelope.id)
        content = _content(engine, envelope, recipient, ceremony, attachments, meaning, signed_name)
        text = canonical_bytes(content)
        digest = hashlib.sha256(text).hexdigest()
        place = _place(wanted.geolocation)
        envelope = await complete_recipient(
            engine,
            tx,
            envelope,
            recipient,
            visitor,
            signed_name=signed_name,
            meaning=meaning,
            geolocation=place,
            time_zone=_zone_name(wanted.time_zone),
        )
        await tx.driver.execute(
            "INSERT INTO intents (tenant_id, engine_id, recipient_id, idempotency_key, content, content_sha256,"
            " confirmed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            envelope.tenant_id,
            envelope.id,
            recipient.id,
            wanted.idempotency_key,
            text.decode(),
            digest,
            engine.clock.now(),
        )
        await queue_signature(engine, tx, envelope, recipient.id, digest)
        fact = ceremony_event(
            engine,
            envelope,
            recipient,
            visitor,
            LedgerType.INTENT_CONFIRMED,
            (ResourceType.RECIPIENT, recipient.id),
            facts={
                "meaning": meaning,
                "documents": content["documents"],
                "field_count": len(envelope.fields_of(recipient.id)),
                "content_sha256": digest,
                "authentication": [method.value for method in session.passed],
                "time_zone": _zone_name(wanted.time_zone),
            },
            personal={"signed_name": signed_name, "geolocation": place},
        )
        await record(engine, tx, [fact])
        await tx.commit()
    return envelope


def _meaning(engine: Engine, recipient: EngineRecipient, wanted: str) -> str:
    offered = offered_meanings(engine)
    if not offered:
        return _MEANT_BY.get(recipient.role, "signature")
    if wanted not in offered:
        raise FieldRefused(
            "meaning_missing",
            "What the signature means is not chosen.",
            where="meaning",
            remedy="Choose one.",
        )
    return wanted


def _check_complete(envelope: EngineEnvelope, recipient: EngineRecipient, ceremony: Ceremony) -> None:
    missing = missing_fields(envelope, recipient)
    if missing:
        raise FieldsMissing(
            tuple(
                Finding(
                    f"/fields/{print_id(Kind.FIELD, field.id)}",
                    f"The {field.type} field on page {field.page} is empty.",
                    "Fill it in.",
                )
                for field in missing
            )
        )
    opened = {view.sha256 for view in ceremony.views if view.kind == "document"}
    if recipient.role is Role.CERTIFIED_DELIVERY and not all(
        one.sha256 in opened for one in envelope.documents
    ):
        raise NotPermitted(
            "Receipt is confirmed after every document has been opened.", remedy="Open each document first."
        )


async def _fill(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient, time_zone: str
) -> EngineEnvelope:
    """With the date of signing and the defaults in the fields that the recipient left to the server."""
    now = engine.clock.now()
    filled: dict[EngineField, str] = {}
    for field in envelope.fields_of(recipient.id):
        value = signing_date(now, time_zone) if field.type is FieldType.DATE_SIGNED else ""
        if not field.value and not field.read_only:
            value = value or default_value(field, recipient)
        if value and value != field.value:
            filled[field] = value
    changed = [
        msgspec.structs.replace(field, value=value, completed_at=now, version=field.version + 1)
        for field, value in filled.items()
    ]
    if changed:
        await write_fields(tx, envelope, changed)
    by_id = {field.id: field for field in changed}
    return msgspec.structs.replace(
        envelope, fields=tuple(by_id.get(field.id, field) for field in envelope.fields)
    )


def signing_date(now: datetime, time_zone: str) -> str:
    """The day on which it is signed where the signer is; of UTC when that is not known."""
    name = _zone_name(time_zone)
    return now.astimezone(ZoneInfo(name) if name else UTC).date().isoformat()


def _content(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    ceremony: Ceremony,
    attachments: tuple[Attachment, ...],
    meaning: str,
    signed_name: str,
) -> dict[str, Json]:
    """What is signed for. The salt keeps the hash from telling a guessed value after the rest was erased."""
    opened = {view.sha256: view.first_at.isoformat() for view in ceremony.views if view.kind == "document"}
    pictures = {signature.id: signature.sha256 for signature in envelope.signatures}
    files = {one.blob_key: one.sha256 for one in attachments}
    return {
        "version": 1,
        "salt": secrets.token_hex(16),
        "envelope_id": print_id(Kind.ENVELOPE, envelope.envelope_id),
        "envelope_version": envelope.version,
        "recipient_id": print_id(Kind.RECIPIENT, recipient.id),
        "role": recipient.role.value,
        "signed_name": signed_name,
        "meaning": meaning,
        "confirmed_at": engine.clock.now().isoformat(),
        "documents": [
            {
                "document_id": print_id(Kind.DOCUMENT, one.id),
                "sha256": one.sha256,
                "opened_at": opened.get(one.sha256),
            }
            for one in envelope.documents
        ],
        "fields": [
            {
                "field_id": print_id(Kind.FIELD, field.id),
                "type": field.type.value,
                "value": field.value,
                "signature_sha256": pictures.get(field.signature_id) if field.signature_id else None,
                "attachment_sha256": files.get(field.attachment_blob_key),
            }
            for field in envelope.fields_of(recipient.id)
        ],
    }


def _signed_name(envelope: EngineEnvelope, recipient: EngineRecipient) -> str:
    """As typed for the signature; else the name by which the recipient was asked."""
    signature = adopted(envelope, recipient, Purpose.SIGNATURE)
    return signature.text if signature is not None and signature.text else recipient.name


def _place(given: str) -> str:
    """A place on earth, or nothing: nonsense is not kept as if it were evidence."""
    found = _PLACE.fullmatch(given.strip())
    if found is None or abs(float(found[1])) > 90 or abs(float(found[2])) > 180:
        return ""
    return f"{found[1]},{found[2]}"[:60]


def _zone_name(given: str) -> str:
    """A zone of the time zone database, or nothing."""
    if _ZONE.fullmatch(given) is None:
        return ""
    try:
        return ZoneInfo(given).key
    except (KeyError, ValueError, OSError):
        return ""
