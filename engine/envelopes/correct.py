"""Corrects a recipient under way. Another address means another person may stand behind it: the old link dies,
what was entered is taken back, and the envelope counts as not yet opened.
"""

from typing import Any
from uuid import UUID

from engine.engine import Engine
from engine.envelopes.changes import change_envelope, change_recipient, pass_fields_on
from engine.envelopes.commit import commit_told
from engine.envelopes.letters import invite, withdraw
from engine.envelopes.resend import find_holder
from engine.model import EngineEnvelope
from engine.store import lock_envelope
from normalizer.errors import InvalidTransition
from normalizer.status import RecipientStatus


async def correct_recipient(
    engine: Engine, tenant_id: UUID, engine_id: UUID, place: UUID, *, name: str, email: str
) -> EngineEnvelope:
    """What is empty stays. Raises NotFound, InvalidTransition for an envelope or recipient that has finished."""
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        if not envelope.status.is_open:
            raise InvalidTransition(envelope.status, "corrected")
        recipient = find_holder(envelope, place)
        if recipient.status.is_terminal:
            raise InvalidTransition(recipient.status, "corrected", f"This recipient is {recipient.status}.")
        changes: dict[str, Any] = {"name": name or recipient.name, "email": email or recipient.email}
        is_moved = changes["email"].lower() != recipient.email.lower()
        is_asked = recipient.sent_at is not None
        if is_moved and is_asked:
            await withdraw(engine, tx, envelope, recipient)
            envelope = await pass_fields_on(tx, envelope, recipient.id, recipient.id)
            changes |= {"status": RecipientStatus.SENT, "sent_at": engine.clock.now(), "delivered_at": None}
        envelope = await change_recipient(tx, envelope, recipient.id, changes)
        envelope = await change_envelope(tx, envelope, {"version": envelope.version + 1})
        if is_moved and is_asked:
            await invite(engine, tx, envelope, (envelope.recipient(recipient.id),))
        await commit_told(tx)
    return envelope
