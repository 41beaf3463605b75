"""One transaction on one connection: opened in one round trip, rolled back unless committed.

The tenant is set in the same message that begins the transaction (`BEGIN; SET LOCAL`), so row-level security
costs no round trip of its own. No network call may be made while a transaction is open: `open_transaction()`
lets the code that calls out ask. It asks the object (`is_open`) and not a flag, because tasks that are born
inside a transaction inherit the variable and outlive the transaction.
"""

import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from config.driver import DriverConnection
from config.errors import StoreUnavailable, TransactionAborted
from config.pool import Member, Pool

logger = logging.getLogger("countersign.database")

_current: ContextVar["Transaction | None"] = ContextVar("countersign_transaction", default=None)


def open_transaction() -> "Transaction | None":
    """The innermost transaction that is open in this task or was opened by a task that this one came from."""
    transaction = _current.get()
    while transaction is not None and not transaction.is_open:
        transaction = transaction._outer  # noqa: SLF001 - another one of this class
    return transaction


def assert_no_open_transaction() -> None:
    """Raises RuntimeError when a transaction is open: called before every network call."""
    if open_transaction() is not None:
        raise RuntimeError("a network call was about to be made with a database transaction open")


class Transaction:
    """Use as `async with database.transaction(tenant_id) as tx`; made by `Database.transaction` only."""

    __slots__ = ("_callbacks", "_member", "_outer", "_pool", "is_open", "tenant_id")

    def __init__(self, pool: Pool, tenant_id: UUID | None) -> None:
        if tenant_id is not None and not isinstance(tenant_id, UUID):
            raise TypeError(f"a tenant id is a UUID, not {type(tenant_id).__name__}")
        self.tenant_id = tenant_id
        self.is_open = False
        self._pool = pool
        self._member: Member | None = None
        self._outer: Transaction | None = None
        self._callbacks: list[Callable[[], Awaitable[None]]] = []

    @property
    def driver(self) -> DriverConnection:
        """The asyncpg connection: for SQL functions and prepared text on the hot paths."""
        return self._lent().driver

    @property
    def connection(self) -> AsyncConnection:
        """SQLAlchemy's connection on the same server transaction: for Core statements."""
        member = self._lent()
        member.core_used = True
        return member.connection

    def on_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Runs `callback` after a successful commit; its failure is logged and changes nothing."""
        self._lent()
        self._callbacks.append(callback)

    async def commit(self) -> None:
        """Makes the change durable, gives the connection back, then runs the callbacks.

        Not interrupted by cancellation: a cancelled caller is told only after COMMIT was answered.
        Raises TransactionAborted when an earlier statement had failed; StoreUnavailable with
        `outcome_unknown` when the answer never came.
        """
        self._lent()
        await self._pool.settle(self._commit())
        for callback in self._callbacks:
            try:
                await callback()
            except Exception:  # a wake-up is a hint: the sweep finds what it missed
                logger.warning("a callback after commit failed", exc_info=True)

    async def _commit(self) -> None:
        member = self._lent()
        try:
            answer = await member.driver.execute("COMMIT")
        except Exception as error:  # whatever kept the answer from us, COMMIT was on its way
            self._give_up(member)
            raise StoreUnavailable(
                "no answer to COMMIT; the change may have been made", outcome_unknown=True
            ) from error
        except BaseException:  # cancelled in spite of the pool's care: the connection is in the middle of it
            self._give_up(member)
            raise
        if answer != "COMMIT":
            # PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and without an error.
            await self._recover(member)
            raise TransactionAborted(
                "an earlier statement of this transaction had failed; nothing was written"
            )
        if member.core_used:
            await self._recover(member)
        else:
            self._close(member)
            self._pool.release(member)

    async def rollback(self) -> None:
        """Undoes everything since the beginning; the transaction is over."""
        await self._pool.settle(self._recover(self._lent()))

    async def __aenter__(self) -> Self:
        if self._member is not None or self.is_open:
            raise RuntimeError("a transaction is used once")
        begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
        if self.tenant_id is not None:
            begin += f"; SET LOCAL app.tenant = '{self.tenant_id}'"
        self._member = await self._begin(begin)
        self._outer = _current.get()
        self.is_open = True
        _current.set(self)
        return self

    async def _begin(self, begin: str) -> Member:
        """Begins on a lent connection; once more on a new one when the first turns out to be stale."""
        for attempt in (1, 2):
            member = await self._pool.acquire()
            try:
                await member.driver.execute(begin)
            except StoreUnavailable:
                self._pool.discard(member)
                if attempt == 2:
                    raise
                self._pool.discard_idle()  # a restart of the server breaks all of them at once
            except Exception:  # BEGIN has no reason to fail but the connection's state
                self._pool.discard(member)
                raise
            except BaseException:  # cancelled: BEGIN may have been done
                await self._pool.settle(self._pool.recover(member))
                raise
            else:
                return member
        raise AssertionError("unreachable")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.is_open and self._member is not None:
                await self._pool.settle(self._recover(self._member))
        finally:
            if _current.get() is self:
                _current.set(self._outer)

    async def _recover(self, member: Member) -> None:
        try:
            await self._pool.recover(member)
        finally:
            self._close(member)

    def _give_up(self, member: Member) -> None:
        self._close(member)
        self._pool.discard(member)

    def _close(self, member: Member) -> None:
        self.is_open = False
        self._member = None

    def _lent(self) -> Member:
        if self._member is None or not self.is_open:
            raise RuntimeError("the transaction is not open")
        return self._member
