"""The consoles' words: one TOML file per language, every key in each, placeholders in braces. English reasons why
something has not arrived are the API's own (webhooks/outbound/reason.py).

A key that is missing raises: a page never shows a key, and a test compares the languages with each other and with
what the templates ask for.
"""

import string
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from webhooks.outbound.reason import ENGLISH

_LOCALES = Path(__file__).with_name("locales")
LANGUAGES: Final = ("en", "de")
FALLBACK: Final = "en"


def language_of(wanted: str) -> str:
    """The language that the pages have for a tag ("de-AT" is German); English for one that they lack."""
    primary = wanted.replace("_", "-").partition("-")[0].lower()
    return primary if primary in LANGUAGES else FALLBACK


def language_accepted(header: str) -> str:
    """The first of a reader's languages (Accept-Language) that the pages have."""
    for wanted in header.split(","):
        primary = wanted.partition(";")[0].strip().partition("-")[0].lower()
        if primary in LANGUAGES:
            return primary
    return FALLBACK


@cache
def words(language: str) -> dict[str, str]:
    """Every text of a language by its dotted key."""
    text = (_LOCALES / f"{language}.toml").read_text(encoding="utf-8")
    found = dict(_flat(tomllib.loads(text), ""))
    if language == FALLBACK:
        found |= {f"reason.{word}": sentence for word, sentence in ENGLISH.items()}
    return found


def say(language: str, key: str, values: Mapping[str, object] | None = None) -> str:
    """Raises KeyError for a key or a placeholder's value that is missing."""
    text = words(language)[key]
    return text.format_map(dict(values)) if values else text


def has(key: str) -> bool:
    return key in words(FALLBACK)


def placeholders(key: str, language: str = FALLBACK) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(words(language)[key]) if name)


def _flat(table: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
