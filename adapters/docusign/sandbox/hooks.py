"""Connect configurations: reads both spellings, applies the URL rule, and knows the event names.

An `eventNotification` of an envelope and a `connectCustomConfiguration` of the account differ in attribute
names (`requireAcknowledgment` and `requiresAcknowledgement`); both become one Hook.
"""

from urllib.parse import urlsplit

from .catalogue import JsonObject, is_true
from .refusals import Refusal
from .state import AccountHook, Hook
from .world import World

ENVELOPE_EVENTS = frozenset(
    f"envelope-{name}"
    for name in (
        "created", "sent", "resent", "delivered", "completed", "declined", "voided", "corrected", "purge",
        "deleted",
        "discard", "reminder-sent",
    )
)  # fmt: skip
RECIPIENT_EVENTS = frozenset(
    f"recipient-{name}"
    for name in (
        "sent", "resent", "delivered", "completed", "declined", "authenticationfailed", "autoresponded",
        "reassign",
        "delegate", "finish-later",
    )
)  # fmt: skip
_OTHER_EVENTS = frozenset(
    {"template-created", "template-modified", "template-deleted", "click-agreed", "click-declined"}
)
EVENTS = ENVELOPE_EVENTS | RECIPIENT_EVENTS | _OTHER_EVENTS
INCLUDE_DATA = frozenset(
    {
        "custom_fields", "documents", "extensions", "folders", "recipients", "powerform", "tabs",
        "payment_tabs",
        "attachments",
    }
)  # fmt: skip


def from_notification(world: World, wire: JsonObject) -> Hook:
    """The hook of one envelope."""
    legacy = [f"envelope-{e.get('envelopeEventStatusCode')}" for e in wire.get("envelopeEvents") or []]
    legacy += [f"recipient-{e.get('recipientEventStatusCode')}" for e in wire.get("recipientEvents") or []]
    return Hook(
        configuration_id=world.next_number(),
        url=_checked_url(world, str(wire.get("url") or ""), "eventNotification.url"),
        events=_checked_events(wire.get("events"), legacy),
        include_data=_checked_data(wire),
        is_signed=is_true(wire.get("includeHMAC")),
        is_acknowledged=is_true(wire.get("requireAcknowledgment")),
        is_logged=is_true(wire.get("loggingEnabled")),
    )


def from_configuration(world: World, wire: JsonObject, known: AccountHook | None = None) -> AccountHook:
    """The account-wide hook of a configuration; `known` is the one that is being changed."""
    merged = {**(known.wire if known else {}), **wire}
    if not merged.get("name"):
        raise Refusal("connect-name-missing")
    if merged.get("configurationType", "custom") not in {"custom", "customrecipient"}:
        raise Refusal("connect-type-unknown", f"'{merged['configurationType']}'.")
    legacy = [f"envelope-{name}" for name in merged.get("envelopeEvents") or []]
    legacy += [f"recipient-{name}" for name in merged.get("recipientEvents") or []]
    if is_true(merged.get("allowEnvelopePublish")):
        merged.pop("disabledBy", None)  # switched on again
    number = known.hook.configuration_id if known else world.next_number()
    hook = Hook(
        configuration_id=number,
        url=_checked_url(world, str(merged.get("urlToPublishTo") or ""), "urlToPublishTo"),
        events=_checked_events(merged.get("events"), legacy),
        include_data=_checked_data(merged),
        is_signed=is_true(merged.get("includeHMAC")),
        is_acknowledged=is_true(merged.get("requiresAcknowledgement")),
        is_logged=is_true(merged.get("enableLog")),
        is_enabled=is_true(merged.get("allowEnvelopePublish")) and is_true(merged.get("allUsers", "true")),
        name=str(merged["name"]),
    )
    return AccountHook(hook=hook, wire={**merged, "connectId": str(number)})


def disable(kept: AccountHook, by: str) -> None:
    """Nothing more is sent; the provider does so to a configuration that kept failing."""
    kept.hook.is_enabled = False
    kept.wire |= {"allowEnvelopePublish": "false", "disabledBy": by}


def _checked_url(world: World, url: str, name: str) -> str:
    """An https address, or http to a host of the development allow-list."""
    parts = urlsplit(url)
    is_allowed_plain = parts.scheme == "http" and parts.hostname in world.settings.webhook_allow
    if not parts.hostname or (parts.scheme != "https" and not is_allowed_plain):
        raise Refusal("hook-url-not-https", f"{name} '{url}'.")
    return url


def _checked_events(given: list[str] | None, legacy: list[str]) -> list[str]:
    events = list(given or []) or [name.lower() for name in legacy]
    unknown = sorted(set(events) - EVENTS)
    if unknown:
        raise Refusal("hook-event-unknown", f"{', '.join(unknown)}.")
    if not events:
        raise Refusal("hook-without-events")
    return events


def _checked_data(wire: JsonObject) -> list[str]:
    """includeData, once the message form is one that this sandbox speaks: JSON, single messages."""
    if wire.get("deliveryMode", "SIM") not in {"SIM", "sim"}:
        raise Refusal("hook-mode-unsupported", f"deliveryMode '{wire.get('deliveryMode')}'.")
    chosen: JsonObject = wire.get("eventData") or {}
    if chosen.get("format") != "json" or chosen.get("version") != "restv2.1":
        raise Refusal("hook-format-unsupported")
    wanted = [str(name) for name in chosen.get("includeData") or []]
    unknown = sorted(set(wanted) - INCLUDE_DATA)
    if unknown:
        raise Refusal("hook-data-unknown", f"{', '.join(unknown)}.")
    return wanted
