"""An endpoint as a form, and a form as an endpoint or a change of one.

A form without scripts sends texts only: each becomes what the use case takes, or a finding under the same JSON pointer
that the API would name. Secrets go in and never come out: an empty field leaves them as they are.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from config.secret import Secret
from normalizer.errors import Finding, ValidationFailed
from normalizer.vocabulary import VOCABULARY
from normalizer.vocabulary import EventType as Announced
from webhooks.outbound.endpoint import (
    Endpoint,
    EndpointChange,
    NewEndpoint,
    OAuth,
    Ordering,
    Payload,
)
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile
from webhooks.outbound.sinks.target import SinkKind

_T = TypeVar("_T")
_EVENT = "event:"
_FORGET = "forget:"
_PLAIN = ("url", "description", "alert_email", "client_certificate", "server_ca", "sink_target")
_CHOICES = ("payload", "ordering", "retry_profile", "signature_profile", "sink")
_NUMBERS = ("timeout_seconds", "max_in_flight")
_SECRETS = ("client_key", "oauth_secret", "sink_secret")
_OAUTH = ("token_url", "client_id", "scope", "audience")
_DEFAULTS: dict[str, str] = {
    "payload": "full",
    "ordering": "skip",
    "retry_profile": "standard",  # what production endpoints are best served with
    "signature_profile": "both",
    "sink": "http",
    "timeout_seconds": "30",
    "max_in_flight": "8",
}


class _Choices(msgspec.Struct, frozen=True):
    payload: Payload
    ordering: Ordering
    retry_profile: RetryProfile
    signature_profile: SignatureProfile
    sink: SinkKind


def event_groups() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Event types with their meaning, by what they are about."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for word in VOCABULARY.values():
        if word.webhook is None:
            continue
        group = "operational" if word.webhook.is_operational else word.webhook.partition(".")[0]
        groups.setdefault(group, []).append((word.webhook.value, word.meaning))
    return tuple((group, tuple(rows)) for group, rows in groups.items())


def shown_values(endpoint: Endpoint | None) -> dict[str, str]:
    """What the form shows before anybody has typed."""
    values = dict.fromkeys((*_PLAIN, *_SECRETS, *_OAUTH, "retry_schedule", "rate_per_second", "filter"), "")
    values |= {"headers": "", "sensitive_headers": "", "all_events": "yes"} | _DEFAULTS
    if endpoint is None:
        return values
    values |= {name: str(getattr(endpoint, name)) for name in (*_PLAIN, *_CHOICES, *_NUMBERS)}
    values["retry_schedule"] = ", ".join(map(str, endpoint.retry_schedule))
    values["rate_per_second"] = "" if endpoint.rate_per_second is None else f"{endpoint.rate_per_second:g}"
    if endpoint.filter is not None:
        values["filter"] = msgspec.json.format(msgspec.json.encode(endpoint.filter), indent=2).decode()
    values["headers"] = "\n".join(f"{name}: {value}" for name, value in endpoint.headers.items())
    values["all_events"] = "" if endpoint.events else "yes"
    if endpoint.oauth is not None:
        values |= {name: getattr(endpoint.oauth, name) for name in _OAUTH}
    return values


def typed_values(form: Mapping[str, str]) -> dict[str, str]:
    """What somebody has typed, to be shown again; secrets are to be typed again."""
    kept = {name: value for name, value in form.items() if name in shown_values(None)}
    return (
        shown_values(None) | {"all_events": ""} | kept | dict.fromkeys((*_SECRETS, "sensitive_headers"), "")
    )


def ticked_events(form: Mapping[str, str]) -> frozenset[str]:
    return frozenset(name.removeprefix(_EVENT) for name in form if name.startswith(_EVENT))


def read_filter(form: Mapping[str, str]) -> dict[str, Any] | None:
    """Raises ValidationFailed. What the filter says is vetted by the use case."""
    text = form.get("filter", "").strip()
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        finding = Finding("/filter", f"This is no JSON object: {error}")
        raise ValidationFailed("The filter cannot be read.", (finding,)) from error


def read_new(form: Mapping[str, str]) -> NewEndpoint:
    """Raises ValidationFailed with everything that cannot be read."""
    given = _read(form, None)
    own = form.get("secret", "").strip()
    given |= {"active": True, "secret": Secret(own) if own else None}
    return _convert(given, NewEndpoint)


def read_change(form: Mapping[str, str], before: Endpoint) -> EndpointChange:
    """What the form says of everything that it shows. Raises ValidationFailed."""
    given = _read(form, before)
    for name in _SECRETS:
        if given[name] is None:
            given[name] = UNSET
    if not form.get("client_certificate", "").strip() and before.client_certificate:
        given |= {"client_certificate": None, "client_key": None}
    if given["oauth"] is None and before.oauth is not None:
        given["oauth_secret"] = None
    for name in ("alert_email", "server_ca"):
        given[name] = given[name] or None
    if given["sink"] == "http":
        given |= {"sink_target": None, "sink_secret": None}
    given["headers"] = dict.fromkeys(before.headers) | given["headers"]
    return _convert(given, EndpointChange)


def _read(form: Mapping[str, str], before: Endpoint | None) -> dict[str, Any]:
    findings: list[Finding] = []
    given: dict[str, Any] = {name: form.get(name, "").strip() for name in (*_PLAIN, *_CHOICES)}
    given["events"] = _events(form, findings)
    for name in _NUMBERS:
        given[name] = _number(form, name, int, findings)
    given["rate_per_second"] = _number(form, "rate_per_second", float, findings)
    given["retry_schedule"] = _schedule(form, findings) if given["retry_profile"] == "custom" else ()
    try:
        given["filter"] = read_filter(form)
    except ValidationFailed as error:
        findings.extend(error.findings)
    given["headers"] = _header_lines(form, "headers", findings)
    secret = _header_lines(form, "sensitive_headers", findings)
    forgotten = dict.fromkeys(name for name in _names(before) if form.get(_FORGET + name))
    given["sensitive_headers"] = forgotten | {name: Secret(value) for name, value in secret.items()}
    for name in _SECRETS:
        typed = form.get(name, "").strip()
        given[name] = Secret(typed) if typed else None
    oauth = {name: form.get(name, "").strip() for name in _OAUTH}
    given["oauth"] = OAuth(**oauth) if any(oauth.values()) else None
    if findings:
        raise ValidationFailed("Some fields cannot be read.", tuple(findings))
    return given


def _names(before: Endpoint | None) -> tuple[str, ...]:
    return before.sensitive_header_names if before is not None else ()


def _events(form: Mapping[str, str], findings: list[Finding]) -> tuple[str, ...]:
    if form.get("all_events"):
        return ()
    ticked = tuple(one.value for one in Announced if _EVENT + one.value in form)
    if not ticked:
        findings.append(Finding("/events", "Nothing is ticked.", "Tick an event, or take all of them."))
    return ticked


def _number(
    form: Mapping[str, str], name: str, kind: type[int] | type[float], findings: list[Finding]
) -> int | float | None:
    text = form.get(name, "").strip().replace(",", ".")
    if not text and name in _NUMBERS:
        findings.append(Finding(f"/{name}", "It is empty.", f"The usual number is {_DEFAULTS[name]}."))
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        findings.append(Finding(f"/{name}", "This is no number."))
        return None


def _schedule(form: Mapping[str, str], findings: list[Finding]) -> tuple[int, ...]:
    parts = [part for part in re.split(r"[\s,;]+", form.get("retry_schedule", "")) if part]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        findings.append(Finding("/retry_schedule", "Write whole seconds, with commas between them."))
        return ()
    return tuple(int(part) for part in parts)


def _header_lines(form: Mapping[str, str], field: str, findings: list[Finding]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, line in enumerate(form.get(field, "").splitlines(), start=1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not name.strip():
            findings.append(Finding(f"/{field}", f"Line {number} is not 'Name: value'."))
            continue
        headers[name.strip()] = value.strip()
    return headers


def _convert(given: Mapping[str, Any], kind: type[_T]) -> _T:
    """Choices become their enumerations. Raises ValidationFailed for a choice that no form of ours offers."""
    known = {name: value for name, value in given.items() if name in kind.__struct_fields__}  # type: ignore[attr-defined]  # both are structs
    try:
        choices = msgspec.convert({name: known[name] for name in _CHOICES}, type=_Choices)
    except msgspec.ValidationError as error:
        raise ValidationFailed(
            "A choice is not one of those offered.", (Finding("/", str(error)),)
        ) from error
    return kind(**known | msgspec.structs.asdict(choices))
