"""A notice in words: subject, heading, sentences and the text message, in the reader's language.

The words stand in templates/<language>.toml, the mail's form in templates/mail.html. A word that a template
does not know is an error: it never shows as nothing. Values are text: markup in them is shown as it was
typed, and the writing direction of a name ends with the name.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import msgspec
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from engine.ceremony.pages import wording
from engine.ceremony.pages.colours import lighten_for, shades_of
from engine.notify.letterhead import PLAIN, Letterhead
from engine.notify.notice import VALUES, Notice, NoticeKind

_FOLDER = resources.files("engine.notify.templates")
# What would move the letters around it (or a header into the next line): no name and no subject needs them.
_UNWANTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = re.compile(r"[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
_LINES = frozenset({"message", "note", "reason"})  # may have several lines
_LEFT_ALONE = frozenset(
    {"link", "code", "minutes", "days", "expires_at", "action"}
)  # not a name, not a sentence
_LONGEST_MESSAGE = 5000
_DARK = "#1d232e"  # the mail's paper where mails are shown dark
# What the sender wrote is for those who are asked to do something, or given a copy; a deadline for the former.
_WITH_MESSAGE = frozenset({kind for kind in NoticeKind if kind.is_invitation} | {NoticeKind.COPY}) - {
    NoticeKind.CODE
}


class KindText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Jinja sources. `body`: one paragraph each; an empty one is left out. `button`: for the link."""

    subject: str
    heading: str
    body: tuple[str, ...]
    sms: str
    button: str = ""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of the frame around every mail. `date` takes {day}, {month}, {year} and {time}."""

    greeting: str
    message: str
    note: str
    reason: str
    expires: str
    copy_link: str
    private_link: str
    why: str
    abuse: str
    months: tuple[str, ...]
    date: str


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: Words
    kinds: dict[NoticeKind, KindText]


class Letter(msgspec.Struct, frozen=True):
    """`plain` and `html` say the same."""

    subject: str
    plain: str
    html: str


@cache
def catalogue(language: str) -> Catalogue:
    document = tomllib.loads(_FOLDER.joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    return msgspec.convert(document, Catalogue)


def write_letter(
    notice: Notice, *, product: str, abuse: str, letterhead: Letterhead = PLAIN, logo: str = ""
) -> Letter:
    """`product` is the installation's name, `abuse` where a misuse is reported ("": nowhere), `logo` the
    Content-ID under which the letterhead's logo goes along ("": without it).
    """
    language = language_of(notice)
    texts = catalogue(language)
    plain_values = _values(notice, texts.words, product, abuse)
    html_values = {name: _in_html(name, value) for name, value in plain_values.items()}
    text = texts.kinds[notice.kind]
    frame = _frame(
        text, texts.words, {name: _in_text(value) for name, value in plain_values.items()}, html=False
    )
    marked = _frame(text, texts.words, html_values, html=True)
    page = _compiled(_page(), html=True).render(
        frame=marked,
        values=html_values,
        language=language,
        link=notice.values.get("link", ""),
        colours=_colours(letterhead),
        logo=logo,
        logo_size=_logo_size(letterhead),
        organisation=plain_values["organisation"] or plain_values["product"],
    )
    return Letter(" ".join(frame["subject"].split()), _plain(frame, plain_values), page)


def write_sms(notice: Notice, *, product: str) -> str:
    texts = catalogue(language_of(notice))
    values = _values(notice, texts.words, product, "")
    return " ".join(_compiled(texts.kinds[notice.kind].sms, html=False).render(values).split())


def language_of(notice: Notice) -> str:
    return wording.language_of(notice.language)


def one_line(value: str) -> str:
    """Without line breaks and without signs that change the direction of what follows."""
    return " ".join(_UNWANTED.sub(" ", value).split())


_HTML = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_PLAIN = Environment(undefined=StrictUndefined)  # noqa: S701  (plain text: nothing reads markup in it)


@cache
def _compiled(source: str, *, html: bool) -> Template:
    return (_HTML if html else _PLAIN).from_string(source)


@cache
def _page() -> str:
    return _FOLDER.joinpath("mail.html").read_text(encoding="utf-8")


def _colours(letterhead: Letterhead) -> dict[str, str]:
    """`link_dark`: a link's colour where the reader's programme shows mails dark."""
    shades = shades_of(letterhead.colour, letterhead.ink)
    return {
        "accent": shades.accent,
        "ink": shades.ink,
        "link": shades.strong,
        "line": shades.line,
        "link_dark": lighten_for(shades.accent, _DARK),
        "dark": _DARK,
    }


def _logo_size(letterhead: Letterhead) -> tuple[int, int]:
    """At half its pixels, and never larger than the head of a narrow mail."""
    if not letterhead.logo_width or not letterhead.logo_height:
        return 0, 0
    scale = min(0.5, 220 / letterhead.logo_width, 44 / letterhead.logo_height)
    return max(1, round(letterhead.logo_width * scale)), max(1, round(letterhead.logo_height * scale))


def _values(notice: Notice, words: Words, product: str, abuse: str) -> dict[str, str]:
    values = {}
    for name in sorted(VALUES):
        value = notice.values.get(name, "")
        values[name] = _lines(value) if name in _LINES else one_line(value)
    values["expires_at"] = _date(values["expires_at"], words) if notice.kind.is_invitation else ""
    if notice.kind not in _WITH_MESSAGE:
        values["message"] = values["note"] = ""
    values["name"] = one_line(notice.name)
    values["product"] = one_line(product)
    values["abuse"] = abuse
    values["sender"] = values["sender_name"] or values["organisation"] or values["sender_email"]
    return values


def _lines(value: str) -> str:
    lines = [one_line(line) for line in value[:_LONGEST_MESSAGE].splitlines()]
    return "\n".join(lines).strip()


def _date(value: str, words: Words) -> str:
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return value
    return words.date.format(
        day=moment.day, month=words.months[moment.month - 1], year=moment.year, time=f"{moment:%H:%M}"
    )


def _in_html(name: str, value: str) -> str:
    if not value or name in _LEFT_ALONE:
        return value
    text = Markup("<br>").join(escape(line) for line in value.split("\n"))
    return Markup('<bdi dir="auto">{}</bdi>').format(text)


def _in_text(value: str) -> str:
    """Between isolates when it runs from right to left, so that what follows stays in its place."""
    return f"\u2068{value}\u2069" if _RIGHT_TO_LEFT.search(value) else value


def _frame(text: KindText, words: Words, values: Mapping[str, str], *, html: bool) -> dict[str, Any]:
    def render(source: str) -> Any:
        done = _compiled(source, html=html).render(values)
        return Markup(done) if html else done  # noqa: S704  (autoescaped one line above)

    body = [render(source) for source in text.body]
    frame = {
        name: render(getattr(words, name))
        for name in ("greeting", "message", "note", "reason", "copy_link", "private_link", "why", "abuse")
    }
    return frame | {
        "subject": render(text.subject),
        "heading": render(text.heading),
        "body": [paragraph for paragraph in body if paragraph.strip()],
        "button": render(text.button),
        "expires": render(words.expires) if values["expires_at"] else "",
    }


def _plain(frame: Mapping[str, Any], values: Mapping[str, str]) -> str:
    parts: list[str] = [frame["greeting"], *frame["body"]]
    if values["code"]:
        parts.insert(2, f"    {values['code']}")  # after the sentence that speaks of it
    if frame["expires"]:
        parts.append(frame["expires"])
    for name in ("message", "note", "reason"):
        if values[name]:
            quoted = "\n".join(f"> {line}" for line in values[name].split("\n"))
            parts.append(f"{frame[name]}\n{quoted}")
    if values["link"]:
        parts.append(f"{frame['button']}:\n{values['link']}")
        parts.append(frame["private_link"])
    parts.append("-- \n" + " ".join(filter(None, [frame["why"], frame["abuse"] if values["abuse"] else ""])))
    return "\n\n".join(parts) + "\n"
