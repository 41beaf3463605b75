"""What becomes of a message that was looked at: its next state, when it is looked at again, and why, in words.

Pure. Must never put a payload or personal data into the reason: it is shown and logged.
"""

from collections.abc import Sequence

from normalizer.errors import PayloadMalformed
from normalizer.events import ProviderEvent
from webhooks.inbound.message import ClaimedMessage, MessageState, Settled
from webhooks.inbound.ports import Effect

_NOTHING_TO_DO = "The message is of a kind that changes nothing here."


def settle_tried(
    message: ClaimedMessage,
    events: Sequence[ProviderEvent],
    effects: Sequence[Effect],
    wait_delays_s: Sequence[float],
) -> Settled:
    """Done when every event is; else the first that is not decides."""
    # A fact that was seen may have been this message's own, before its worker was lost: it counts too.
    applied = message.effects + sum(effect in {Effect.APPLIED, Effect.ALREADY_SEEN} for effect in effects)
    for event, effect in zip(events, effects, strict=True):
        if effect is Effect.UNMATCHED:
            return _parked(message, event, len(events), applied, wait_delays_s)
        if effect is Effect.UNCONFIRMED:
            return _unconfirmed(message, event, len(events), applied, wait_delays_s)
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
        error=f"The end that it tells must be confirmed, and the provider did not answer; asked {waits} times.",
        provider_ref=event.provider_ref,
        provider_event=event.provider_event,
        events=count,
        effects=applied,
    )
