"""Writes the ceremony's own facts into the ledger, in the transaction of the state they are about.

What tenants hear about by webhook is recorded by the gateway when the engine's report arrives, so here are
only facts without a webhook name: one fact, one entry. MUST be called at most once per transaction, after the
state's own statements: the heads of the chains stay locked until the commit.
"""

from collections.abc import Sequence

from config.database import Transaction
from engine.engine import Engine
from ledger.append import append
from ledger.entry import Entry, compose_draft, personal_of, tenant_of
from ledger.personal import ToSeal
from normalizer.events import Event
from normalizer.vocabulary import VOCABULARY


async def record(engine: Engine, tx: Transaction, events: Sequence[Event]) -> tuple[Entry, ...]:
    """Where each event stands, in the order given. Raises ValueError for a fact that has a webhook name."""
    if not events:
        return ()
    for event in events:
        if VOCABULARY[event.type].webhook is not None:
            raise ValueError(f"{event.type} is announced: it goes through the inbox")
        if tx.tenant_id is not None and event.tenant_id != tx.tenant_id:
            raise ValueError(f"{event.type} belongs to another tenant than the transaction")
    personal = [personal_of(event) for event in events]
    sealed = await engine.subjects.seal(
        tx,
        [ToSeal(tenant_of(event), event.id, values) for event, values in zip(events, personal, strict=True)],
    )
    now = engine.clock.now()
    drafts = [compose_draft(event, values, now) for event, values in zip(events, sealed, strict=True)]
    return await append(tx, drafts)
