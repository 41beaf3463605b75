"""What becomes of a message that was looked at: its next state, when it is looked at again, and why, in words.

Pure. Must never put a payload or personal data into the reason: it is shown and logged.
"""

from collections.abc import Sequence

from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent
from webhooks.inbound.message import ClaimedMessage, MessageState, Settled
from webhooks.inbound.ports import Effect, Happened

_EXPLICABLE = frozenset({"recipient_unknown", "recipient_missing"})
_LOOKS_AT_PEOPLE = 2  # beside the first
_NOTHING_TO_DO = "The message is of a kind that changes nothing here."


def settle_tried(
    message: ClaimedMessage,
    events: Sequence[ProviderEvent],
    happened: Sequence[Happened],
    wait_delays_s: Sequence[float],
) -> Settled:
    """Done when every event is; else the first that is not decides."""
    effects = [one.effect for one in happened]
    envelope_id = next((one.envelope_id for one in happened if one.envelope_id is not None), None)
    # A fact that was seen may have been this message's own, before its worker was lost: it counts too.
    applied = message.effects + sum(effect in {Effect.APPLIED, Effect.ALREADY_SEEN} for effect in effects)
    for event, one in zip(events, happened, strict=True):
        if one.effect is Effect.UNMATCHED:
            return _parked(message, event, len(events), applied, wait_delays_s)
        if one.effect is Effect.UNCONFIRMED:
            return _unconfirmed(message, event, one, len(events), applied, wait_delays_s)
        if one.effect is Effect.QUARANTINED:
            return _quarantined(message, event, one, len(events), applied, wait_delays_s)
    return Settled(
        message=message,
        state=MessageState.DONE,
        failures=message.failures,
        waits=message.waits,
        error="" if events else _NOTHING_TO_DO,
        provider_ref=events[0].provider_ref if events else "",
        provider_event=events[0].provider_event if events else "",
        events=len(events),
        effects=applied,
        envelope_id=envelope_id,
    )


def settle_failed(
    message: ClaimedMessage,
    error: Exception,
    retry_delays_s: Sequence[float],
    events: Sequence[ProviderEvent] = (),
) -> Settled:
    """Tried again by the delays, then a dead letter that a person may replay."""
    failures = message.failures + 1
    is_dead = failures > len(retry_delays_s)
    return Settled(
        message=message,
        state=MessageState.DEAD if is_dead else MessageState.RECEIVED,
        delay_s=None if is_dead else retry_delays_s[failures - 1],
        failures=failures,
        waits=message.waits,
        # The type alone: an exception's text may quote the message.
        error=f"Processing failed {failures} times; the last time with {type(error).__name__}.",
        provider_ref=events[0].provider_ref if events else "",
        provider_event=events[0].provider_event if events else "",
        events=len(events),
        effects=message.effects,
    )


def settle_lost(message: ClaimedMessage) -> Settled:
    """The workers that took it were lost, time and again: it is not given to another."""
    return Settled(
        message=message,
        state=MessageState.DEAD,
        failures=message.failures,
        waits=message.waits,
        error=f"{message.error} That happened {message.failures} times.",
        events=message.events,
        effects=message.effects,
    )


def settle_unprocessable(message: ClaimedMessage, error: PayloadMalformed) -> Settled:
    return Settled(
        message=message,
        state=MessageState.UNPROCESSABLE,
        failures=message.failures,
        waits=message.waits,
        error=f"{error.detail} {error.remedy}".strip()[:500],
    )


def _parked(
    message: ClaimedMessage,
    event: ProviderEvent,
    count: int,
    applied: int,
    delays_s: Sequence[float],
) -> Settled:
    """Looked for by the delays, then kept: it is due again when an envelope learns this id."""
    waits = message.waits + 1
    return Settled(
        message=message,
        state=MessageState.PARKED,
        delay_s=delays_s[waits - 1] if waits <= len(delays_s) else None,
        failures=message.failures,
        waits=waits,
        error=f"No envelope of this connection is known under the provider's id; looked {waits} times.",
        provider_ref=event.provider_ref,
        provider_event=event.provider_event,
        events=count,
        effects=applied,
    )


def _unconfirmed(
    message: ClaimedMessage,
    event: ProviderEvent,
    happened: Happened,
    count: int,
    applied: int,
    delays_s: Sequence[float],
) -> Settled:
    """Asked for again without end: the provider is away, and the message is as true as it was."""
    waits = message.waits + 1
    return Settled(
        message=message,
        state=MessageState.RECEIVED,
        delay_s=delays_s[min(waits, len(delays_s)) - 1] if delays_s else 60.0,
        failures=message.failures,
        waits=waits,
        error="What it tells must be confirmed by the provider, which gave no answer or may not be asked yet;"
        f" asked {waits} times.",
        provider_ref=event.provider_ref,
        provider_event=event.provider_event,
        events=count,
        effects=applied,
        envelope_id=happened.envelope_id,
    )


def _quarantined(
    message: ClaimedMessage,
    event: ProviderEvent,
    happened: Happened,
    count: int,
    applied: int,
    delays_s: Sequence[float],
) -> Settled:
    """A person decides: nothing takes it up by itself. Other people than were sent to may be explained by a message of
    a handover that comes later than this one: for that it is looked at again first.
    """
    may_fit = _EXPLICABLE.issuperset(one.code for one in happened.differences)
    is_waiting = may_fit and message.waits < min(_LOOKS_AT_PEOPLE, len(delays_s))
    return Settled(
        message=message,
        state=MessageState.RECEIVED if is_waiting else MessageState.QUARANTINED,
        delay_s=delays_s[message.waits] if is_waiting else None,
        failures=message.failures,
        waits=message.waits + is_waiting,
        error=" ".join(one.problem for one in happened.differences),
        provider_ref=event.provider_ref,
        provider_event=event.provider_event,
        events=count,
        effects=applied,
        envelope_id=happened.envelope_id,
        findings=happened.differences,
    )
