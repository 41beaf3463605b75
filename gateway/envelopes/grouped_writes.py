"""Lets what concurrent requests write of one tenant's envelopes at the same moment share one statement.

Nobody waits for company: who finds a writer free writes at once, and what comes while both are busy goes with the
next statement. A group is one tenant's, so row-level security sees nothing new. It is written whole or not at all:
when it is refused, nothing was written and each of its members must be written alone, which finds out whose fault
it was.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from itertools import chain
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg
import msgspec

from config.database import Database
from config.errors import StoreUnavailable
from gateway.envelopes.model import StoredEnvelope

Given = TypeVar("Given")
Made = TypeVar("Made")
Columns = tuple[list[object], ...]
logger = logging.getLogger("countersign.envelopes")

_WRITERS = 2  # per group: the second uses the time in which the first waits for the disk
_MOST = 32  # in one statement
_INSERT = (
    "SELECT insert_envelopes_recorded($1, $2::jsonb, $3::jsonb, $4, $5, $6,"
    " $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
)
_END = (
    "SELECT * FROM end_dispatches_recorded($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb[], $11,"
    " $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)"
)


class Insertion(msgspec.Struct, frozen=True, kw_only=True):
    """`envelope` as it will be stored, all of its documents new and nothing of it ciphertext. `record`: what
    Recorder.prepare made.
    """

    envelope: StoredEnvelope
    claim: dict[str, Any] | None
    record: Columns


class Ending(msgspec.Struct, frozen=True):
    """`row`: the arguments of end_dispatch."""

    row: tuple[Any, ...]
    record: Columns


class Dispatching(msgspec.Struct, frozen=True):
    """What the members of a group of new envelopes that go out now have in common."""

    stamp: str
    deadline_s: float
    mode: str


class GroupedWrites:
    """One per event loop and database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insertions: Together[Insertion, bool] = Together(self._insert)
        self._endings: Together[Ending, asyncpg.Record] = Together(self._end)

    async def insert(self, insertion: Insertion, dispatching: Dispatching | None) -> bool:
        """False: nothing was written, and the envelope must be written alone. Raises StoreUnavailable with
        `outcome_unknown` when no answer came.
        """
        key = (insertion.envelope.tenant_id, dispatching)
        return bool(await self._insertions(key, insertion))

    async def end(self, tenant_id: UUID, ending: Ending) -> asyncpg.Record | None:
        """What end_dispatch answers; None: nothing was written, and it must be ended alone. Raises StoreUnavailable
        with `outcome_unknown` when no answer came.
        """
        return await self._endings(tenant_id, ending)

    async def _insert(self, key: Any, group: Sequence[Insertion]) -> Sequence[bool]:
        tenant_id, dispatching = key
        claims = [one.claim for one in group if one.claim is not None]
        await self._database.execute(
            _INSERT,
            tenant_id,
            msgspec.json.encode([one.envelope for one in group]).decode(),
            msgspec.json.encode(claims).decode(),
            *((dispatching.stamp, dispatching.deadline_s, dispatching.mode) if dispatching else (None,) * 3),
            *_joined([one.record for one in group]),
        )
        return [True] * len(group)

    async def _end(self, tenant_id: Any, group: Sequence[Ending]) -> Sequence[asyncpg.Record]:
        columns = [list(column) for column in zip(*(one.row[1:] for one in group), strict=True)]
        return await self._database.fetch(_END, tenant_id, *columns, *_joined([one.record for one in group]))


class Together(Generic[Given, Made]):
    """Calls `write` with what was given under one key, in the order given; its answers are in that order too."""

    def __init__(self, write: Callable[[Any, Sequence[Given]], Awaitable[Sequence[Made]]]) -> None:
        self._write = write
        self._groups: dict[Hashable, _Group] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, key: Hashable, given: Given) -> Made | None:
        """None: the group was refused, and nothing of it was written. Whoever is cancelled meanwhile has been
        written all the same.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Made | None] = loop.create_future()
        group = self._groups.setdefault(key, _Group())
        group.waiting.append((given, answer))
        if group.writers < _WRITERS:
            group.writers += 1
            # In an empty context: nothing of the first caller's (a transaction, a request's id) is the others'.
            task = loop.create_task(self._work(key, group), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self, key: Hashable, group: "_Group") -> None:
        try:
            while group.waiting:
                members = [group.waiting.popleft() for _ in range(min(_MOST, len(group.waiting)))]
                await self._write_group(key, members)
        finally:
            group.writers -= 1
            if not group.writers:
                del self._groups[key]
                for _, answer in group.waiting:  # left behind only when this task was cancelled
                    answer.cancel()

    async def _write_group(self, key: Hashable, members: Sequence[tuple[Any, asyncio.Future[Any]]]) -> None:
        try:
            made: Sequence[Any] = await self._write(key, [given for given, _ in members])
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as refusal:
            # By the server, or before anything was sent: a value of one of them has no form there.
            if len(members) > 1:
                logger.warning("%d writes are done one by one: %s", len(members), type(refusal).__name__)
            made = [None] * len(members)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the members' to raise
            for _, answer in members:
                if not answer.done():
                    answer.set_exception(_own(error))
            return
        except BaseException:  # cancelled: nobody else will answer them
            for _, answer in members:
                answer.cancel()
            raise
        for (_, answer), one in zip(members, made, strict=True):
            if not answer.done():
                answer.set_result(one)


class _Group:
    __slots__ = ("waiting", "writers")

    def __init__(self) -> None:
        self.waiting: deque[tuple[Any, asyncio.Future[Any]]] = deque()
        self.writers = 0


def _own(error: Exception) -> Exception:
    """One for each: an error that many raise would collect the tracebacks of all of them."""
    if not isinstance(error, StoreUnavailable):
        return error
    lost = StoreUnavailable("no answer to the write of an envelope", outcome_unknown=True)
    lost.__cause__ = error
    return lost


def _joined(records: Sequence[Columns]) -> list[list[object]]:
    return [list(chain.from_iterable(column)) for column in zip(*records, strict=True)]
