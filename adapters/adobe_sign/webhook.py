"""Registers one webhook per agreement, so that a message that nobody answers blocks only its own queue.

The agreement exists already when this runs, so a webhook that cannot be made is told in the log and left to
the sweep, which reads what no message has brought. Must never end an operation whose envelope is made.
Source: developer guide of 2026-04-29, POST /webhooks; "a failing head blocks the queue".
"""

import logging

from adapters.adobe_sign.answers import decode_error
from adapters.adobe_sign.calls import write_request
from adapters.adobe_sign.wire import AgreementEventsWanted, ConditionalParams, WebhookInfo, WebhookUrl
from adapters.kit.exchange import Effect, Exchange
from adapters.kit.outcome import Interruption
from adapters.kit.port import Connection

_log = logging.getLogger("countersign.adapters.adobe_sign")
_DUPLICATE = "DUPLICATE_WEBHOOK_CONFIGURATION"
_MADE = frozenset({200, 201})
_REFUSED = frozenset({400, 403, 404, 409})


async def register_webhook(exchange: Exchange, connection: Connection, ref: str, reference: str) -> bool:
    """Whether there is one now, made or found."""
    if not connection.webhook_url:
        return False
    request = write_request(
        connection,
        "register_webhook",
        "POST",
        "/webhooks",
        _webhook(connection.webhook_url, ref, reference),
        Effect.KEYED,  # a second one for the same agreement and URL is refused as a duplicate
        accept=_MADE | _REFUSED,
    )
    try:
        response = await exchange(request)
    except Interruption as interruption:
        # Deliberate: the create has succeeded, and must not be reported as this request's failure.
        _warn(ref, type(interruption.outcome).__name__)
        return False
    code = decode_error(response.body).code if response.status in _REFUSED else ""
    if response.status in _REFUSED and code != _DUPLICATE:
        _warn(ref, code or f"HTTP_{response.status}")
        return False
    return True


def _webhook(url: str, ref: str, reference: str) -> WebhookInfo:
    return WebhookInfo(
        name=f"countersign-{reference}",
        scope="RESOURCE",
        resource_type="AGREEMENT",
        resource_id=ref,
        state="ACTIVE",
        webhook_subscription_events=("AGREEMENT_ALL",),
        webhook_url_info=WebhookUrl(url=url),
        webhook_conditional_params=ConditionalParams(
            webhook_agreement_events=AgreementEventsWanted(
                include_detailed_info=True, include_participants_info=True
            )
        ),
    )


def _warn(ref: str, why: str) -> None:
    _log.warning("webhook.not_registered", extra={"provider_ref": ref, "why": why})
