"""PostgreSQL as the rest of Countersign sees it: transactions, and single statements in AUTOCOMMIT.

One `Database` per role (app, hub, owner). `metadata` holds every table that is declared for Core statements.
A single statement costs one round trip, a transaction two plus its statements. Must never be asked to wait
for anything but PostgreSQL: see `config.transaction.assert_no_open_transaction`.
Session state (SET without LOCAL, session advisory locks, LISTEN) must not be used on these connections: they
are lent to the next caller without a reset, which would cost a round trip.
"""

import asyncio
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import asyncpg
from sqlalchemy import MetaData

from config.driver import DriverConnection
from config.errors import StoreUnavailable
from config.pool import Pool
from config.secret import Secret
from config.transaction import Transaction, assert_no_open_transaction, open_transaction

__all__ = ["Database", "Transaction", "assert_no_open_transaction", "metadata", "open_transaction"]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Database:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    def on_demand(
        cls,
        url: Secret,
        *,
        pool_size: int = 10,
        application_name: str = "countersign",
        acquire_timeout_s: float = 10.0,
        connect_timeout_s: float = 10.0,
        statement_timeout_s: float = 30.0,
    ) -> Self:
        """Opens nothing yet: the first statement does. Raises ConfigError for a URL that cannot be read."""
        return cls(
            Pool(
                url,
                size=pool_size,
                application_name=application_name,
                acquire_timeout_s=acquire_timeout_s,
                connect_timeout_s=connect_timeout_s,
                statement_timeout_s=statement_timeout_s,
            )
        )

    @classmethod
    async def connect(
        cls,
        url: Secret,
        *,
        pool_size: int = 10,
        application_name: str = "countersign",
        acquire_timeout_s: float = 10.0,
        connect_timeout_s: float = 10.0,
        statement_timeout_s: float = 30.0,
    ) -> Self:
        """Opens the first connection, so that a wrong URL is found now; the others on demand.

        Raises ConfigError for a URL, password or database that is wrong, StoreUnavailable without an answer.
        """
        database = cls.on_demand(
            url,
            pool_size=pool_size,
            application_name=application_name,
            acquire_timeout_s=acquire_timeout_s,
            connect_timeout_s=connect_timeout_s,
            statement_timeout_s=statement_timeout_s,
        )
        try:
            await database.fetchval("SELECT 1")
        except BaseException:  # cancelled too: nobody else has the pool yet
            await database.close()
            raise
        return database

    async def close(self) -> None:
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def transaction(self, tenant_id: UUID | None = None) -> Transaction:
        """A transaction for `async with`; with a tenant, row-level security shows that tenant's rows only."""
        return Transaction(self._pool, tenant_id)

    async def execute(self, sql: str, *args: object) -> str:
        """One statement on its own; returns PostgreSQL's command tag."""
        async with _Lent(self._pool) as driver:
            return await driver.execute(sql, *args)

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with _Lent(self._pool) as driver:
            return await driver.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        async with _Lent(self._pool) as driver:
            return await driver.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        async with _Lent(self._pool) as driver:
            return await driver.fetchval(sql, *args)

    @property
    def statements(self) -> int:
        """Statements sent since the start or the last `reset_counters`."""
        return self._pool.tally.statements

    @property
    def round_trips(self) -> int:
        """Messages to the server that waited for an answer, BEGIN and COMMIT included, PREPARE not."""
        return self._pool.tally.round_trips

    def reset_counters(self) -> None:
        self._pool.tally.statements = 0
        self._pool.tally.round_trips = 0


class _Lent:
    """A connection for one statement. A failure is not repeated: the statement may have been carried out."""

    __slots__ = ("_member", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def __aenter__(self) -> DriverConnection:
        self._member = await self._pool.acquire()
        return self._member.driver

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            await self._pool.settle(self._pool.recover(self._member))
        elif isinstance(error, StoreUnavailable):
            self._pool.discard(self._member)  # lost, or hung with the statement still under way
        else:
            self._pool.release(self._member)
