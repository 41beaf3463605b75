"""What the inbox shows over HTTP, and what it is given."""

from datetime import datetime
from typing import Annotated, Any

import msgspec

from gateway.envelopes.compare_event import ACCEPTABLE
from normalizer.errors import Finding, ValidationFailed
from normalizer.ids import Kind, print_id, print_optional_id, read_id
from normalizer.moments import vet_moment
from webhooks.inbound.message import Difference, MessageState, Verification
from webhooks.inbound.read import Message, MessageFilter
from webhooks.inbound.replay import REPLAYABLE, ReplayFilter
from webhooks.inbound.summary import TROUBLE, ConnectionCount, Consequence, Refusal, StateCount

_TROUBLE = "trouble"
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """`explanation` says in words where it is and why. `duplicates`: how often the same bytes came again."""

    id: str
    connection_id: str
    provider: str
    state: MessageState
    explanation: str
    received_at: datetime
    last_received_at: datetime
    finished_at: datetime | None
    next_at: datetime | None
    body_sha256: str
    body_bytes: int
    duplicates: int
    replays: int
    provider_ref: str
    provider_event: str
    envelope_id: str | None
    events: int
    effects: int
    findings: tuple[Difference, ...]
    verdict: Verification
    verified_at: datetime | None
    released_at: datetime | None


class MessageDetail(MessageView, frozen=True, kw_only=True):
    """`consequences`: the entries in the envelope's ledger that the message caused."""

    consequences: tuple[Consequence, ...]


class ConnectionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`refused`: posts that were not authentic or not allowed, in the asked time."""

    connection_id: str
    states: tuple[StateCount, ...]
    refused: int


class InboxSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Trouble (parked, unprocessable, dead, quarantined) of any age, everything else since then."""

    since: datetime
    connections: tuple[ConnectionSummary, ...]


class RefusalView(msgspec.Struct, frozen=True, kw_only=True):
    """`source` is a network (/24 or /48), never an address; `connection_id` null: the path led to none."""

    connection_id: str | None
    minute: datetime
    reason: str
    source: str
    refused: int


class ReplayInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which messages; `since` and `until` are times of receipt."""

    states: tuple[MessageState, ...] = (MessageState.PARKED, MessageState.UNPROCESSABLE, MessageState.DEAD)
    connection_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class ReplayedMessagesView(msgspec.Struct, frozen=True):
    """`is_complete` false: more are left; ask again."""

    messages: tuple[str, ...]
    is_complete: bool


class ReleaseInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`accept`: codes of differences that shall hold back no further message about this envelope."""

    reason: Reason
    accept: tuple[str, ...] = ()


class DropInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


def view_message(one: Message) -> MessageView:
    return MessageView(**_columns(one))


def view_detail(one: Message, consequences: list[Consequence]) -> MessageDetail:
    return MessageDetail(**_columns(one), consequences=tuple(consequences))


def view_summary(since: datetime, counts: list[ConnectionCount]) -> InboxSummary:
    return InboxSummary(
        since=since,
        connections=tuple(
            ConnectionSummary(
                connection_id=print_id(Kind.CONNECTION, one.connection_id),
                states=one.states,
                refused=one.refused,
            )
            for one in counts
        ),
    )


def view_refusal(one: Refusal) -> RefusalView:
    return RefusalView(
        connection_id=print_optional_id(Kind.CONNECTION, one.connection_id),
        minute=one.minute,
        reason=one.reason,
        source=one.source,
        refused=one.refused,
    )


def filter_of(state: str, connection_id: str, provider_ref: str, before: str, limit: int) -> MessageFilter:
    """Raises ValidationFailed for a state that is none, NotFound for an id of another kind."""
    return MessageFilter(
        states=_states(state),
        connection_id=read_id(Kind.CONNECTION, connection_id) if connection_id else None,
        provider_ref=provider_ref,
        before=read_id(Kind.MESSAGE, before) if before else None,
        limit=limit,
    )


def replay_filter_of(given: ReplayInput) -> ReplayFilter:
    """Raises ValidationFailed for a state that cannot be replayed."""
    wrong = [state for state in given.states if state not in REPLAYABLE]
    if wrong or not given.states:
        known = ", ".join(REPLAYABLE)
        finding = Finding("/states", f"One or more of: {known}.")
        raise ValidationFailed("Messages in this state cannot be replayed.", (finding,))
    findings = (*vet_moment("/since", given.since), *vet_moment("/until", given.until))
    if findings:
        raise ValidationFailed("There are no messages of such a time.", findings)
    return ReplayFilter(
        states=given.states,
        connection_id=read_id(Kind.CONNECTION, given.connection_id) if given.connection_id else None,
        since=given.since,
        until=given.until,
    )


def acceptable_of(given: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValidationFailed for a difference that nobody can accept."""
    wrong = sorted(set(given) - set(ACCEPTABLE))
    if wrong:
        finding = Finding("/accept", f"Only these can be accepted: {', '.join(ACCEPTABLE)}.")
        raise ValidationFailed("This difference cannot be accepted.", (finding,))
    return given


def _states(state: str) -> tuple[MessageState, ...]:
    if not state:
        return ()
    if state == _TROUBLE:
        return TROUBLE
    try:
        return (MessageState(state),)
    except ValueError as error:
        known = ", ".join([_TROUBLE, *MessageState])
        raise ValidationFailed(
            "There is no such state.", (Finding("?state", f"One of: {known}."),)
        ) from error


def _columns(one: Message) -> dict[str, Any]:
    return {
        **{name: getattr(one, name) for name in _SAME},
        "id": print_id(Kind.MESSAGE, one.id),
        "connection_id": print_id(Kind.CONNECTION, one.connection_id),
        "envelope_id": print_optional_id(Kind.ENVELOPE, one.envelope_id),
        "explanation": one.explanation,
    }


_SAME = tuple(
    name
    for name in MessageView.__struct_fields__
    if name not in {"id", "connection_id", "envelope_id", "explanation"}
)
