"""The consoles' catalogue: both languages whole, and neither more nor less than the pages ask for."""

import re
from pathlib import Path

from gateway.console.catalogue import LANGUAGES, placeholders, words

CONSOLE = Path(__file__).resolve().parents[2] / "gateway" / "console"


def test_languages_have_the_same_keys_placeholders_and_no_empty_text() -> None:
    first, *others = LANGUAGES
    for language in others:
        assert set(words(language)) == set(words(first))
        faulty = [
            key
            for key, text in words(language).items()
            if not text.strip() or placeholders(key, language) != placeholders(key)
        ]
        assert faulty == []


def test_templates_ask_for_every_word_of_the_catalogue_and_for_no_other() -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((CONSOLE / "templates").glob("*.html"))
    )
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for folder in (CONSOLE, CONSOLE.parent / "http" / "portal")
        for path in sorted(folder.glob("*.py"))
    )
    asked = set(re.findall(r"""["']((?:[a-z]+_?)+\.(?!html)[a-z0-9_]+)["']""", text + code))
    built = tuple(set(re.findall(r'"([a-z_]+\.[a-z_]*)"\s*~', text)))
    by_code = (
        "ago.",
        "month.",
        "verify_reason.",
        "notice.",
        "format.",
        "plain.",
        "trouble.",
        "endpoint_state.",
    )
    known = set(words("en"))
    wanted = {one for one in asked if one.partition(".")[0] in {key.partition(".")[0] for key in known}}
    assert sorted(one for one in wanted - known if not any(key.startswith(one) for key in known)) == []
    assert sorted(key for key in known - asked if not key.startswith((*built, *by_code))) == []
