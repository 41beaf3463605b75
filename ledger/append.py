"""Appends drafts to their chains in the caller's transaction: one round trip, whatever their number.

The order of the drafts is the order of the entries within each chain. Call it once per transaction: heads are
locked in a stable order within one call, but two calls of two transactions can wait for each other
(PostgreSQL then ends one of them). An entry exists when the transaction is committed, not before.
MUST be imported by `webhooks.record` and the engine only; MUST never be asked to change an entry: nothing
can.
"""

from collections.abc import Sequence

import asyncpg

from config.database import Transaction
from ledger.entry import Draft, Entry

_APPEND_ONE = "SELECT seq, hash FROM ledger_append_one($1, $2, $3, $4, $5, $6, $7, $8)"
_APPEND = "SELECT seqs, hashes FROM ledger_append($1, $2, $3, $4, $5, $6, $7, $8)"


async def append(tx: Transaction, drafts: Sequence[Draft]) -> tuple[Entry, ...]:
    """Where each draft stands now, in the order given."""
    if not drafts:
        return ()
    if len(drafts) == 1:
        # The usual case without arrays: a tenth cheaper.
        only = drafts[0]
        row = await tx.driver.fetchrow(
            _APPEND_ONE,
            only.tenant_id,
            only.chain_id,
            only.event_id,
            only.event_type,
            only.resource_type,
            only.resource_id,
            only.occurred_at,
            only.body,
        )
        if row is None:
            raise AssertionError("the function returns a row or raises")
        return (Entry(only.chain_id, row[0], row[1]),)
    return entries_of(drafts, await tx.driver.fetchrow(_APPEND, *columns_of(drafts)))


def entries_of(drafts: Sequence[Draft], row: asyncpg.Record | None) -> tuple[Entry, ...]:
    """What the SQL functions answer: one row with the arrays of sequence numbers and hashes."""
    if row is None:
        raise AssertionError("the function returns a row or raises")
    return tuple(
        Entry(draft.chain_id, seq, hash_) for draft, seq, hash_ in zip(drafts, row[0], row[1], strict=True)
    )


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
