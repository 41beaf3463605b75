"""A file that a signer adds to a field: counted while it comes, known by its first bytes, stored encrypted.

It is only ever given back as a download. Must never be taken by its name or declared type.
"""

import re
import unicodedata
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.fields import field_event, write_fields
from engine.ceremony.gate import lock_for, own_field
from engine.ceremony.refusals import FieldChanged, FieldRefused
from engine.ceremony.sessions import Session
from engine.documents.pages import DocumentRefused, detect_media_type
from engine.engine import Engine
from engine.envelopes.act import check_turn
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineField
from engine.record import record
from engine.store import load_envelope
from normalizer.document import DOCX
from normalizer.errors import CountersignError, TooManyTries, ValidationFailed
from normalizer.field import FieldType

_MOST_NAME = 200
_SNIFFED = 1024
_MOST_HOURLY = 10


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    field_id: UUID
    blob_key: str
    name: str
    media_type: str
    sha256: str
    size_bytes: int


async def attach_file(
    engine: Engine,
    session: Session,
    visitor: Visitor,
    field_id: UUID,
    name: str,
    content: AsyncIterator[bytes],
    *,
    version: int,
) -> EngineField:
    """The field with the file in it. Raises FieldRefused for a file that is too large or of another type."""
    envelope = await load_envelope(engine.database, session.tenant_id, session.engine_id)
    recipient = envelope.recipient(session.recipient_id)
    check_turn(envelope, recipient, "add a file")
    if own_field(envelope, recipient, field_id).type is not FieldType.ATTACHMENT:
        raise FieldRefused("field_not_typed", "This field takes no file.")
    await _check_often(engine, session, field_id)
    name = _clean_name(name)
    counted = _Counted(content, engine.settings.signing.attachment_bytes)
    blob = await engine.blobs.put(session.tenant_id, counted)
    kept = Attachment(
        field_id=field_id,
        blob_key=blob.key,
        name=name,
        media_type=counted.media_type,
        sha256=blob.sha256,
        size_bytes=blob.size,
    )
    try:
        return await _keep(engine, session, visitor, kept, version)
    except CountersignError:  # not a store that was lost: the commit may have been made, and names the file
        await engine.blobs.delete(session.tenant_id, blob.key)
        raise


async def load_attachments(tx: Transaction, tenant_id: UUID, engine_id: UUID) -> tuple[Attachment, ...]:
    """Those that fields hold now, for the certificate and the downloads."""
    rows = await tx.driver.fetch(
        "SELECT a.* FROM attachments a JOIN engine_fields f ON f.tenant_id = a.tenant_id"
        " AND f.engine_id = a.engine_id AND f.id = a.field_id AND f.attachment_blob_key = a.blob_key"
        " WHERE a.tenant_id = $1 AND a.engine_id = $2 ORDER BY a.created_at",
        tenant_id,
        engine_id,
    )
    return tuple(
        msgspec.convert({name: row[name] for name in Attachment.__struct_fields__}, Attachment)
        for row in rows
    )


async def _check_often(engine: Engine, session: Session, field_id: UUID) -> None:
    """Raises TooManyTries for a file too many: replaced ones stay, as evidence."""
    async with engine.database.transaction(session.tenant_id) as tx:
        added = await tx.driver.fetchval(
            "SELECT count(*) FROM attachments WHERE tenant_id = $1 AND engine_id = $2 AND field_id = $3"
            " AND created_at > now() - interval '1 hour'",
            session.tenant_id,
            session.engine_id,
            field_id,
        )
    if added >= _MOST_HOURLY:
        raise TooManyTries(3600)


async def _keep(
    engine: Engine, session: Session, visitor: Visitor, kept: Attachment, version: int
) -> EngineField:
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope, recipient = await lock_for(engine, tx, session, "add a file")
        field = own_field(envelope, recipient, kept.field_id)
        if version != field.version:
            raise FieldChanged(field.version)
        changed = msgspec.structs.replace(
            field,
            value=kept.name,
            attachment_blob_key=kept.blob_key,
            completed_at=engine.clock.now(),
            version=field.version + 1,
        )
        await _insert(tx, envelope, kept)
        await write_fields(tx, envelope, [changed])
        fact = field_event(
            engine,
            envelope,
            recipient,
            visitor,
            changed,
            attachment_sha256=kept.sha256,
            media_type=kept.media_type,
        )
        await record(engine, tx, [fact])
        await tx.commit()
    return changed


async def _insert(tx: Transaction, envelope: EngineEnvelope, kept: Attachment) -> None:
    await tx.driver.execute(
        "INSERT INTO attachments (tenant_id, engine_id, field_id, blob_key, name, media_type, sha256, size_bytes)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        envelope.tenant_id,
        envelope.id,
        kept.field_id,
        kept.blob_key,
        kept.name,
        kept.media_type,
        kept.sha256,
        kept.size_bytes,
    )


class _Counted:
    """Passes the stream on until it is too long or turns out to be something else; knows its type afterwards."""

    def __init__(self, content: AsyncIterator[bytes], most: int) -> None:
        self._content = content
        self._most = most
        self.media_type = ""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        head = b""
        async for chunk in self._content:
            received += len(chunk)
            if received > self._most:
                raise ValidationFailed(f"The file has more than {self._most} bytes.", code="too_large")
            if not self.media_type:
                head += chunk
                if len(head) < _SNIFFED:
                    continue
                self.media_type = _type_of(head)
                chunk, head = head, b""
            yield chunk
        if not self.media_type:
            self.media_type = _type_of(head)
            yield head


def _type_of(head: bytes) -> str:
    try:
        media_type = detect_media_type(head)
    except DocumentRefused as error:
        media_type = ""
        cause: Exception | None = error
    else:
        cause = None
    if not media_type or media_type == DOCX:
        raise FieldRefused(
            "attachment_type",
            "The file is neither a PDF nor a PNG or JPEG picture.",
            remedy="Choose such a file.",
        ) from cause
    return media_type


def _clean_name(name: str) -> str:
    """The last part of a path, without what cannot be printed or would lead elsewhere."""
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    name = "".join(one for one in name if unicodedata.category(one)[0] != "C").strip(" .")
    return name[-_MOST_NAME:] or "file"
