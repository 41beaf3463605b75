"""Pages of the feeds on tables that have grown: each reads about what it tells, however long the feed is.

Asked often enough that PostgreSQL may have settled for a generic plan.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg

from config.database import Transaction
from normalizer.vocabulary import EventType
from tests.fixtures.store import Store
from tests.shared_postgres import SHARED
from webhooks.outbound.feed import (
    WINDOW,
    FeedFilter,
    read_endpoint_feed,
    read_feed,
)

ROWS = 30_000
PAGE = 100
ENOUGH = 4  # rows per event that is looked at: its number, itself, its delivery, and a place in an index
TENANT = UUID(int=7)
ENDPOINT = UUID(int=8)
_FILL = (
    f"INSERT INTO tenants (id, name) VALUES ('{TENANT}', 'grown')",
    (
        "INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
        f" SELECT '{TENANT}', lpad(to_hex(i), 32, '0')::uuid, 'envelope.sent',"
        f" lpad(to_hex(i % {ROWS // 10}), 32, '0')::uuid, now(), '{{}}' FROM generate_series(1, {ROWS}) i"
    ),
    (
        "INSERT INTO event_feed (tenant_id, seq, event_id)"
        f" SELECT '{TENANT}', i, lpad(to_hex(i), 32, '0')::uuid FROM generate_series(1, {ROWS}) i"
    ),
    f"INSERT INTO event_feed_heads (tenant_id, next_seq) VALUES ('{TENANT}', {ROWS + 1})",
    (
        "INSERT INTO webhook_endpoints (tenant_id, id, url, secret, next_sequence)"
        f" VALUES ('{TENANT}', '{ENDPOINT}', 'https://x.example', '', {ROWS + 1})"
    ),
    (
        "INSERT INTO deliveries (tenant_id, id, event_id, endpoint_id, sequence, state, due_at)"
        f" SELECT '{TENANT}', gen_random_uuid(), lpad(to_hex(i), 32, '0')::uuid, '{ENDPOINT}', i, 'succeeded', now()"
        f" FROM generate_series(1, {ROWS}) i"
    ),
)
_QUESTIONS = 7  # from the sixth on a plan may be generic


class InOne:
    """Gives every transaction that is asked for as this one, so that what they read can be counted."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    @contextlib.asynccontextmanager
    async def transaction(self, _tenant_id: UUID) -> AsyncIterator[Transaction]:
        yield self._tx


async def filled(store: Store) -> None:
    connection = await asyncpg.connect(SHARED.url("postgres", store.name).reveal())
    try:
        await connection.execute("SET session_replication_role = replica")  # only for the filling
        for statement in _FILL:
            await connection.execute(statement)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def rows_read(tx: Transaction) -> int:
    return await tx.driver.fetchval(
        "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint"
        " FROM pg_stat_xact_user_tables WHERE schemaname = 'public'"
    )


async def test_pages_of_long_feeds_read_about_what_they_tell(store: Store) -> None:
    await filled(store)
    questions = {
        "the beginning": (0, {}, PAGE),
        "the middle": (ROWS // 2, {}, PAGE),
        "the end": (ROWS, {}, 0),
        "a type that is nowhere": (ROWS // 2, {"types": (EventType.ENVELOPE_VOIDED,)}, WINDOW),
        "one envelope": (0, {"envelope_id": UUID(int=77)}, 10),
    }
    async with store.app.transaction(TENANT) as tx:
        database: Any = InOne(tx)
        for name, (after, given, told) in questions.items():
            wanted = FeedFilter(after=after, limit=PAGE, **given)
            for _ in range(_QUESTIONS):
                before = await rows_read(tx)
                page = await read_feed(database, TENANT, wanted)
                read = await rows_read(tx) - before
                assert read <= ENOUGH * told + 50, name
                assert len(page.bodies) == (0 if told == WINDOW else told), name
        for after in (0, ROWS // 2, ROWS):
            for _ in range(_QUESTIONS):
                before = await rows_read(tx)
                owed = await read_endpoint_feed(database, TENANT, ENDPOINT, after=after, limit=PAGE)
                assert await rows_read(tx) - before <= ENOUGH * PAGE + 50, after
                assert len(owed.events) == (0 if after == ROWS else PAGE)
