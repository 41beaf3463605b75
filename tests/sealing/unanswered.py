"""A database whose connection is lost while COMMIT is answered: the change is made, and nobody knows it yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from config.errors import StoreUnavailable
from config.transaction import Transaction


class _Written(Transaction):
    __slots__ = ()

    async def commit(self) -> None:
        await super().commit()
        raise StoreUnavailable("no answer to COMMIT", outcome_unknown=True)


class Unanswered:
    def __init__(self, database) -> None:
        self._database = database

    def __getattr__(self, name: str):
        return getattr(self._database, name)

    @asynccontextmanager
    async def transaction(self, tenant_id) -> AsyncIterator[Transaction]:
        async with self._database.transaction(tenant_id) as tx:
            tx.__class__ = _Written
            yield tx
