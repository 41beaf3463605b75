"""Composes Connect messages: JSON, one event each, with the parts that the configuration asks for."""

import base64

from . import papers, render
from .catalogue import JsonObject
from .clock import seven_digits
from .state import Envelope, Hook, Recipient
from .world import World


def compose(
    world: World, envelope: Envelope, event: str, recipient: Recipient | None, hook: Hook
) -> JsonObject:
    """The message as it stands at the moment of the event."""
    data: JsonObject = {
        "accountId": world.settings.account_id,
        "userId": world.settings.user_id,
        "envelopeId": envelope.id,
    }
    if recipient is not None:
        data["recipientId"] = recipient.recipient_id
    if hook.include_data:
        data["envelopeSummary"] = _summary(world, envelope, hook.include_data)
    return {
        "event": event,
        "apiVersion": "v2.1",
        "uri": f"/restapi/v2.1/accounts/{world.settings.account_id}/envelopes/{envelope.id}",
        "retryCount": 0,
        "configurationId": hook.configuration_id,
        "generatedDateTime": seven_digits(world.now()),
        "data": data,
    }


def _summary(world: World, envelope: Envelope, include: list[str]) -> JsonObject:
    summary = render.envelope(world, envelope, frozenset(include))
    summary["anySigner"] = None  # the one null among strings, as real messages have it
    if "documents" in include and not envelope.is_purged:
        for shown in summary["envelopeDocuments"]:
            if shown["type"] == "content":
                document = next(d for d in envelope.documents if d.document_id == shown["documentId"])
                shown["PDFBytes"] = base64.b64encode(papers.document_pdf(world, envelope, document)).decode()
    return summary
