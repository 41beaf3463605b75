"""A form as the criteria of a replay. Must never widen what the session may see: `only` stands above the form."""

import datetime as dt
from collections.abc import Mapping
from uuid import UUID

from normalizer.errors import Finding, NotFound, ValidationFailed
from normalizer.ids import Kind, read_id
from webhooks.outbound.read import DeliveryState
from webhooks.outbound.replay_job import ReplayCriteria

NAMES = ("endpoint", "exhausted", "succeeded", "type", "envelope", "from", "to", "rate_per_second")


def shown_criteria() -> dict[str, str]:
    return dict.fromkeys(NAMES, "")


def read_criteria(form: Mapping[str, str], *, only: UUID | None) -> ReplayCriteria:
    """Raises ValidationFailed with everything that cannot be read."""
    findings: list[Finding] = []
    endpoint_id = only or _id(form, "endpoint", Kind.ENDPOINT, findings)
    states = tuple(one for one in (DeliveryState.EXHAUSTED, DeliveryState.SUCCEEDED) if form.get(one.value))
    rate_text = form.get("rate_per_second", "").strip().replace(",", ".")
    rate = None
    try:
        rate = float(rate_text) if rate_text else None
    except ValueError:
        findings.append(Finding("/rate_per_second", "This is no number."))
    wanted = ReplayCriteria(
        endpoint_id=endpoint_id,
        states=states,
        event_types=(form["type"],) if form.get("type") else (),
        envelope_id=_id(form, "envelope", Kind.ENVELOPE, findings),
        created_from=_time(form, "from", findings),
        created_before=_time(form, "to", findings),
        rate_per_second=rate,
    )
    if findings:
        raise ValidationFailed("Some fields cannot be read.", tuple(findings))
    return wanted


def _id(form: Mapping[str, str], name: str, kind: Kind, findings: list[Finding]) -> UUID | None:
    text = form.get(name, "").strip()
    try:
        return read_id(kind, text) if text else None
    except NotFound:
        findings.append(Finding(f"/{name}", f"This is no id of an {name}.", f"Ids begin with {kind}_."))
        return None


def _time(form: Mapping[str, str], name: str, findings: list[Finding]) -> dt.datetime | None:
    """A browser's datetime-local, which the form says is UTC; somebody without one may have typed an offset."""
    text = form.get(name, "").strip()
    try:
        time = dt.datetime.fromisoformat(text) if text else None
        return time.replace(tzinfo=dt.UTC) if time is not None and time.tzinfo is None else time
    except ValueError:
        findings.append(Finding(f"/{name}", "This is no date and time.", "Write 2026-11-22T10:00."))
        return None
