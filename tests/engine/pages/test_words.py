"""The catalogue: both languages whole, and neither more nor less than the pages ask for."""

import re
from pathlib import Path

import pytest

from engine.ceremony.pages.catalogue import placeholders, say, words
from engine.ceremony.pages.wording import LANGUAGES, language_of

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "engine" / "ceremony" / "pages"
ASKED = re.compile(r"""\bt\(\s*["'](?P<key>[a-z_.]+)["'](?P<built>\s*~)?""")
SCRIPT_SECTIONS = re.compile(r"""script_words\(language, ["'](?P<name>[a-z_]+)["']\)""")
SCRIPTS_ASK = re.compile(r"""\b(?:words|texts)\.(?P<key>[a-z_]+)\b|\bsay\(\s*["'](?P<said>[a-z_]+)["']""")
# Built from an error's code, a status or a type by the server: "error.<code>", "prepare.<problem>".
REFUSALS = re.compile(r"""["'](?P<key>(?:error|prepare)\.(?!html)[a-z_]+)["']""")
# Texts that a script looks up by a name it has put together ("title_" and a purpose).
BUILT_BY_SCRIPTS = re.compile(r"`(?P<start>[a-z]+_)\$\{|[\"'](?P<begin>[a-z]+_)[\"']\s*\+")


def sources(*patterns: str) -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for pattern in patterns for path in sorted(PAGES.glob(pattern))
    )


def asked_by_templates() -> tuple[set[str], set[str]]:
    """Whole keys, and the beginnings of keys that are put together."""
    whole, built = set(), set()
    for found in ASKED.finditer(sources("templates/*.html")):
        (built if found["built"] else whole).add(found["key"])
    for found in re.finditer(r"""if .+? else t\(["']([a-z_.]+)["'](?!\s*~)""", sources("templates/*.html")):
        whole.add(found[1])
    return whole, built


def test_languages_have_the_same_keys():
    first, *others = LANGUAGES
    assert {language: set(words(language)) ^ set(words(first)) for language in others} == {
        language: set() for language in others
    }


def test_translations_have_the_same_placeholders_and_no_empty_text():
    faulty = [
        key
        for language in LANGUAGES
        for key, text in words(language).items()
        if not text.strip() or placeholders(key, language) != placeholders(key)
    ]
    assert faulty == []


def test_every_key_that_a_template_asks_for_exists():
    whole, built = asked_by_templates()
    known = words("en")
    assert sorted(key for key in whole if key not in known) == []
    assert sorted(start for start in built if not any(key.startswith(start) for key in known)) == []


def test_every_refusal_that_the_server_names_has_words():
    named = {
        found["key"]
        for folder in ("engine", "gateway")
        for path in (ROOT / folder).rglob("*.py")
        for found in REFUSALS.finditer(path.read_text(encoding="utf-8"))
    }
    assert sorted(named - set(words("en"))) == []


def test_every_key_of_the_catalogue_is_asked_for():
    whole, built = asked_by_templates()
    in_code = {"format.day", "format.decimal", "error.other"}
    script_sections = {found["name"] for found in SCRIPT_SECTIONS.finditer(sources("templates/*.html"))}
    unused = []
    for key in words("en"):
        section = key.partition(".")[0]
        if section in {"month", "error"} or key in whole | in_code:
            continue
        if any(key.startswith(start) for start in built) or section in script_sections | {
            "script",
            "ceremony",
        }:
            continue
        if not any(key in path.read_text(encoding="utf-8") for path in (ROOT / "gateway").rglob("*.py")):
            unused.append(key)
    assert unused == []


def test_scripts_and_catalogue_have_the_same_words():
    text = sources("static/*.js")
    asked = {found["key"] or found["said"] for found in SCRIPTS_ASK.finditer(text)}
    asked |= set(re.findall(r"""(?:onState\(|return )"([a-z]+)\"""", text)) & {
        "saving",
        "saved",
        "waiting",
        "changed",
        "over",
    }
    asked.discard("refusals")  # a section of its own: one sentence per code
    starts = {found["start"] or found["begin"] for found in BUILT_BY_SCRIPTS.finditer(text)}
    given = {
        key.partition(".")[2]
        for key in words("en")
        if key.partition(".")[0] in {"script", "session", "ceremony", "place", "placing"}
    }
    assert sorted(asked - given) == []
    assert sorted(key for key in given - asked if not key.startswith(tuple(starts) or "-")) == []


@pytest.mark.parametrize(
    ("wanted", "spoken"), [("de-AT", "de"), ("DE", "de"), ("en_GB", "en"), ("fr", "en"), ("", "en")]
)
def test_language_of_a_tag_is_the_one_that_the_pages_have(wanted: str, spoken: str):
    assert language_of(wanted) == spoken


def test_missing_key_raises():
    with pytest.raises(KeyError):
        say("en", "page.nothing_of_this_name")
