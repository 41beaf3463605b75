"""What an endpoint may be: vetted at registration and at every change, before anything is stored."""

from collections.abc import Sequence

from yarl import URL

from normalizer.canonical import Json
from normalizer.errors import Finding, ValidationFailed
from normalizer.vocabulary import EventType
from webhooks.outbound.endpoint import Endpoint, EndpointChange
from webhooks.outbound.schedule import vet_custom_delays

LONGEST_DESCRIPTION = 500


def vet_events(events: Sequence[str]) -> tuple[str, ...]:
    """The types in the order given, each once. `*` alone, or nothing, means all."""
    if tuple(events) in {(), ("*",)}:
        return ()
    known = {str(type_) for type_ in EventType}
    unknown = [
        Finding(f"/events/{place}", f"{event[:60]!r} is no event type", "See the list of event types.")
        for place, event in enumerate(events)
        if event not in known
    ]
    if unknown:
        raise ValidationFailed("The event filter names unknown types.", tuple(unknown))
    return tuple(dict.fromkeys(events))


def vet_limits(*, description: str, timeout_seconds: int, max_in_flight: int) -> None:
    findings = []
    if len(description) > LONGEST_DESCRIPTION or "\0" in description:
        findings.append(Finding("/description", f"at most {LONGEST_DESCRIPTION} characters, no zero byte"))
    if not 1 <= timeout_seconds <= 60:
        findings.append(Finding("/timeout_seconds", "between 1 and 60 seconds"))
    if not 1 <= max_in_flight <= 256:
        findings.append(Finding("/max_in_flight", "between 1 and 256"))
    if findings:
        raise ValidationFailed("The endpoint's limits are not possible.", tuple(findings))


def changed_columns(before: Endpoint, change: EndpointChange, url: str | None) -> dict[str, object]:
    """The columns that really change, vetted."""
    profile = before.retry_profile if change.retry_profile is None else change.retry_profile
    wanted: dict[str, object] = {"url": url}
    if change.retry_profile is not None or change.retry_schedule is not None:
        given = before.retry_schedule if change.retry_schedule is None else change.retry_schedule
        if (
            change.retry_profile is not None
            and change.retry_schedule is None
            and profile != before.retry_profile
        ):
            given = ()
        wanted["retry_profile"] = profile
        wanted["retry_schedule"] = vet_custom_delays(profile, given)
    if change.events is not None:
        wanted["events"] = vet_events(change.events)
    for name in ("description", "active", "timeout_seconds", "signature_profile", "max_in_flight"):
        wanted[name] = getattr(change, name)
    vet_limits(
        description=before.description if change.description is None else change.description,
        timeout_seconds=change.timeout_seconds or before.timeout_seconds,
        max_in_flight=change.max_in_flight or before.max_in_flight,
    )
    columns = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in wanted.items()
        if value is not None and value != getattr(before, name)
    }
    if columns.get("active") is True:
        columns["disabled_reason"] = ""
    return columns


def facts_of(endpoint: Endpoint) -> dict[str, Json]:
    """The configuration as it is now. The URL's path and query may hold a token: only the origin is told."""
    return {
        "origin": str(URL(endpoint.url).origin()),
        "events": endpoint.events,
        "active": endpoint.active,
        "retry_profile": endpoint.retry_profile.value,
        "signature_profile": endpoint.signature_profile.value,
    }
