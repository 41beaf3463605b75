"""What time brings: reminders, warnings before the deadline, and the deadline itself.

A sweep finds what is due over all tenants and takes one envelope after the other, each in its own locked
transaction, where it is looked at again: what somebody did meanwhile counts. One envelope's failure is its own.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

from config.database import Transaction
from config.errors import StoreUnavailable
from engine.engine import Engine
from engine.envelopes.changes import change_envelope
from engine.envelopes.end import end_envelope
from engine.envelopes.letters import write_with_link
from engine.envelopes.report import Word, happening, tell
from engine.envelopes.turn import whose_turn
from engine.model import EngineEnvelope, EngineStatus
from engine.notify.notice import NoticeKind
from engine.store import lock_envelope

logger = logging.getLogger("countersign.engine")

_PAGE = 200
_DUE = (
    "SELECT tenant_id, id FROM engine_envelopes WHERE status = 'sent' AND {what} ORDER BY {column} LIMIT $2"
)
_Step = Callable[[Engine, Transaction, EngineEnvelope], Awaitable[None]]


async def expire_due(engine: Engine) -> int:
    """Ends what was not finished in time; how many."""
    return await _sweep(engine, "expires_at", "expires_at <= $1", _expire)


async def remind_due(engine: Engine) -> int:
    """Reminds those whose turn it is; in how many envelopes."""
    return await _sweep(engine, "next_reminder_at", "next_reminder_at <= $1", _remind)


async def warn_due(engine: Engine) -> int:
    """Warns those whose turn it is, once, before the deadline; in how many envelopes."""
    return await _sweep(engine, "warn_at", "warn_at <= $1 AND warned_at IS NULL", _warn)


async def _expire(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> None:
    if _is_due(engine, envelope.expires_at):
        await end_envelope(engine, tx, envelope, EngineStatus.EXPIRED)


async def _remind(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> None:
    if not _is_due(engine, envelope.next_reminder_at):
        return
    every = envelope.reminder_every_hours
    following = engine.clock.now() + timedelta(hours=every) if every else None
    envelope = await change_envelope(tx, envelope, {"next_reminder_at": following})
    reminded = [one for one in whose_turn(envelope.recipients) if not one.embedded]
    for recipient in reminded:
        await write_with_link(engine, tx, envelope, recipient, NoticeKind.REMINDER)
    await tell(
        engine,
        tx,
        envelope,
        [happening(engine, envelope, Word.RECIPIENT_REMINDED, one) for one in reminded],
    )


async def _warn(engine: Engine, tx: Transaction, envelope: EngineEnvelope) -> None:
    if envelope.warned_at is not None or not _is_due(engine, envelope.warn_at):
        return
    envelope = await change_envelope(tx, envelope, {"warned_at": engine.clock.now()})
    for recipient in whose_turn(envelope.recipients):
        await write_with_link(engine, tx, envelope, recipient, NoticeKind.EXPIRY_WARNING)


def _is_due(engine: Engine, moment: datetime | None) -> bool:
    return moment is not None and moment <= engine.clock.now()


async def _sweep(engine: Engine, column: str, what: str, step: _Step) -> int:
    done = 0
    rows = await engine.hub.fetch(_DUE.format(what=what, column=column), engine.clock.now(), _PAGE)
    for row in rows:
        try:
            await _take(engine, row["tenant_id"], row["id"], step)
        except StoreUnavailable:
            raise
        except Exception:  # whatever it is, the other envelopes are not to wait for it
            logger.exception(
                "a due envelope could not be taken", extra={"wide": {"engine_id": str(row["id"])}}
            )
        else:
            done += 1
    return done


async def _take(engine: Engine, tenant_id: UUID, engine_id: UUID, step: _Step) -> None:
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        if envelope.status is EngineStatus.SENT:
            await step(engine, tx, envelope)
            await tx.commit()
