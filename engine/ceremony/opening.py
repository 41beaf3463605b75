"""The moment at which the documents are first put before a recipient who has no consent to give, or gave it before.

Told to the gateway once, by whatever request opens the way: never by a look.
"""

from engine.ceremony.visit import Step, Visit
from engine.engine import Engine
from engine.envelopes.act import view_recipient
from engine.store import lock_envelope
from normalizer.status import RecipientStatus

_UNOPENED = frozenset({RecipientStatus.SENT, RecipientStatus.BOUNCED})


async def open_documents(engine: Engine, visit: Visit) -> None:
    """Nothing happens when they are open already, or the way is not."""
    if visit.step is not Step.DOCUMENT or visit.recipient.status not in _UNOPENED:
        return
    session = visit.session
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope = await lock_envelope(tx, session.tenant_id, session.engine_id)
        recipient = envelope.recipient(session.recipient_id)
        await view_recipient(engine, tx, envelope, recipient, visit.visitor)
        await tx.commit()
