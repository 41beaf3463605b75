"""Connections to PostgreSQL, opened on demand, kept open, lent to one transaction at a time.

A member is a pair: SQLAlchemy's AsyncConnection in AUTOCOMMIT and the asyncpg connection beneath it, checked
out of the engine once and for good. Lending one is then a deque's pop: no reset query, no pre-ping, no
greenlet (SQLAlchemy's own check-out costs a transaction about a third of its rate).
MUST never lend a connection that is closed or inside a transaction; must never run a statement twice: only
opening is repeated, by whoever lends (see `config.transaction`).
"""

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from config.driver import DriverConnection, Tally, is_store_loss
from config.errors import ConfigError, StoreUnavailable
from config.secret import Secret

logger = logging.getLogger("countersign.database")

_RECOVERY_S = 5.0  # how long a cancelled statement may take to stop before its connection is thrown away


@dataclass(slots=True, eq=False)
class Member:
    connection: AsyncConnection
    driver: DriverConnection
    core_used: bool = False  # SQLAlchemy began its own (empty) transaction, which must be closed


class Pool:
    def __init__(
        self,
        url: Secret,
        *,
        size: int,
        application_name: str,
        acquire_timeout_s: float,
        connect_timeout_s: float,
        statement_timeout_s: float,
    ) -> None:
        self.tally = Tally()
        self._dsn = Secret(_driver_dsn(url))
        self._slots = asyncio.Semaphore(size)
        self._acquire_timeout_s = acquire_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._statement_timeout_s = statement_timeout_s
        self._settings = {
            "application_name": application_name,
            "default_transaction_isolation": "read committed",
            "idle_in_transaction_session_timeout": "60s",
            "jit": "off",
            "statement_timeout": f"{int(statement_timeout_s * 1000)}ms",
        }
        self._idle: deque[Member] = deque()
        self._pending: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._engine = self._create_engine()

    def _create_engine(self) -> AsyncEngine:
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=self._connect,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            json_serializer=_json_text,
            json_deserializer=_json_text,
        )
        event.listen(engine.sync_engine, "before_cursor_execute", self._count_core)
        event.listen(engine.sync_engine, "handle_error", _name_loss)
        return engine

    def _count_core(self, *_: object) -> None:
        self.tally.statements += 1
        self.tally.round_trips += 1

    async def _connect(self) -> DriverConnection:
        connection: DriverConnection = await asyncpg.connect(
            self._dsn.reveal(),
            connection_class=DriverConnection,
            timeout=self._connect_timeout_s,
            # Later than the server's own statement time-out: it speaks only when the server hangs.
            command_timeout=self._statement_timeout_s + 5,
            server_settings=self._settings,
        )
        return connection

    async def acquire(self) -> Member:
        """An idle member that is not known to be closed, or a new one; waits for a free place."""
        if self._closed:
            raise StoreUnavailable("the database was closed")
        if self._slots.locked():
            try:
                async with asyncio.timeout(self._acquire_timeout_s):
                    await self._slots.acquire()
            except TimeoutError as error:
                raise StoreUnavailable("no database connection became free in time") from error
        else:
            await self._slots.acquire()  # does not wait
        try:
            while self._idle:
                member = self._idle.pop()
                if not member.driver.is_closed():
                    return member
                await self._throw_away(member)
            return await self._open()
        except BaseException:  # cancelled too: the place belongs to whoever waits next
            self._slots.release()
            raise

    async def _open(self) -> Member:
        try:
            connection = await self._engine.connect()
        except (
            SQLAlchemyError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            OSError,
            TimeoutError,
        ) as error:
            cause = getattr(error, "driver_exception", error)
            if isinstance(
                cause, asyncpg.InvalidAuthorizationSpecificationError | asyncpg.InvalidCatalogNameError
            ):
                raise ConfigError(f"PostgreSQL refuses the connection ({type(cause).__name__})") from error
            raise StoreUnavailable(f"PostgreSQL cannot be reached ({type(cause).__name__})") from error
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        if not isinstance(driver, DriverConnection):
            raise TypeError("the engine did not use our connection class")
        driver.tally = self.tally
        return Member(connection, driver)

    def release(self, member: Member) -> None:
        """Takes a member back; it must be outside any transaction."""
        if self._closed or member.driver.is_closed() or member.driver.is_in_transaction():
            self.discard(member)
            return
        self._idle.append(member)
        self._slots.release()

    def discard(self, member: Member) -> None:
        """Closes a member that cannot be trusted and frees its place."""
        member.driver.terminate()
        self._slots.release()
        self._spawn(self._throw_away(member))

    def discard_idle(self) -> None:
        """Closes every idle member: after one was found stale the others are likely to be."""
        while self._idle:
            self._spawn(self._throw_away(self._idle.pop()))

    async def recover(self, member: Member) -> None:
        """Rolls back whatever is open, then takes the member back; throws it away when that fails."""
        try:
            async with asyncio.timeout(_RECOVERY_S):
                if member.core_used:
                    member.core_used = False
                    await member.connection.rollback()
                if not member.driver.is_closed():
                    await member.driver.execute("ROLLBACK")
        except Exception:  # whatever failed, the answer is a fresh connection
            logger.warning("connection thrown away after a failed rollback", exc_info=True)
            self.discard(member)
        except BaseException:  # cancelled: what the server has done by then is unknown
            self.discard(member)
            raise
        else:
            self.release(member)

    async def settle(self, work: Coroutine[Any, Any, None]) -> None:
        """Lets `work` finish however often the caller is cancelled; the cancellation is raised afterwards.

        Whoever leaves early would let the caller's own clean-up use the connection beside `work`.
        """
        task = self._spawn(work)
        cancellation: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError as error:
                cancellation = error
        if cancellation is None:
            task.result()
            return
        if not task.cancelled():
            task.exception()  # the caller is leaving: marked as seen
        raise cancellation

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    async def _throw_away(self, member: Member) -> None:
        member.driver.terminate()
        try:
            await member.connection.invalidate()
            await member.connection.close()
        except Exception:  # it was broken already; nothing depends on it any more
            logger.debug("a broken connection could not be closed", exc_info=True)

    async def close(self) -> None:
        """Closes what is idle; what is still lent is closed when it comes back."""
        self._closed = True
        while self._pending:
            await asyncio.wait(set(self._pending))
        while self._idle:
            await self._close_member(self._idle.pop())
        await self._engine.dispose()

    async def _close_member(self, member: Member) -> None:
        try:
            async with asyncio.timeout(_RECOVERY_S):
                await member.connection.close()
        except Exception:  # the server went first
            logger.debug("a connection could not be closed in order", exc_info=True)
            await self._throw_away(member)


