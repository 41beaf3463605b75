"""What is drawn where: an envelope's completed fields as stamps on pages. Pure: no file is opened.

Boxes are fractions of the displayed page, as the fields are. Every value is on the page as text or drawing;
the picture of a signature never comes without who, when, with what meaning, and the signature's id.
Source: 21 CFR 11.50(b): the signature's components are part of the readable form of the record.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from engine.model import EngineDocument, EngineEnvelope, EngineField, EngineRecipient
from normalizer.field import FieldType
from normalizer.ids import Kind, print_id

_TICKED = {"true", "1", "x", "on", "yes", "checked", "selected"}


class TextStamp(msgspec.Struct, frozen=True, tag="text"):
    text: str


class CheckStamp(msgspec.Struct, frozen=True, tag="check"):
    """`is_round`: the filled dot of a chosen radio button."""

    is_round: bool = False


class PictureStamp(msgspec.Struct, frozen=True, tag="picture"):
    """`caption` stands below or beside the picture, one entry a line."""

    signature_id: UUID
    caption: tuple[str, ...] = ()


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """`page` is 1-based; `field_id` is whose value it shows."""

    page: int
    x: float
    y: float
    width: float
    height: float
    field_id: UUID
    content: TextStamp | CheckStamp | PictureStamp


def stamp_at(field: EngineField, content: TextStamp | CheckStamp | PictureStamp) -> Stamp:
    """Where the field is, with what is given."""
    return Stamp(
        page=field.page,
        x=field.x,
        y=field.y,
        width=field.width,
        height=field.height,
        field_id=field.id,
        content=content,
    )


def stamps_of(envelope: EngineEnvelope, document: EngineDocument) -> tuple[Stamp, ...]:
    """In page order; fields without a value leave nothing."""
    found = [
        stamp_at(field, content)
        for field in envelope.fields
        if field.document_id == document.id
        if (content := _content(envelope, field)) is not None
    ]
    return tuple(sorted(found, key=lambda one: (one.page, one.y, one.x)))


def signature_line(envelope: EngineEnvelope, recipient: EngineRecipient, signature_id: UUID) -> Iterator[str]:
    """Name, moment, meaning and id of one signature."""
    name = recipient.signed_name or recipient.name
    if recipient.delegated_from is not None:
        name += f" (for {envelope.recipient(recipient.delegated_from).name})"
    yield f"{name}: {recipient.meaning}" if recipient.meaning else name
    yield f"{print_moment(recipient.completed_at)}  {print_id(Kind.SIGNATURE, signature_id)}"


def print_moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _content(envelope: EngineEnvelope, field: EngineField) -> TextStamp | CheckStamp | PictureStamp | None:
    recipient = envelope.recipient(field.recipient_id)
    match field.type:
        case FieldType.SIGNATURE:
            if field.signature_id is None:
                return None
            caption = tuple(signature_line(envelope, recipient, field.signature_id))
            return PictureStamp(field.signature_id, caption)
        case FieldType.INITIALS:
            return None if field.signature_id is None else PictureStamp(field.signature_id)
        case FieldType.CHECKBOX | FieldType.RADIO:
            is_ticked = field.value.strip().lower() in _TICKED
            return CheckStamp(field.type is FieldType.RADIO) if is_ticked else None
        case FieldType.DATE_SIGNED:
            text = field.value or print_moment(recipient.completed_at)[:10]
        case FieldType.FULL_NAME:
            text = field.value or recipient.signed_name
        case FieldType.ATTACHMENT:
            text = f"Attached: {field.value or 'file'}" if field.attachment_blob_key else ""
        case _:
            text = field.value
    return TextStamp(text) if text.strip() else None
