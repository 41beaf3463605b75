"""What is said between the examiners' owner and an examiner: one JSON line each way.

The examiner is a process of its own that reads hostile bytes: everything here is plain data, and what comes
back is decoded strictly. Paths name spool files; bytes never travel in a message.
"""

from datetime import datetime
from enum import StrEnum

import msgspec

from engine.verification.facts import FileFacts
from normalizer.document import PageSize


class Operation(StrEnum):
    EXAMINE = "examine"
    FIND_ANCHORS = "find_anchors"
    READ_TEXTS = "read_texts"
    VERIFY = "verify"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes, seconds, points. `memory_bytes` comes on top of what an idle examiner has."""

    pages: int
    page_side: float
    file_bytes: int
    stream_bytes: int
    image_pixels: int
    memory_bytes: int
    cpu_s: int
    wall_s: float


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`target` is where a cleaned document is written; `password` opens this one file and is kept nowhere.
    `roots` (DER) are whom a verification trusts, `moment` the time for which it judges.
    """

    operation: Operation
    source: str
    target: str = ""
    password: str = ""
    remove_restrictions: bool = False
    texts: tuple[str, ...] = ()
    roots: tuple[bytes, ...] = ()
    moment: datetime | None = None
    limits: Limits

    def __repr__(self) -> str:
        return f"Task({self.operation})"


class Refusal(msgspec.Struct, frozen=True):
    """`code` is a row of engine.documents.findings; `page` is 1-based, 0 for the whole document."""

    code: str
    page: int = 0
    detail: str = ""


class AnchorPlace(msgspec.Struct, frozen=True):
    """Points from the top left of the page as displayed; `page` is 1-based."""

    page: int
    x: float
    y: float
    width: float
    height: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`is_changed`: a cleaned document was written to the task's target, and the rest describes that one."""

    refusals: tuple[Refusal, ...] = ()
    removed: tuple[str, ...] = ()
    is_changed: bool = False
    is_signed: bool = False
    is_unlocked: bool = False
    page_count: int = 0
    pages: tuple[PageSize, ...] = ()
    places: dict[str, tuple[AnchorPlace, ...]] = {}
    texts: tuple[str, ...] = ()
    signed: FileFacts | None = None
    peak_bytes: int = 0


class Refused(Exception):
    """Raised inside an examiner: the document cannot be taken."""

    def __init__(self, code: str, *, page: int = 0, detail: str = "") -> None:
        super().__init__(code)
        self.refusal = Refusal(code, page, detail)
