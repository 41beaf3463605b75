"""Appends drafts to their chains in the caller's transaction: one round trip, whatever their number.

The order of the drafts is the order of the entries within each chain. Call it once per transaction: heads are
locked in a stable order within one call, but two calls of two transactions can wait for each other
(PostgreSQL then ends one of them). An entry exists when the transaction is committed, not before.
MUST be imported by `webhooks.record` and the engine only; MUST never be asked to change an entry: nothing
can.
"""

from collections.abc import Sequence

from config.database import Transaction
from ledger.entry import Draft, Entry

_APPEND = "SELECT seq, hash FROM ledger_append($1, $2, $3, $4, $5, $6, $7, $8)"


async def append(tx: Transaction, drafts: Sequence[Draft]) -> tuple[Entry, ...]:
    """Where each draft stands now, in the order given."""
    if not drafts:
        return ()
    rows = await tx.driver.fetch(_APPEND, *columns_of(drafts))
    return tuple(Entry(draft.chain_id, row[0], row[1]) for draft, row in zip(drafts, rows, strict=True))


def columns_of(drafts: Sequence[Draft]) -> tuple[list[object], ...]:
    """The drafts as the arrays that the SQL functions take, in the order of their parameters."""
    return (
        [draft.tenant_id for draft in drafts],
        [draft.chain_id for draft in drafts],
        [draft.event_id for draft in drafts],
        [draft.event_type for draft in drafts],
        [draft.resource_type for draft in drafts],
        [draft.resource_id for draft in drafts],
        [draft.occurred_at for draft in drafts],
        [draft.body for draft in drafts],
    )
