"""The ledger entries that a worker owes for a message: that it came and was authentic, and what is wrong with it.

They are written with the batch's end, so that a burst costs the door nothing: one append for many messages.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from normalizer.canonical import Json
from normalizer.events import Event, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.inbound.facts import message_event
from webhooks.inbound.message import MessageState, Settled


def events_of(settled: Settled, new_id: Callable[[], UUID], now: datetime) -> list[Event]:
    """In the order in which it happened; empty when the ledger knows everything already."""
    message = settled.message
    found: list[tuple[LedgerType, Mapping[str, Json]]] = []
    if not message.is_recorded:
        found.append((LedgerType.INBOUND_RECEIVED, _received(settled)))
    if settled.state is MessageState.UNPROCESSABLE:
        facts: Mapping[str, Json] = {"provider": message.provider, "problem": settled.error}
        found.append((LedgerType.INBOUND_UNPROCESSABLE, facts))
    if settled.state is MessageState.QUARANTINED:
        found.append((LedgerType.INBOUND_QUARANTINED, _quarantined(settled)))
    source = Source(
        kind=SourceKind.WEBHOOK,
        request_id=print_id(Kind.MESSAGE, message.id),
        provider=message.provider,
        raw_sha256=message.body_sha256.hex(),
    )
    return [
        message_event(
            kind,
            new_id(),
            now,
            tenant_id=message.tenant_id,
            message_id=message.id,
            facts=facts,
            source=source,
        )
        for kind, facts in found
    ]


def _received(settled: Settled) -> Mapping[str, Json]:
    message = settled.message
    return {
        "provider": message.provider,
        "connection_id": print_id(Kind.CONNECTION, message.connection_id),
        "received_at": message.received_at.isoformat(),
        "size_bytes": message.body_bytes,
        "verdict": message.verdict.facts,
    }


def _quarantined(settled: Settled) -> Mapping[str, Json]:
    return {
        "provider": settled.message.provider,
        "connection_id": print_id(Kind.CONNECTION, settled.message.connection_id),
        "envelope_id": print_id(Kind.ENVELOPE, settled.envelope_id) if settled.envelope_id else "",
        "differences": [{"code": one.code, "problem": one.problem} for one in settled.findings],
    }