def _name_loss(context: ExceptionContext) -> None:
    """SQLAlchemy's hook: a lost store has the same name on Core's path as on the driver's."""
    error: BaseException | None = context.original_exception
    while isinstance(error, Exception):  # a cancellation stays one, though it costs the connection
        if isinstance(error, StoreUnavailable):
            raise error
        if is_store_loss(error) or context.is_disconnect:
            raise StoreUnavailable(f"PostgreSQL is not available ({type(error).__name__})") from error
        error = error.__cause__


def _json_text(value: object) -> str:
    """SQLAlchemy's hook, both ways: json and jsonb are text to us, whoever wants structs decodes them."""
    if not isinstance(value, str):
        raise TypeError(f"a json column takes JSON text, not {type(value).__name__}")
    return value


def _driver_dsn(url: Secret) -> str:
    """The URL as asyncpg reads it; both `postgresql://` and `postgresql+asyncpg://` are accepted."""
    try:
        parsed = make_url(url.reveal())
    except (SQLAlchemyError, ValueError) as error:
        raise ConfigError(
            "a database URL cannot be read; expected postgresql://user:password@host/name"
        ) from (None if url.reveal() in str(error) else error)
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise ConfigError(f"a database URL must begin with postgresql://, not {parsed.drivername}://")
    return parsed.set(drivername="postgresql").render_as_string(hide_password=False)
