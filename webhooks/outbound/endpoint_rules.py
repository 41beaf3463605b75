"""What an endpoint may be: vetted at registration and at every change, before anything is stored.

A change is laid over what is there and the whole is vetted, so that no order of changes reaches what a registration
would refuse. Secrets are in endpoint_secrets.py; addresses are looked up by whoever calls.
"""

import re
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET
from yarl import URL

from normalizer.canonical import Json
from normalizer.errors import Finding, ValidationFailed
from webhooks.outbound.client_certificate import vet_server_ca
from webhooks.outbound.endpoint import (
    Configuration,
    Endpoint,
    EndpointChange,
    NewEndpoint,
    OAuth,
)
from webhooks.outbound.event_names import find_unknown_types
from webhooks.outbound.filters import vet_filter
from webhooks.outbound.headers import merge_headers
from webhooks.outbound.schedule import vet_custom_delays
from webhooks.outbound.sinks.target import SinkKind, read_target

LONGEST_DESCRIPTION = 500
SLOWEST, FASTEST = 0.1, 1000.0
_LONGEST_OAUTH = {"token_url": 2048, "client_id": 255, "scope": 1000, "audience": 500}
# One mailbox, and nothing that could add a header or a second one.
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}")
_LONGEST_MAIL = 254
_in_order = msgspec.json.Encoder(order="sorted")


def vet_events(events: Sequence[str]) -> tuple[str, ...]:
    """The types in the order given, each once. `*` alone, or nothing, means all."""
    if tuple(events) in {(), ("*",)}:
        return ()
    unknown = find_unknown_types(events, "/events")
    if unknown:
        raise ValidationFailed("The event filter names unknown types.", tuple(unknown))
    return tuple(dict.fromkeys(events))


def configuration_of(source: Endpoint | NewEndpoint) -> Configuration:
    return Configuration(**{name: getattr(source, name) for name in Configuration.__struct_fields__})


def lay_over(before: Configuration, change: EndpointChange) -> Configuration:
    """What the change asks for; not vetted yet."""
    wanted: dict[str, object] = {}
    for name in Configuration.__struct_fields__:
        given = getattr(change, name)
        if name in _CLEARED:
            if given is not UNSET:
                wanted[name] = _CLEARED[name] if given is None else given
        elif given is not None:
            wanted[name] = given
    if change.headers is not UNSET:
        wanted["headers"] = merge_headers(before.headers, change.headers)
    new_profile = wanted.get("retry_profile", before.retry_profile) != before.retry_profile
    if new_profile and "retry_schedule" not in wanted:
        wanted["retry_schedule"] = ()
    if wanted.get("sink") is SinkKind.HTTP and "sink_target" not in wanted:
        wanted["sink_target"] = ""
    if "client_certificate" not in wanted and change.client_key is None:
        wanted["client_certificate"] = ""
    return msgspec.structs.replace(before, **wanted)


def vet_configuration(wanted: Configuration, before: Configuration | None = None) -> Configuration:
    """In the form in which it is stored; the URL is vetted by whoever looks its host up. Raises ValidationFailed.

    A certificate is vetted when it changes only: one that expired since must not keep an endpoint from being
    switched off.
    """
    _vet_limits(wanted)
    if wanted.filter is not None:
        vet_filter(wanted.filter)
    read_target(wanted.sink, wanted.sink_target)
    if wanted.oauth is not None:
        _vet_oauth(wanted.oauth, wanted.sink)
    if wanted.server_ca and (before is None or wanted.server_ca != before.server_ca):
        vet_server_ca(wanted.server_ca)
    return msgspec.structs.replace(
        wanted,
        events=vet_events(wanted.events),
        retry_schedule=vet_custom_delays(wanted.retry_profile, wanted.retry_schedule),
        rate_per_second=None if wanted.rate_per_second is None else round(wanted.rate_per_second, 3),
    )


def changed_columns(before: Configuration, after: Configuration) -> dict[str, object]:
    """The columns that really change."""
    columns = {
        name: getattr(after, name)
        for name in Configuration.__struct_fields__
        if _differ(getattr(before, name), getattr(after, name))
    }
    if columns.get("active") is True:
        columns["disabled_reason"] = ""
    return columns


def _differ(before: object, after: object) -> bool:
    """In a filter true is not 1, whatever Python says."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return _in_order.encode(before) != _in_order.encode(after)
    return before != after


def facts_of(endpoint: Endpoint) -> dict[str, Json]:
    """The configuration as it is now. A URL's path and query may hold a token and a filter a person's name: of
    addresses only the origin is told, of the rest that it is there.
    """
    facts: dict[str, Json] = {
        "origin": str(URL(endpoint.url).origin()),
        "events": endpoint.events,
        "active": endpoint.active,
        "retry_profile": endpoint.retry_profile.value,
        "signature_profile": endpoint.signature_profile.value,
        "payload": endpoint.payload.value,
        "ordering": endpoint.ordering.value,
        "sink": endpoint.sink.value,
        "filtered": endpoint.filter is not None,
        "headers": tuple(sorted((*endpoint.headers, *endpoint.sensitive_header_names))),
        "client_certificate": bool(endpoint.client_certificate),
    }
    if endpoint.rate_per_second is not None:
        facts["rate_per_second"] = f"{endpoint.rate_per_second:g}"
    if endpoint.oauth is not None:
        facts["token_origin"] = str(URL(endpoint.oauth.token_url).origin())
    return facts


def _vet_limits(wanted: Configuration) -> None:
    findings = []
    if len(wanted.description) > LONGEST_DESCRIPTION or "\0" in wanted.description:
        findings.append(Finding("/description", f"at most {LONGEST_DESCRIPTION} characters, no zero byte"))
    if not 1 <= wanted.timeout_seconds <= 60:
        findings.append(Finding("/timeout_seconds", "between 1 and 60 seconds"))
    if not 1 <= wanted.max_in_flight <= 256:
        findings.append(Finding("/max_in_flight", "between 1 and 256"))
    rate = wanted.rate_per_second
    if rate is not None and not SLOWEST <= rate <= FASTEST:
        findings.append(
            Finding("/rate_per_second", f"between {SLOWEST} and {FASTEST:g}", "null takes the limit away.")
        )
    if wanted.alert_email and (
        len(wanted.alert_email) > _LONGEST_MAIL or not _MAIL.fullmatch(wanted.alert_email)
    ):
        findings.append(Finding("/alert_email", "this is no e-mail address", "Give one address, name@host."))
    if findings:
        raise ValidationFailed("The endpoint's limits are not possible.", tuple(findings))


def _vet_oauth(oauth: OAuth, sink: SinkKind) -> None:
    findings = []
    if sink is not SinkKind.HTTP:
        findings.append(Finding("/oauth", "only HTTP endpoints take an access token", "Leave oauth out."))
    for name, longest in _LONGEST_OAUTH.items():
        text = str(getattr(oauth, name))
        if len(text) > longest or not text.isascii() or not (text.isprintable() or not text):
            findings.append(Finding(f"/oauth/{name}", f"printable ASCII of at most {longest} characters"))
    if not oauth.client_id:
        findings.append(Finding("/oauth/client_id", "it is empty", "Give the client's id."))
    if findings:
        raise ValidationFailed("The endpoint cannot get an access token so.", tuple(findings))


# What null means where it clears. headers are merged.
_CLEARED: dict[str, object] = {
    "filter": None,
    "headers": {},
    "rate_per_second": None,
    "alert_email": "",
    "client_certificate": "",
    "server_ca": "",
    "oauth": None,
    "sink_target": "",
}
