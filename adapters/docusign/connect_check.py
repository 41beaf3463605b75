"""Whether DocuSign still sends us what happens: looks at Connect, and mends what it can.

Envelopes carry their own eventNotification, which nobody can look at or change; what of it did not arrive stands in
the retry queue. Configurations of the whole account are looked at when they lead to this connection's path, as an
administrator may have made one; other people's are theirs. Must never make or delete a configuration.
Source: eSignature REST API v2.1, GET and PUT /connect, GET /connect/failures, PUT /connect/envelopes/retry_queue;
DocuSign Connect: acknowledgement and logging are off by default, disabled after 14 days of failure.
"""

from collections.abc import Collection, Iterable, Sequence
from urllib.parse import urlsplit

import msgspec

from adapters.docusign.answers import Answer, Text, is_true, text
from adapters.docusign.credentials import credentials_of
from adapters.docusign.definition import SUBSCRIBED
from adapters.docusign.requests import decode, read, write
from adapters.docusign.wire import ConnectConfiguration, EnvelopeIds, EventData, flag
from adapters.kit.exchange import Exchange
from adapters.kit.outcome import Interruption, Rejected
from adapters.kit.port import Connection, WebhookFinding

_WANTED_DATA = ("custom_fields", "recipients")
_MOST_AT_ONCE = 100
_UNDELIVERED = "undelivered"
_INACTIVE = "inactive"


class EventDataSeen(Answer, frozen=True, kw_only=True):
    version: Text = None
    format: Text = None
    include_data: tuple[str, ...] | None = None


class ConfigurationSeen(Answer, frozen=True, kw_only=True):
    """The account-wide form: its `requiresAcknowledgement` and `enableLog` are spelt otherwise than an envelope's."""

    connect_id: Text = None
    name: Text = None
    configuration_type: Text = None
    url_to_publish_to: Text = None
    allow_envelope_publish: Text = None
    disabled_by: Text = None
    all_users: Text = None
    user_ids: tuple[str, ...] | None = None
    requires_acknowledgement: Text = None
    enable_log: Text = None
    include_hmac: Text = msgspec.field(default=None, name="includeHMAC")
    delivery_mode: Text = None
    events: tuple[str, ...] | None = None
    event_data: EventDataSeen | None = None


class Configurations(Answer, frozen=True, kw_only=True):
    configurations: tuple[ConfigurationSeen, ...] | None = None


class FailureSeen(Answer, frozen=True, kw_only=True):
    config_url: Text = None
    envelope_id: Text = None
    error: Text = None


class Failures(Answer, frozen=True, kw_only=True):
    failures: tuple[FailureSeen, ...] | None = None


async def check_webhooks(
    exchange: Exchange, connection: Connection, open_refs: Sequence[str]
) -> tuple[WebhookFinding, ...]:
    """Two calls, however many envelopes are open."""
    listed = decode(await exchange(read("check_webhooks", "/connect")), Configurations)
    failed = decode(await exchange(read("check_webhooks", "/connect/failures")), Failures)
    findings = [*_without_key(connection)]
    for seen in listed.configurations or ():
        findings += _weaknesses(seen, connection.webhook_url)
    findings += _undelivered(failed.failures or (), connection.webhook_url, open_refs)
    return tuple(findings)


async def repair_webhooks(
    exchange: Exchange, findings: Sequence[WebhookFinding]
) -> tuple[WebhookFinding, ...]:
    """A configuration's weaknesses are mended together; what waits in the retry queue is asked for again. One that
    is switched off stays so, unless that is among what is to be mended.
    """
    wanted = {finding.ref for finding in findings if finding.repairable and finding.ref}
    switch_on = {finding.ref for finding in findings if finding.repairable and finding.code == _INACTIVE}
    mended = await _strengthen_all(exchange, wanted, switch_on) if wanted else set()
    done = [finding for finding in findings if finding.repairable and finding.ref in mended]
    queued = [finding for finding in findings if finding.code == _UNDELIVERED]
    done += [finding for finding in queued if await _republish(exchange, finding.provider_refs)]
    return tuple(done)


async def _strengthen_all(
    exchange: Exchange, wanted: Collection[str], switch_on: Collection[str]
) -> set[str]:
    listed = decode(await exchange(read("repair_webhooks", "/connect")), Configurations)
    found = [seen for seen in listed.configurations or () if text(seen.connect_id) in wanted]
    return {
        text(seen.connect_id)
        for seen in found
        if await _strengthen(exchange, seen, switch_on=text(seen.connect_id) in switch_on)
    }


