"""Locks a recipient who fails too often, for a time; the sender is told and may unlock.

Failures count by recipient and method, in the database: another session, browser or address changes nothing. Each
lock lasts twice as long as the one before, up to a day: nobody from outside can lock a recipient out for good.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from config.database import Transaction
from engine.ceremony.evidence import ceremony_event
from engine.engine import Engine
from engine.envelopes.letters import write_to_sender, write_with_link
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient
from engine.notify.notice import NoticeKind
from engine.record import record
from engine.store import lock_envelope
from normalizer.errors import NotFound
from normalizer.events import Actor, Event, ResourceType, Source
from normalizer.ids import Kind, print_id
from normalizer.recipient import AuthenticationMethod
from normalizer.vocabulary import LedgerType


class Failed(msgspec.Struct, frozen=True):
    """What one more failure led to. `locked_until` set: by this very failure."""

    tries_left: int
    locked_until: datetime | None = None


async def find_lock(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient
) -> datetime | None:
    """Until when the recipient is locked, by whichever method; None when not."""
    until: datetime | None = await tx.driver.fetchval(
        "SELECT max(locked_until) FROM ceremony_failures WHERE tenant_id = $1 AND engine_id = $2"
        " AND recipient_id = $3 AND locked_until > $4",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        engine.clock.now(),
    )
    return until


async def tries_left(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
) -> int:
    failures = await tx.driver.fetchval(
        "SELECT failures FROM ceremony_failures WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3"
        " AND method = $4",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        method.value,
    )
    return max(0, engine.settings.access.answer_tries - (failures or 0))


async def note_failure(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
) -> Failed:
    """Counts it; the last try locks, and tells the sender. The caller holds the envelope's lock and commits."""
    settings = engine.settings.access
    row = await tx.driver.fetchrow(
        "INSERT INTO ceremony_failures AS f (tenant_id, engine_id, recipient_id, method, failures)"
        " VALUES ($1, $2, $3, $4, 1) ON CONFLICT (tenant_id, engine_id, recipient_id, method)"
        " DO UPDATE SET failures = f.failures + 1 RETURNING failures, locks",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        method.value,
    )
    if row is None:
        raise AssertionError("the statement returns its row")
    if row["failures"] < settings.answer_tries:
        return Failed(settings.answer_tries - row["failures"])
    lasts_s = min(settings.lock_s * 2 ** min(row["locks"], 30), settings.lock_longest_s)
    until = engine.clock.now() + timedelta(seconds=lasts_s)
    await tx.driver.execute(
        "UPDATE ceremony_failures SET failures = 0, locks = locks + 1, locked_until = $5"
        " WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3 AND method = $4",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        method.value,
        until,
    )
    await write_to_sender(engine, tx, envelope, NoticeKind.LOCKED, by=recipient.name)
    return Failed(0, until)


async def clear_failures(
    tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient, method: AuthenticationMethod
) -> None:
    """The method was passed: its own failures are forgotten, those of other methods are not."""
    await tx.driver.execute(
        "DELETE FROM ceremony_failures WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3 AND method = $4",
        envelope.tenant_id,
        envelope.id,
        recipient.id,
        method.value,
    )


def locked_event(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    method: AuthenticationMethod,
    until: datetime,
) -> Event:
    return ceremony_event(
        engine,
        envelope,
        recipient,
        visitor,
        LedgerType.RECIPIENT_LOCKED,
        (ResourceType.RECIPIENT, recipient.id),
        facts={"method": method.value, "until": until.isoformat()},
    )


async def unlock_recipient(
    engine: Engine, tenant_id: UUID, engine_id: UUID, recipient_id: UUID, actor: Actor, source: Source
) -> bool:
    """The recipient may try again at once, and is told. False: there was nothing to unlock. Raises NotFound."""
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        try:
            recipient = envelope.recipient(recipient_id)
        except KeyError as error:
            raise NotFound(Kind.RECIPIENT, print_id(Kind.RECIPIENT, recipient_id)) from error
        if await find_lock(engine, tx, envelope, recipient) is None:
            return False
        await tx.driver.execute(
            "DELETE FROM ceremony_failures WHERE tenant_id = $1 AND engine_id = $2 AND recipient_id = $3",
            tenant_id,
            engine_id,
            recipient_id,
        )
        await write_with_link(engine, tx, envelope, recipient, NoticeKind.UNLOCKED)
        await record(engine, tx, [_unlocked(engine, envelope, recipient, actor, source)])
        await tx.commit()
    return True


def _unlocked(
    engine: Engine, envelope: EngineEnvelope, recipient: EngineRecipient, actor: Actor, source: Source
) -> Event:
    return Event(
        id=engine.ids.new(),
        type=LedgerType.RECIPIENT_UNLOCKED,
        tenant_id=envelope.tenant_id,
        envelope_id=envelope.envelope_id,
        resource_type=ResourceType.RECIPIENT,
        resource_id=print_id(Kind.RECIPIENT, recipient.id),
        occurred_at=engine.clock.now(),
        actor=actor,
        source=source,
        facts={"recipient_id": print_id(Kind.RECIPIENT, recipient.id)},
    )
