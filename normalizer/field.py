"""Fields: places on a page where a recipient acts.

One coordinate system: PDF points (1/72 inch), origin at the top left of the page as it is displayed (CropBox
after Rotate), x to the right, y down; (x, y) is the field's top-left corner. Adapters convert.
"""

from enum import StrEnum
from uuid import UUID

import msgspec


class FieldType(StrEnum):
    SIGNATURE = "signature"
    INITIALS = "initials"
    DATE_SIGNED = "date_signed"
    TEXT = "text"
    CHECKBOX = "checkbox"
    RADIO = "radio"
    DROPDOWN = "dropdown"
    NUMBER = "number"
    DATE = "date"
    FULL_NAME = "full_name"
    EMAIL = "email"
    COMPANY = "company"
    TITLE = "title"
    ATTACHMENT = "attachment"


# Width and height in points when the caller gives none: what the field's content needs at 10 points.
DEFAULT_SIZE: dict[FieldType, tuple[float, float]] = {
    FieldType.SIGNATURE: (160.0, 40.0),
    FieldType.INITIALS: (60.0, 30.0),
    FieldType.DATE_SIGNED: (90.0, 18.0),
    FieldType.TEXT: (160.0, 18.0),
    FieldType.CHECKBOX: (14.0, 14.0),
    FieldType.RADIO: (14.0, 14.0),
    FieldType.DROPDOWN: (120.0, 18.0),
    FieldType.NUMBER: (90.0, 18.0),
    FieldType.DATE: (90.0, 18.0),
    FieldType.FULL_NAME: (160.0, 18.0),
    FieldType.EMAIL: (180.0, 18.0),
    FieldType.COMPANY: (160.0, 18.0),
    FieldType.TITLE: (160.0, 18.0),
    FieldType.ATTACHMENT: (40.0, 40.0),
}


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Place the field at this text: offsets in points from the text's top left, x right, y down."""

    text: str
    x_offset: float = 0.0
    y_offset: float = 0.0


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """Either `page` (1-based) with x and y, or `anchor`. `group` ties radio buttons together; `options` are
    the values of a dropdown.
    """

    id: UUID
    document_id: UUID
    recipient_id: UUID
    type: FieldType
    page: int = 0
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    anchor: Anchor | None = None
    required: bool = True
    read_only: bool = False
    label: str = ""
    value: str = ""
    options: tuple[str, ...] = ()
    group: str = ""
