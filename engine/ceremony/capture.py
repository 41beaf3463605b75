"""A signature or initials, drawn, typed or uploaded: cleaned, stored as a PNG, and kept with who made it when.

Adopting is not signing: a field is signed by putting an adopted signature into it. Earlier ones stay stored, as
evidence. Pictures are made in a thread and stored before the transaction opens.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum

import msgspec

from config.database import Transaction
from engine.ceremony.evidence import ceremony_event
from engine.ceremony.gate import lock_for
from engine.ceremony.pictures import Picture, decode_base64, read_picture
from engine.ceremony.refusals import PictureRefused
from engine.ceremony.sessions import Session
from engine.ceremony.typed import render_typed
from engine.engine import Engine
from engine.envelopes.act import check_turn
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient, Signature, SignatureType
from engine.record import record
from engine.store import load_envelope
from normalizer.errors import CountersignError
from normalizer.events import Event, ResourceType
from normalizer.vocabulary import LedgerType

_MOST_PER_RECIPIENT = 50
_INSERT = """
INSERT INTO signatures (tenant_id, id, engine_id, recipient_id, purpose, type, blob_key, sha256, width, height, text,
    font, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""


class Purpose(StrEnum):
    SIGNATURE = "signature"
    INITIALS = "initials"


class Adoption(msgspec.Struct, frozen=True, kw_only=True):
    """What the page sends: `text` and `font` of a typed one, `image` (base64 PNG or JPEG) of the others."""

    purpose: Purpose = Purpose.SIGNATURE
    type: SignatureType = SignatureType.TYPED
    text: str = ""
    font: str = "caveat"
    image: str = ""


async def adopt_signature(
    engine: Engine, session: Session, visitor: Visitor, adoption: Adoption
) -> Signature:
    """The stored signature. Raises PictureRefused, InvalidTransition out of turn, ConsentNeeded."""
    # Before any work is done for somebody whose turn it is not.
    envelope = await load_envelope(engine.database, session.tenant_id, session.engine_id)
    check_turn(envelope, envelope.recipient(session.recipient_id), "sign")
    check_room(envelope, envelope.recipient(session.recipient_id))
    signature = await store_signature(engine, session, adoption)
    async with (
        unless_refused(engine, session, (signature,)),
        engine.database.transaction(session.tenant_id) as tx,
    ):
        envelope, recipient = await lock_for(engine, tx, session, "sign")
        fact = await keep_signature(engine, tx, envelope, recipient, visitor, signature)
        await record(engine, tx, [fact])
        await tx.commit()
    return signature


def check_room(envelope: EngineEnvelope, recipient: EngineRecipient) -> None:
    """Raises PictureRefused when the recipient has adopted enough."""
    if len(envelope.signatures_of(recipient.id)) >= _MOST_PER_RECIPIENT:
        raise PictureRefused(
            "too_many_signatures", f"At most {_MOST_PER_RECIPIENT} signatures can be adopted in one envelope."
        )


@asynccontextmanager
async def unless_refused(engine: Engine, session: Session, made: Sequence[Signature]) -> AsyncIterator[None]:
    """Pictures of what the block refuses do not stay. Where the commit's outcome is unknown they do: a row may
    name them.
    """
    try:
        yield
    except CountersignError:
        for signature in made:
            await engine.blobs.delete(session.tenant_id, signature.blob_key)
        raise


async def store_signature(engine: Engine, session: Session, adoption: Adoption) -> Signature:
    """The picture made and stored; nothing of it counts before `keep_signature`."""
    picture = await asyncio.to_thread(_make, engine, adoption)
    blob = await engine.blobs.put(session.tenant_id, _once(picture.png))
    is_typed = adoption.type is SignatureType.TYPED
    return Signature(
        id=engine.ids.new(),
        recipient_id=session.recipient_id,
        purpose=adoption.purpose,
        type=adoption.type,
        blob_key=blob.key,
        sha256=blob.sha256,
        width=picture.width,
        height=picture.height,
        text=" ".join(adoption.text.split())[:200] if is_typed else "",
        font=adoption.font if is_typed else "",
        created_at=engine.clock.now(),
    )


async def keep_signature(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    signature: Signature,
) -> Event:
    """The row; returns the fact, for the caller to record."""
    check_room(envelope, recipient)
    await tx.driver.execute(
        _INSERT,
        envelope.tenant_id,
        signature.id,
        envelope.id,
        recipient.id,
        signature.purpose,
        signature.type.value,
        signature.blob_key,
        signature.sha256,
        signature.width,
        signature.height,
        signature.text,
        signature.font,
        signature.created_at,
    )
    return ceremony_event(
        engine,
        envelope,
        recipient,
        visitor,
        LedgerType.SIGNATURE_CAPTURED,
        (ResourceType.SIGNATURE, signature.id),
        facts={
            "purpose": signature.purpose,
            "type": signature.type.value,
            "sha256": signature.sha256,
            "width": signature.width,
            "height": signature.height,
            "font": signature.font,
        },
        personal={"text": signature.text},
    )


def adopted(envelope: EngineEnvelope, recipient: EngineRecipient, purpose: Purpose) -> Signature | None:
    """The last one that the recipient adopted for this purpose."""
    own = [one for one in envelope.signatures_of(recipient.id) if one.purpose == purpose.value]
    return own[-1] if own else None


def _make(engine: Engine, adoption: Adoption) -> Picture:
    settings = engine.settings.signing
    if adoption.type is SignatureType.TYPED:
        return render_typed(adoption.text, adoption.font, extra_fonts=settings.extra_fonts_folder)
    content = decode_base64(adoption.image, most_bytes=settings.image_bytes)
    return read_picture(content, most_pixels=settings.image_pixels)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