async def _strengthen(exchange: Exchange, seen: ConfigurationSeen, *, switch_on: bool) -> bool:
    data = seen.event_data or EventDataSeen()
    body = ConnectConfiguration(
        connect_id=text(seen.connect_id),
        name=text(seen.name),
        configuration_type=text(seen.configuration_type),
        url_to_publish_to=text(seen.url_to_publish_to),
        allow_envelope_publish=flag(switch_on or is_true(seen.allow_envelope_publish)),
        all_users=text(seen.all_users),
        user_ids=seen.user_ids or (),
        requires_acknowledgement=flag(True),
        enable_log=flag(True),
        include_hmac=flag(True),
        delivery_mode="SIM",
        events=_united(seen.events, SUBSCRIBED),
        event_data=EventData(
            version="restv2.1", format="json", include_data=_united(data.include_data, _WANTED_DATA)
        ),
    )
    try:
        await exchange(write("repair_webhooks", "PUT", "/connect", body))
    except Interruption as interruption:
        # Deliberate: one that is refused must not keep the others from being mended.
        if isinstance(interruption.outcome, Rejected):
            return False
        raise
    return True


async def _republish(exchange: Exchange, refs: tuple[str, ...]) -> bool:
    try:
        body = EnvelopeIds(envelope_ids=refs)
        await exchange(write("republish", "PUT", "/connect/envelopes/retry_queue", body))
    except Interruption as interruption:
        if isinstance(interruption.outcome, Rejected):
            return False
        raise
    return True


def _without_key(connection: Connection) -> Sequence[WebhookFinding]:
    if connection.webhook_keys or credentials_of(connection).webhook_secret:
        return ()
    says = (
        "The connection has no Connect HMAC key, so every message is refused. Make a key in the account's Connect "
        "settings and give it to the connection as a webhook key."
    )
    return (WebhookFinding(code="no_key", says=says),)


def _weaknesses(seen: ConfigurationSeen, own: str) -> list[WebhookFinding]:
    url = text(seen.url_to_publish_to)
    named = f"The Connect configuration {text(seen.name)[:60]!r} of the account"
    ref = text(seen.connect_id)
    if url != own:
        # The last segment of our path is a secret of this connection: who has it at another host was us.
        if urlsplit(url).path != urlsplit(own).path:
            return []
        says = f"{named} leads to {urlsplit(url).netloc}, where this gateway once was. Change its URL there."
        return [WebhookFinding(code="points_elsewhere", says=says, ref="")]
    data = seen.event_data or EventDataSeen()
    is_our_form = (
        text(seen.delivery_mode).upper() in {"", "SIM"}
        and text(data.format).casefold() == "json"
        and text(data.version).casefold() == "restv2.1"
    )
    is_on = is_true(seen.allow_envelope_publish) and not text(seen.disabled_by)
    faults = (
        (_INACTIVE, is_on, "is switched off: nothing of it arrives"),
        ("unsigned", is_true(seen.include_hmac), "signs nothing, so its messages are refused"),
        (
            "unacknowledged",
            is_true(seen.requires_acknowledgement),
            "waits for no answer, so messages get lost",
        ),
        ("unlogged", is_true(seen.enable_log), "keeps no log, so nobody sees what failed"),
        ("wrong_form", is_our_form, "sends a form other than single JSON messages, which is not understood"),
        (
            "events_missing",
            set(SUBSCRIBED) <= set(seen.events or ()),
            "leaves out events that move envelopes",
        ),
    )
    return [
        WebhookFinding(code=code, says=f"{named} {problem}.", ref=ref, repairable=True)
        for code, is_well, problem in faults
        if not is_well
    ]


def _undelivered(
    failures: Iterable[FailureSeen], own: str, open_refs: Sequence[str]
) -> Sequence[WebhookFinding]:
    """Only of envelopes that are open here: of the others we know the end."""
    is_open = {ref.lower() for ref in open_refs}
    failed = {text(one.envelope_id).lower() for one in failures if text(one.config_url) == own}
    refs = tuple(sorted(failed & is_open))
    if not refs:
        return ()
    says = (
        f"Messages about {len(refs)} open envelopes wait in Connect's retry queue, because this gateway did not "
        "answer them well. They are asked for again."
    )
    return (
        WebhookFinding(code=_UNDELIVERED, says=says, provider_refs=refs[:_MOST_AT_ONCE], repairable=True),
    )


def _united(seen: tuple[str, ...] | None, wanted: tuple[str, ...]) -> tuple[str, ...]:
    return (*(seen or ()), *(one for one in wanted if one not in (seen or ())))
