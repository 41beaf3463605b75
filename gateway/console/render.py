"""A page's struct becomes HTML: one template per struct, words from the catalogue, all escaped, nothing inline."""

import datetime as dt
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import jinja2
from markupsafe import Markup

from gateway.console import view
from gateway.console.assets import address_of
from gateway.console.catalogue import LANGUAGES, say, words
from gateway.console.frame import Frame
from normalizer.ids import Kind, print_id
from webhooks.outbound.reason import FOREIGN, Reason

_TEMPLATES: Final[dict[type[Any], str]] = {
    view.StartPage: "start.html",
    view.PlainPage: "plain.html",
    view.EndpointsPage: "endpoints.html",
    view.EndpointPage: "endpoint.html",
    view.EndpointForm: "endpoint_form.html",
    view.SwitchPage: "switch.html",
    view.SecretPage: "secret.html",
    view.DeliveriesPage: "deliveries.html",
    view.DeliveryPage: "delivery.html",
    view.EventsPage: "events.html",
    view.EventPage: "event.html",
    view.VerifyPage: "verify.html",
    view.ReplaysPage: "replays.html",
    view.ReplayForm: "replay_form.html",
    view.ReplayPage: "replay.html",
}
_PRINTED: Final = {
    "endpoint": Kind.ENDPOINT,
    "delivery": Kind.DELIVERY,
    "event": Kind.EVENT,
    "envelope": Kind.ENVELOPE,
    "replay": Kind.REPLAY,
}
_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"))


def render(page: Any, now: dt.datetime) -> str:
    """The whole document as text. Raises KeyError when the catalogue lacks a word."""
    frame: Frame = page.frame
    return _template(_TEMPLATES[type(page)]).render(
        page=page,
        frame=frame,
        brand=frame.brand,
        language=frame.language,
        languages=LANGUAGES,
        t=_speaker(frame.language),
        moment=partial(_moment, frame.language),
        ago=partial(_ago, frame.language, now),
        percent=partial(_percent, frame.language),
        spoken=partial(_spoken, frame.language),
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals |= {"asset": address_of, "printed": _printed}
    return environment


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


@cache
def _speaker(language: str) -> Callable[..., str]:
    def speak(key: str, **values: object) -> str:
        return say(language, key, values)

    return speak


def _spoken(language: str, reason: Reason, key: str, base: str) -> Markup:
    """A reason in the page's language; what others said in it stays English, and is marked so for screen readers. A
    delivery that it names is a link below `base`.
    """
    values: dict[str, object] = {}
    for name, value in reason.values.items():
        if isinstance(value, dt.datetime):
            values[name] = _moment(language, value)
        elif name == "delivery":
            values[name] = Markup('<a href="{}/deliveries/{}">{}</a>').format(base, value, value)
        elif name in FOREIGN and language != "en":
            values[name] = Markup('<span lang="en">{}</span>').format(value)
        else:
            values[name] = value
    return Markup(words(language)[key]).format_map(values)  # noqa: S704 - the catalogue's text, values are escaped


def _printed(kind: str, own: UUID) -> str:
    return print_id(_PRINTED[kind], own)


def _moment(language: str, at: dt.datetime) -> str:
    """To the second, and in UTC: where the reader is, is not known here."""
    at = at.astimezone(dt.UTC)
    month = say(language, f"month.m{at.month}")
    day = say(language, "format.day", {"day": at.day, "month": month, "year": at.year})
    return f"{day}, {at:%H:%M:%S} UTC"


def _percent(language: str, rate: float) -> str:
    """Rounded down: 100 % is said only of all."""
    tenths = int(rate * 1000)
    text = (
        f"{tenths // 10}"
        if tenths % 10 == 0
        else f"{tenths // 10}{say(language, 'format.decimal')}{tenths % 10}"
    )
    return f"{text}\u202f%" if language == "de" else f"{text}%"


def _ago(language: str, now: dt.datetime, at: dt.datetime) -> str:
    """How long ago, or in how long, in one unit."""
    seconds = (now - at).total_seconds()
    where = "past" if seconds >= 0 else "future"
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            count = int(abs(seconds) // size)
            return say(
                language, f"ago.{where}_{unit if count > 1 else unit.removesuffix('s')}", {"count": count}
            )
    return say(language, f"ago.{where}_now")
