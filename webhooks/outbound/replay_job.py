"""A replay as a job: which deliveries it takes back, how fast, and how far it is.

What is replayed keeps its bytes, its id and its sequence. Must never select what still goes out by itself: a
delivery that waits, is under way or is held is not taken.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from normalizer.canonical import Json
from normalizer.errors import Finding, ValidationFailed
from normalizer.events import Actor
from normalizer.ids import Kind, print_id
from normalizer.moments import vet_moment
from webhooks.outbound.event_names import find_unknown_types
from webhooks.outbound.read import DeliveryState

MOST_RANGES = 10_000
MOST_SEQUENCE = 2**53 - 1  # what JSON tells exactly, and so the ledger too
SLOWEST, FASTEST = 0.1, 1000.0
REPLAYABLE = (DeliveryState.EXHAUSTED, DeliveryState.SUCCEEDED)


class ReplayState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


OPEN = (ReplayState.RUNNING, ReplayState.PAUSED)


class ReplayCriteria(msgspec.Struct, frozen=True, kw_only=True):
    """What is left empty does not narrow. `endpoint_id` None: every endpoint that is switched on. Times are
    those at which deliveries were made, the first included, the second not. `sequences`: first and last, both
    included. `rate_per_second` None: as fast as the endpoints take it.
    """

    endpoint_id: UUID | None
    states: tuple[DeliveryState, ...] = (DeliveryState.EXHAUSTED,)
    event_types: tuple[str, ...] = ()
    envelope_id: UUID | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    sequences: tuple[tuple[int, int], ...] = ()
    rate_per_second: float | None = None


class ReplayJob(msgspec.Struct, frozen=True, kw_only=True):
    """`selected` was counted when it was asked for; `requeued` counts what was taken back since. `reason`: why
    it stands or has ended, where nobody asked for that.
    """

    tenant_id: UUID
    id: UUID
    criteria: ReplayCriteria
    state: ReplayState
    reason: str
    selected: int
    requeued: int
    actor: Actor
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class ReplayProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How the deliveries that were taken back stand now. `waiting`: not yet delivered again, or on the way."""

    delivered: int
    failed: int
    waiting: int
    cancelled: int


class Selected(msgspec.Struct, frozen=True):
    """What a replay would take back. `off`: deliveries left out because their endpoints are switched off."""

    total: int
    by_state: dict[str, int]
    by_type: dict[str, int]
    off: int


def vet_criteria(wanted: ReplayCriteria) -> None:
    """Raises ValidationFailed with everything that is wrong."""
    findings = [
        *_states(wanted),
        *find_unknown_types(wanted.event_types, "/event_types"),
        *_times(wanted),
        *_ranges(wanted),
    ]
    rate = wanted.rate_per_second
    if rate is not None and not SLOWEST <= rate <= FASTEST:
        findings.append(
            Finding("/rate_per_second", f"between {SLOWEST:g} and {FASTEST:g}", "Leave it out for no limit.")
        )
    if findings:
        raise ValidationFailed("This replay is not possible.", tuple(findings))


def _states(wanted: ReplayCriteria) -> list[Finding]:
    if not wanted.states:
        return [Finding("/states", "No state is named.", "Name exhausted, succeeded or both.")]
    return [
        Finding(
            f"/states/{place}",
            f"What is {state} goes out by itself or cannot be sent again.",
            "Name exhausted, succeeded or both.",
        )
        for place, state in enumerate(wanted.states)
        if state not in REPLAYABLE
    ]


def _times(wanted: ReplayCriteria) -> list[Finding]:
    begin, end = wanted.created_from, wanted.created_before
    findings = [*vet_moment("/from", begin), *vet_moment("/to", end)]
    if not findings and begin is not None and end is not None and begin >= end:
        return [Finding("/to", "It is not after /from.")]
    return findings


def _ranges(wanted: ReplayCriteria) -> list[Finding]:
    if wanted.sequences and wanted.endpoint_id is None:
        return [Finding("/sequences", "Sequences are an endpoint's own.", "Name the endpoint_id.")]
    return vet_ranges(wanted.sequences, "/sequences")


def vet_ranges(ranges: tuple[tuple[int, int], ...], where: str) -> list[Finding]:
    if len(ranges) > MOST_RANGES:
        return [Finding(where, f"At most {MOST_RANGES} ranges.", "Ask in parts.")]
    return [
        Finding(f"{where}/{place}", f"A range is [first, last] with 1 <= first <= last <= {MOST_SEQUENCE}.")
        for place, (first, last) in enumerate(ranges)
        if not 1 <= first <= last <= MOST_SEQUENCE
    ]


def criteria_facts(wanted: ReplayCriteria) -> dict[str, Json]:
    """What was asked for, as the ledger keeps it: no floats, and of many ranges their number."""
    facts: dict[str, Json] = {
        "endpoint_id": "all" if wanted.endpoint_id is None else print_id(Kind.ENDPOINT, wanted.endpoint_id),
        "states": tuple(state.value for state in wanted.states),
    }
    if wanted.event_types:
        facts["event_types"] = wanted.event_types
    if wanted.envelope_id is not None:
        facts["envelope_id"] = print_id(Kind.ENVELOPE, wanted.envelope_id)
    for name, time in (("from", wanted.created_from), ("to", wanted.created_before)):
        if time is not None:
            facts[name] = time.isoformat()
    if wanted.sequences:
        facts["sequence_ranges"] = len(wanted.sequences)
        facts["sequences"] = wanted.sequences[:100]
    if wanted.rate_per_second is not None:
        facts["rate_per_second"] = f"{wanted.rate_per_second:g}"
    return facts
