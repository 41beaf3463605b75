"""What the page for placing fields is given: a draft's documents, recipients and fields.

`base` is the session's path ("/prepare/s/<handle>"), to which the scripts append "fields" and "fields/<id>".
"""

import msgspec

from engine.ceremony.view import Brand, DocumentView


class PrepareRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """`number` is the place in the draft, 1-based; the page tells recipients apart by it and by a colour."""

    id: str
    number: int
    name: str
    email: str
    role: str
    signs: bool


class PrepareField(msgspec.Struct, frozen=True, kw_only=True):
    """Points of the displayed page, top-left origin, as the API's own fields."""

    id: str
    document: int
    recipient_id: str
    type: str
    page: int
    x: float
    y: float
    width: float
    height: float
    required: bool = True
    read_only: bool = False
    label: str = ""
    value: str = ""
    options: tuple[str, ...] = ()
    group: str = ""


class FieldKind(msgspec.Struct, frozen=True, kw_only=True):
    """A type that may be placed, with the size in points that it gets; `is_signing` asks for who may sign."""

    type: str
    width: float
    height: float
    is_signing: bool


class PrepareStartPage(msgspec.Struct, frozen=True, kw_only=True):
    """GET /prepare/{token}: changes nothing. The form posts to `post_url` (the same path)."""

    post_url: str
    language: str
    brand: Brand
    development: bool
    subject: str


class PreparePage(msgspec.Struct, frozen=True, kw_only=True):
    """The scripts POST {base}/fields, PUT and DELETE {base}/fields/{id}, with X-CSRF-Token; the form POSTs
    {base}/close, which ends the session and leads to `return_url`. `problem` is shown instead of all that.
    """

    base: str
    csrf: str
    language: str
    brand: Brand
    development: bool
    subject: str
    documents: tuple[DocumentView, ...] = ()
    recipients: tuple[PrepareRecipient, ...] = ()
    fields: tuple[PrepareField, ...] = ()
    kinds: tuple[FieldKind, ...] = ()
    return_url: str = ""
    problem: str = ""
