"""Texts of pages: one TOML file per language in a folder, every key in each, placeholders in braces.

A key that is missing raises: a page never shows a key, and tests compare the languages with each other and with what
templates and scripts ask for.
"""

import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

LANGUAGES: Final = ("en", "de")
FALLBACK: Final = "en"
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def language_of(wanted: str) -> str:
    """The language that the pages have for a tag ("de-AT" is German); English for one that they lack."""
    primary = _primary(wanted)
    return primary if primary in LANGUAGES else FALLBACK


def language_accepted(header: str) -> str:
    """The first of a reader's languages (Accept-Language) that the pages have."""
    wanted = (_primary(one.partition(";")[0].strip()) for one in header.split(","))
    return next((one for one in wanted if one in LANGUAGES), FALLBACK)


def _primary(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].lower()


class Wording:
    """The texts of one folder. `english`: by key, what stands in code and needs a file in other languages only."""

    def __init__(self, folder: Path, english: Mapping[str, str] = _NOTHING) -> None:
        self._folder = folder
        self._english = english
        self._read: dict[str, dict[str, str]] = {}

    def words(self, language: str) -> Mapping[str, str]:
        """Every text of a language by its dotted key."""
        known = self._read.get(language)
        if known is None:
            text = (self._folder / f"{language}.toml").read_text(encoding="utf-8")
            known = dict(_flat(tomllib.loads(text), ""))
            if language == FALLBACK:
                known |= self._english
            self._read[language] = known
        return known

    def say(self, language: str, key: str, values: Mapping[str, object] | None = None) -> str:
        """Without values as it stands, for a script to fill in. Raises KeyError for a key or a value that lacks."""
        text = self.words(language)[key]
        return text.format_map(dict(values)) if values else text

    def has(self, key: str) -> bool:
        return key in self.words(FALLBACK)

    def placeholders(self, key: str, language: str = FALLBACK) -> frozenset[str]:
        parsed = string.Formatter().parse(self.words(language)[key])
        return frozenset(name for _, name, _, _ in parsed if name)

    def section(self, language: str, name: str) -> dict[str, str]:
        """A section's texts by their last part: what a script is given."""
        prefix = f"{name}."
        texts = self.words(language).items()
        return {key.removeprefix(prefix): text for key, text in texts if key.startswith(prefix)}


def _flat(table: Mapping[str, object], prefix: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
