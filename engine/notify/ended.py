"""Notes that a notice has ended: its row forgets what stood in it, and the ledger keeps that it went out, or why
it could not. One transaction.
"""

from typing import Final, cast
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.engine import Engine
from engine.model import EngineEnvelope
from engine.notify.bounce import note_bounce
from engine.notify.notice import Channel, NoticeKind
from engine.record import record
from engine.store import lock_envelope
from normalizer.canonical import Json
from normalizer.errors import NotFound
from normalizer.events import SYSTEM, Event, Personal, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

SENT: Final = "sent"
BOUNCED: Final = "bounced"
FAILED: Final = "failed"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """`how`: SENT, BOUNCED (the address was refused for good) or FAILED; `why` in words without values."""

    tenant_id: UUID
    notice_id: UUID
    kind: NoticeKind
    channel: Channel
    connection_id: UUID | None
    engine_id: UUID | None
    envelope_id: UUID | None
    recipient_id: UUID | None
    address: str
    attempts: int
    how: str
    why: str
    carrier_ref: str


async def note_end(engine: Engine, claim: UUID, ended: Ended) -> bool:
    """False when the claim no longer holds the notice: nothing was noted then."""
    async with engine.database.transaction(ended.tenant_id) as tx:
        # The envelope before the notice: whoever takes notices back holds the envelope first, too.
        envelope = await _bounced_envelope(tx, ended)
        held = await tx.driver.fetchval(
            "SELECT end_notice($1, $2, $3, $4, $5, $6)",
            ended.tenant_id,
            ended.notice_id,
            claim,
            ended.how,
            ended.why,
            ended.carrier_ref,
        )
        if not held:
            return False
        if envelope is not None and ended.recipient_id is not None:
            await note_bounce(engine, tx, envelope, ended.recipient_id, ended.address)
        await record(engine, tx, (_event(engine, ended),))
        await tx.commit()
    return True


async def _bounced_envelope(tx: Transaction, ended: Ended) -> EngineEnvelope | None:
    is_theirs = ended.engine_id is not None and ended.recipient_id is not None
    if ended.how != BOUNCED or ended.channel is not Channel.EMAIL or not is_theirs:
        return None
    try:
        return await lock_envelope(tx, ended.tenant_id, cast("UUID", ended.engine_id))
    except NotFound:
        return None


def _event(engine: Engine, ended: Ended) -> Event:
    facts: dict[str, Json] = {
        "kind": ended.kind.value,
        "channel": ended.channel.value,
        "attempts": ended.attempts,
    }
    if ended.recipient_id is not None:
        facts["recipient_id"] = print_id(Kind.RECIPIENT, ended.recipient_id)
    if ended.how == SENT:
        facts["carrier_ref"] = ended.carrier_ref
    else:
        facts["reason"] = ended.why
        facts["bounced"] = ended.how == BOUNCED
    return Event(
        id=engine.ids.new(),
        type=LedgerType.NOTICE_SENT if ended.how == SENT else LedgerType.NOTICE_FAILED,
        tenant_id=ended.tenant_id,
        envelope_id=ended.envelope_id,
        resource_type=ResourceType.NOTICE,
        resource_id=print_id(Kind.NOTICE, ended.notice_id),
        occurred_at=engine.clock.now(),
        actor=SYSTEM,
        source=Source(kind=SourceKind.JOB),
        facts=facts,
        personal=_personal(ended),
    )


def _personal(ended: Ended) -> tuple[Personal, ...]:
    """The mailbox, under its own key. A phone number is left out: it is no subject that could be erased by."""
    if ended.channel is not Channel.EMAIL or not ended.address:
        return ()
    return (Personal("address", ended.address.lower(), ended.address),)
