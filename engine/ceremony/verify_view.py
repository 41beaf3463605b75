"""What the public verification page is given: a question, or a verdict with its reasons, one row per statement.

It says nothing about a person beyond what the shown document says itself.
"""

from enum import StrEnum

import msgspec

from engine.ceremony.view import DownloadView


class Tone(StrEnum):
    """How a verdict is meant; shown as a word and a sign, never by colour alone."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    UNKNOWN = "unknown"


class VerdictRow(msgspec.Struct, frozen=True, kw_only=True):
    """One statement: what was looked at, what was found, and in `detail` what that means."""

    title: str
    finding: str
    tone: Tone
    detail: str = ""


class SignatureVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One signature of the file, with rows for integrity, coverage, chain, revocation, time and later changes."""

    title: str
    tone: Tone
    rows: tuple[VerdictRow, ...]


class VerifyPage(msgspec.Struct, frozen=True, kw_only=True):
    """GET /verify (a form: `code`, or a file as `file`) and GET /verify/{code}.

    `verdict` empty: nothing was asked yet, and `problem` may say why a question could not be answered. `facts`
    are (title, text) about the envelope that the code names.
    """

    language: str
    development: bool
    code: str = ""
    problem: str = ""
    verdict: str = ""
    tone: Tone = Tone.UNKNOWN
    summary: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    rows: tuple[VerdictRow, ...] = ()
    signatures: tuple[SignatureVerdict, ...] = ()
    downloads: tuple[DownloadView, ...] = ()
    largest_bytes: int = 0
