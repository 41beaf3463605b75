"""A page's struct becomes HTML: one template per struct, words from the catalogue, everything escaped.

Nothing is inline but JSON in elements that no browser runs, so that the pages keep the strictest policy.
"""

import datetime as dt
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from engine.ceremony import view
from engine.ceremony.pages.assets import address_of, address_of_theme
from engine.ceremony.pages.catalogue import has, placeholders, say, section
from engine.ceremony.pages.wording import language_of
from engine.ceremony.prepare_view import PreparePage, PrepareStartPage
from engine.ceremony.verify_view import VerifyPage

AnyPage = view.Page | PrepareStartPage | PreparePage | VerifyPage

_TEMPLATES: dict[type[Any], str] = {
    view.LandingPage: "landing.html",
    view.AuthenticatePage: "authenticate.html",
    view.LockedPage: "locked.html",
    view.ConsentPage: "consent.html",
    view.SigningPage: "signing.html",
    view.ReviewPage: "review.html",
    view.DeclinePage: "decline.html",
    view.DelegatePage: "delegate.html",
    view.DonePage: "done.html",
    view.PlainPage: "plain.html",
    PrepareStartPage: "prepare_start.html",
    PreparePage: "prepare.html",
    VerifyPage: "verify.html",
}
# What a page without a tenant looks like.
PLAIN_BRAND = view.Brand(organisation="Countersign")


def render(page: AnyPage) -> str:
    """The whole document as text. Raises KeyError when the catalogue lacks a word."""
    shell: view.Shell | None = getattr(page, "shell", None)
    language = language_of(shell.language if shell is not None else page.language)  # type: ignore[union-attr]  # every page without a shell has a language
    brand = shell.brand if shell is not None else getattr(page, "brand", PLAIN_BRAND)
    return _template(_TEMPLATES[type(page)]).render(
        page=page,
        shell=shell,
        brand=brand,
        # Who asks, as far as it is known.
        sender=(shell.sender_name or shell.sender_email or brand.organisation) if shell is not None else "",
        language=language,
        t=_speaker(language),
        theme=address_of_theme(brand.colour, brand.ink),
        moment=partial(_moment, language),
        day=partial(_day, language),
        size=partial(_size, language),
        refusal=partial(_refusal, language),
    )


def island(payload: object, element_id: str) -> Markup:
    """A JSON element for the scripts: nothing in it can end the element or begin a comment."""
    text = msgspec.json.encode(payload, enc_hook=str).decode()
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup('<script type="application/json" id="{}">{}</script>').format(element_id, Markup(text))  # noqa: S704  (escaped just above, for where it stands)


def script_words(language: str, name: str) -> dict[str, str]:
    """The texts of one script: the section "script" of the catalogue and the script's own."""
    return {**section(language, "script"), **section(language, name)}


def ceremony_words(language: str) -> dict[str, object]:
    """The same for the document's page, with a sentence per code of a refusal: problems are in English."""
    return {**script_words(language, "ceremony"), "refusals": section(language, "error")}


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages" / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {
        "asset": address_of,
        "island": island,
        "script_words": script_words,
        "ceremony_words": ceremony_words,
    }
    return environment


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


@cache
def _speaker(language: str) -> Callable[..., str]:
    def speak(key: str, **values: object) -> str:
        return say(language, key, {name: str(value) for name, value in values.items()} if values else None)

    return speak


def _moment(language: str, at: dt.datetime) -> str:
    """UTC, and says so: where the reader is, is not known here."""
    return f"{_day(language, at)}, {at.astimezone(dt.UTC):%H:%M} UTC"


def _day(language: str, at: dt.datetime) -> str:
    at = at.astimezone(dt.UTC)
    month = say(language, f"month.m{at.month}")
    return say(language, "format.day", {"day": str(at.day), "month": month, "year": str(at.year)})


def _refusal(language: str, shell: view.Shell) -> str:
    """Why the last request was refused; a reason that the catalogue does not know reads as a general one."""
    key = shell.error if has(shell.error) else "error.other"
    return say(language, key, {name: shell.error_values.get(name, "") for name in placeholders(key)})


def _size(language: str, size_bytes: int) -> str:
    if size_bytes < 1_000_000:
        return f"{max(1, round(size_bytes / 1000))} KB"
    text = f"{size_bytes / 1_000_000:.1f} MB"
    return text.replace(".", say(language, "format.decimal"))
