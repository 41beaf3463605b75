"""Answers questions about the engine's envelopes: by reference, by time of change, and their history."""

from datetime import datetime
from uuid import UUID

import msgspec

from engine.engine import Engine
from engine.envelopes.report import report_of
from engine.model import EngineEnvelope, EngineRecipient
from engine.store import load_envelope
from normalizer.envelope import AuditRecord, EnvelopeReport

_PAGE = 100
_NOWHEN = UUID(int=0)


class Changes(msgspec.Struct, frozen=True):
    """`cursor` empty: no more."""

    reports: tuple[EnvelopeReport, ...]
    cursor: str = ""


async def find_envelopes(
    engine: Engine, tenant_id: UUID, connection_id: UUID, reference: str
) -> tuple[EnvelopeReport, ...]:
    """At most one: a reference is taken once."""
    async with engine.database.transaction(tenant_id) as tx:
        own = await tx.driver.fetchval(
            "SELECT id FROM engine_envelopes WHERE tenant_id = $1 AND connection_id = $2 AND reference = $3",
            tenant_id,
            connection_id,
            reference,
        )
    return () if own is None else (report_of(await load_envelope(engine.database, tenant_id, own)),)


async def list_changes(
    engine: Engine, tenant_id: UUID, connection_id: UUID, since: datetime, cursor: str
) -> Changes:
    """Oldest change first. An envelope that changes while pages are read may come again."""
    after, after_id = _read_cursor(cursor) or (since, _NOWHEN)
    async with engine.database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT id, updated_at FROM engine_envelopes WHERE tenant_id = $1 AND connection_id = $2"
            " AND (updated_at, id) > ($3, $4) ORDER BY updated_at, id LIMIT $5",
            tenant_id,
            connection_id,
            after,
            after_id,
            _PAGE,
        )
    reports = [report_of(await load_envelope(engine.database, tenant_id, row["id"])) for row in rows]
    last = f"{rows[-1]['updated_at'].isoformat()}|{rows[-1]['id']}" if len(rows) == _PAGE else ""
    return Changes(tuple(reports), last)


def history_of(envelope: EngineEnvelope) -> tuple[AuditRecord, ...]:
    """In order of time. The ledger holds more, and proves it; this is what the engine's tables say."""
    told = [AuditRecord(at=envelope.created_at, action="created", actor=_sender(envelope))]
    if envelope.sent_at:
        told.append(AuditRecord(at=envelope.sent_at, action="sent", actor=_sender(envelope)))
    for recipient in envelope.recipients:
        told.extend(_history_of(recipient))
    if envelope.ended_at:
        ended = AuditRecord(at=envelope.ended_at, action=str(envelope.status), detail=envelope.reason)
        told.append(ended)
    return tuple(sorted(told, key=lambda one: one.at or envelope.created_at))


def _history_of(recipient: EngineRecipient) -> list[AuditRecord]:
    actor = f"{recipient.name} <{recipient.email}>"
    moments = (
        ("asked", recipient.sent_at, ""),
        ("opened", recipient.delivered_at, recipient.ip_address),
        (str(recipient.status), recipient.completed_at, recipient.ip_address),
    )
    return [
        AuditRecord(at=at, action=action, actor=actor, ip_address=address, detail=recipient.reason)
        for action, at, address in moments
        if at is not None
    ]


def _sender(envelope: EngineEnvelope) -> str:
    address = f"<{envelope.sender_email}>" if envelope.sender_email else ""
    return f"{envelope.sender_name} {address}".strip() or envelope.sender_id


def _read_cursor(cursor: str) -> tuple[datetime, UUID] | None:
    moment, _, own = cursor.partition("|")
    return (datetime.fromisoformat(moment), UUID(own)) if own else None
