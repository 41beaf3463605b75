"""Why something has not arrived: sentences by name, with what fills them, so that pages can say them in any language.

English stands here, because the API speaks it; other languages are the pages' (gateway/console/locales). What an
endpoint, a library or a filter says for itself goes into a sentence as it is. Must never hold a secret, a URL or what
a body holds.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

ORDER_HELD: Final = "order_held"  # the one reason for which what is pending does not go out by itself
ENGLISH: Final[Mapping[str, str]] = {
    # one delivery: what is over
    "answered": "The endpoint answered {status}.",
    "took": "The endpoint took it.",
    "sending": "A deliverer is sending it now.",
    "given_up_once": "It was given up after one attempt and is kept: replay it.",
    "given_up": "It was given up after {attempts} attempts and is kept: replay it.",
    "given_up_deleted": (
        "It was given up, and its endpoint was deleted since: it cannot be sent again. The feed of events has it."
    ),
    "switch_on_first": "Its endpoint is switched off: switch it on first.",
    "endpoint_deleted": "Its endpoint was deleted before it could be delivered.",
    "held_by_tenant": "Its endpoint is switched off (by its tenant); switching it on releases it.",
    "held": "Its endpoint is switched off ({why}); switching it on releases it.",
    # one delivery: what it waits for
    "not_sendable": "It cannot be sent: {why}. Correct the endpoint.",
    "certificate_ended": "The endpoint's client certificate expired at {ended_at}: give it a valid one.",
    "breaker_open": (
        "The endpoint has failed {failures} times in a row and is left in peace until {until}; then one delivery is"
        " tried, and the rest follows when it arrives. No attempt is used up meanwhile."
    ),
    "breaker_probing": (
        "The endpoint has failed and is tried with one delivery now; this one follows when that one arrives."
    ),
    ORDER_HELD: (
        "An earlier event of the same envelope ({delivery}, sequence {sequence}) was given up, and the endpoint holds"
        " the order: replay that one, or change the endpoint's `ordering`."
    ),
    "order_kept": (
        "An earlier event of the same envelope has not arrived yet ({delivery}, sequence {sequence}, {state}); order"
        " is kept."
    ),
    "retry_at": "It is tried again at {at}.",
    "rate": (
        "The endpoint takes {rate} deliveries a second and has had them: the next goes in about {wait} s."
    ),
    "endpoint_full": "The endpoint has {count} requests under way, as many as it may have at once.",
    "tenant_full": (
        "{count} deliveries of this tenant are under way, which is its share: it goes when one of them ends."
    ),
    "asked_again": "It was asked for again and waits for its turn.",
    "retry_due": "It is due to be tried again.",
    "first": "It waits for its first attempt.",
    "last_attempt": "Last attempt: {error}.",
    # an event and an endpoint without a delivery
    "waits_for_fan_out": "The event was committed just now and waits to be handed out.",
    "test_elsewhere": "A test event goes only to the endpoint that it was asked for.",
    "endpoint_younger": (
        "The endpoint was made at {made_at}, after the event: it gets what happens from then on. The feed of events"
        " has what came before."
    ),
    "type_not_named": "Its `events` do not name {type}; they name {named}.",
    "operational_not_named": (
        "{type} tells of deliveries: it goes only to endpoints that name it in `events`."
    ),
    "tells_of_itself": "The event tells of this very endpoint: it is never told of itself.",
    "tells_of_telling": "The event tells of a delivery that itself told of deliveries: nobody is told of that.",
    "filter_unreadable": "Its filter cannot be read: {why}",
    "filtered_out": "Its filter does not match: {why}",
    "endpoint_changed": (
        "It would get such an event now, but was changed at {changed_at}: when the event was handed out it did not ask"
        " for it. The feed of events has it."
    ),
    "kept_no_longer": "It was delivered, and the time for which deliveries are kept is over.",
}


class Reason(msgspec.Struct, frozen=True):
    """One sentence. `word`: its name in ENGLISH. Of `values`, moments are aware times and everything else is text;
    what stands under FOREIGN is in the words of others.
    """

    word: str
    values: Mapping[str, str | datetime] = {}

    def __str__(self) -> str:
        return ENGLISH[self.word].format_map({name: _print(value) for name, value in self.values.items()})


# Values in English whatever the sentence's language: what a library, a receiver or a filter said.
FOREIGN: Final = frozenset({"why", "error"})


def in_english(reasons: Iterable[Reason]) -> str:
    return " ".join(str(reason) for reason in reasons)


def _print(value: str | datetime) -> str:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
