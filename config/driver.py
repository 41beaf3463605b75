"""The asyncpg connection that our pools hold: it counts statements and names a lost store.

Every public call is counted (`Tally`), so that tests and benchmarks can say how many statements and round
trips a use case costs; the one-off PREPARE of a text on a connection is not counted. A connection that is
lost, refused or out of room raises `StoreUnavailable` instead of a driver's or an operating system's error.

json and jsonb travel as text in both directions, on this connection and in Core statements: a column gives
and takes `str` (JSON text); msgspec decodes it where a struct is wanted.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from config.errors import StoreUnavailable


class Tally:
    """How much was asked of the server since the counters were last set to zero."""

    __slots__ = ("round_trips", "statements")

    def __init__(self) -> None:
        self.statements = 0
        self.round_trips = 0


def is_store_loss(error: BaseException) -> bool:
    """Whether the error means "no store", as opposed to "the store refused this statement"."""
    match error:
        case (
            asyncpg.PostgresConnectionError()  # class 08
            | asyncpg.InsufficientResourcesError()  # class 53: connections, memory, disk
            | asyncpg.OperatorInterventionError()  # class 57: shutdown, start-up, statement time-out
            | asyncpg.InternalClientError()
        ):
            return True
        case asyncpg.InterfaceError():
            return False  # decided by the caller, who can ask `is_closed()`; the class alone does not say
        case OSError() | TimeoutError():
            return True
    return False


if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection  # generic in its stubs only


class DriverConnection(_Connection):
    """asyncpg's connection with a tally; created by `config.pool.Pool` only."""

    __slots__ = ("tally",)
    tally: Tally

    def _name_loss(self, error: Exception) -> None:
        """Called with whatever a statement raised, before it is raised on: what says that the store is lost has no
        class in common.
        """
        if is_store_loss(error) or (isinstance(error, asyncpg.InterfaceError) and self.is_closed()):
            raise StoreUnavailable(f"PostgreSQL is not available ({type(error).__name__})") from error

    def _count(self) -> None:
        tally = getattr(self, "tally", None)
        if tally is not None:  # not yet there while the connection is being set up
            tally.statements += 1
            tally.round_trips += 1

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str:
        self._count()
        try:
            return await super().execute(query, *args, timeout=timeout)
        except Exception as error:
            self._name_loss(error)
            raise

    async def executemany(
        self, command: str, args: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        self._count()
        try:
            await super().executemany(command, args, timeout=timeout)
        except Exception as error:
            self._name_loss(error)
            raise

    async def fetch(  # type: ignore[override]  # no record_class: rows are plain
        self, query: str, *args: Any, timeout: float | None = None
    ) -> list[asyncpg.Record]:
        self._count()
        try:
            return await super().fetch(query, *args, timeout=timeout)
        except Exception as error:
            self._name_loss(error)
            raise

    async def fetchrow(  # type: ignore[override]  # no record_class: rows are plain
        self, query: str, *args: Any, timeout: float | None = None
    ) -> asyncpg.Record | None:
        self._count()
        try:
            return await super().fetchrow(query, *args, timeout=timeout)
        except Exception as error:
            self._name_loss(error)
            raise

    async def fetchval(self, query: str, *args: Any, column: int = 0, timeout: float | None = None) -> Any:
        self._count()
        try:
            return await super().fetchval(query, *args, column=column, timeout=timeout)
        except Exception as error:
            self._name_loss(error)
            raise
