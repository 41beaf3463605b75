"""Documents as the gateway hands them to a provider: facts and a handle, never the bytes themselves."""

from uuid import UUID

import msgspec

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


class PageSize(msgspec.Struct, frozen=True):
    """Points of the page as displayed (CropBox after Rotate)."""

    width: float
    height: float


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """`blob_key` is the handle by which the executor streams the bytes. `pages` is empty for what is not a
    PDF.
    """

    id: UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    order: int
    blob_key: str
    pages: tuple[PageSize, ...] = ()
