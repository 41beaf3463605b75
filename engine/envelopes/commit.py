"""Commits, and never lets a cut-off commit pass for one that did not happen."""

import asyncio

from config.database import Transaction
from config.errors import StoreUnavailable


async def commit_told(tx: Transaction) -> None:
    """Raises StoreUnavailable with `outcome_unknown` when whoever waits gives up while the answer is open: a
    deadline that passes inside COMMIT says nothing about whether the change was made.
    """
    try:
        await tx.commit()
    except asyncio.CancelledError as error:
        raise StoreUnavailable("given up while COMMIT was under way", outcome_unknown=True) from error
