"""The words a signer consents to: a file per language, filled in with who asks, and the hash of what was shown.

Source: 15 U.S.C. 7001(c)(1)(B) and (C)(i).
"""

import hashlib
import tomllib
from functools import cache
from pathlib import Path

import msgspec

from normalizer.canonical import canonical_bytes

_FOLDER = Path(__file__).with_name("disclosures")
_CONTACT = {
    "en": "Write to {email}.",
    "de": "Schreiben Sie an {email}.",
}


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """`paragraphs` are (heading, text) as the reader sees them, `sha256` that of their canonical JSON."""

    id: str
    version: str
    language: str
    paragraphs: tuple[tuple[str, str], ...]
    sha256: str


class _Paragraph(msgspec.Struct, frozen=True):
    heading: str
    text: str


class _File(msgspec.Struct, frozen=True):
    id: str
    version: str
    language: str
    paragraph: tuple[_Paragraph, ...]


def compose_disclosure(language: str, organisation: str, contact_email: str) -> Disclosure:
    """`language` is "de" or else English; `contact_email` may be empty."""
    source = _read("de" if language == "de" else "en")
    contact = _CONTACT[source.language].format(email=contact_email) if contact_email else ""
    paragraphs = tuple(
        (one.heading, " ".join(one.text.format(organisation=organisation, contact=contact).split()))
        for one in source.paragraph
    )
    shown = {
        "id": source.id,
        "version": source.version,
        "language": source.language,
        "paragraphs": [list(pair) for pair in paragraphs],
    }
    return Disclosure(
        id=source.id,
        version=source.version,
        language=source.language,
        paragraphs=paragraphs,
        sha256=hashlib.sha256(canonical_bytes(shown)).hexdigest(),
    )


@cache
def _read(language: str) -> _File:
    text = (_FOLDER / f"esign-{language}.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), _File)
