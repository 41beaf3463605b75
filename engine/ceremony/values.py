"""What may stand in a field: one check per type, from what was typed to what is stored.

A stored value is plain text: "true" or "" of a checkbox and a radio button, ISO 8601 of a date, the digits of a
number as typed with a point. Must never trust that the page checked anything, and never store control characters
or bidirectional overrides, with which a value reads as another on paper.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation

from engine.ceremony.refusals import FieldRefused
from engine.model import EngineField
from normalizer.field import FieldType

MOST_CHARACTERS = 4000
_MOST_SHORT = 200
_MOST_DIGITS = 30
# One line: a field has no room for a letter.
_MAIL = re.compile(r"[^\s@\x00-\x1f]{1,64}@[^\s@]{1,190}")
_OVERRIDES = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"", "false", "off", "no", "0"})

# Filled by a signature, by a file, or by the server: never by a typed value.
NOT_TYPED = frozenset({FieldType.SIGNATURE, FieldType.INITIALS, FieldType.ATTACHMENT, FieldType.DATE_SIGNED})
SIGNED = frozenset({FieldType.SIGNATURE, FieldType.INITIALS})


def read_value(field: EngineField, typed: str) -> str:
    """What is stored for what was typed; "" empties the field. Raises FieldRefused."""
    if field.type in NOT_TYPED:
        raise FieldRefused(
            "field_not_typed",
            f"A field of the type {field.type} is not filled by typing.",
            remedy="Sign it, or add the file.",
        )
    if len(typed) > MOST_CHARACTERS:
        raise _too_long(MOST_CHARACTERS)
    text = unicodedata.normalize("NFC", typed.replace("\r\n", "\n").replace("\r", "\n")).strip()
    _check_characters(text)
    return _READERS[field.type](field, text)


def read_mail(typed: str) -> str:
    """An e-mail address, or "". Raises FieldRefused."""
    text = unicodedata.normalize("NFC", typed).strip()
    _check_characters(text)
    if len(text) > _MOST_SHORT:
        raise _too_long(_MOST_SHORT)
    if text and _MAIL.fullmatch(text) is None:
        raise FieldRefused("field_email", "The value is not an e-mail address.")
    return text


def is_filled(field: EngineField) -> bool:
    """Whether nothing more is needed in it. The date of signing fills itself."""
    if field.type is FieldType.DATE_SIGNED:
        return True
    if field.type in SIGNED:
        return field.signature_id is not None
    if field.type is FieldType.ATTACHMENT:
        return bool(field.attachment_blob_key)
    return bool(field.value)


def _check_characters(text: str) -> None:
    for one in text:
        if one in _OVERRIDES or (unicodedata.category(one) in {"Cc", "Cs", "Co"} and one not in "\n\t"):
            raise FieldRefused(
                "field_characters",
                f"The value has a character that cannot be printed (U+{ord(one):04X}).",
                remedy="Type the value instead of pasting it.",
            )


def _read_text(_field: EngineField, text: str) -> str:
    return text


def _read_line(_field: EngineField, text: str) -> str:
    if len(text) > _MOST_SHORT:
        raise _too_long(_MOST_SHORT)
    return " ".join(text.split())


def _read_check(_field: EngineField, text: str) -> str:
    lowered = text.lower()
    if lowered in _TRUE:
        return "true"
    if lowered in _FALSE:
        return ""
    raise FieldRefused("field_not_checked", "A box is checked with true and emptied with an empty value.")


def _read_option(field: EngineField, text: str) -> str:
    if text and text not in field.options:
        raise FieldRefused(
            "field_option", "The value is none of the field's options.", remedy="Choose one of the options."
        )
    return text


def _read_number(_field: EngineField, text: str) -> str:
    """With a point or one comma as the decimal sign; no thousands, no exponent."""
    if not text:
        return ""
    number = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    try:
        value = Decimal(number)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or "e" in number.lower() or "_" in number or not number.isascii():
        raise FieldRefused(
            "field_number", "The value is not a number.", remedy="Write digits, with a point before decimals."
        )
    if len(number) > _MOST_DIGITS:
        raise _too_long(_MOST_DIGITS)
    return number


def _read_date(_field: EngineField, text: str) -> str:
    if not text:
        return ""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            pass  # a day that no month has: refused as every other text below
    raise FieldRefused("field_date", "The value is not a date.", remedy="Write the date as 2026-12-31.")


def _read_mail(_field: EngineField, text: str) -> str:
    return read_mail(text)


def _too_long(most: int) -> FieldRefused:
    return FieldRefused(
        "field_too_long", f"The value has more than {most} characters.", values={"most": str(most)}
    )


_READERS: dict[FieldType, Callable[[EngineField, str], str]] = {
    FieldType.TEXT: _read_text,
    FieldType.FULL_NAME: _read_line,
    FieldType.COMPANY: _read_line,
    FieldType.TITLE: _read_line,
    FieldType.EMAIL: _read_mail,
    FieldType.CHECKBOX: _read_check,
    FieldType.RADIO: _read_check,
    FieldType.DROPDOWN: _read_option,
    FieldType.NUMBER: _read_number,
    FieldType.DATE: _read_date,
}
