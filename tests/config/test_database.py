"""Transactions and single statements against a real PostgreSQL: commit, loss, cancellation, counting."""

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from config.database import Database, assert_no_open_transaction, open_transaction
from config.errors import ConfigError, StoreUnavailable, TransactionAborted
from config.secret import Secret
from gateway.migrations.run import check_roles
from tests.fixtures.store import Store


@pytest.fixture
async def notes(store: Store) -> Database:
    """A table that all three roles may use, without row-level security."""
    await store.owner.execute("CREATE TABLE notes (text text UNIQUE)")
    await store.owner.execute("GRANT ALL ON notes TO countersign_app, countersign_hub")
    return store.app


async def count(database: Database) -> int:
    return await database.fetchval("SELECT count(*) FROM notes")


async def test_transaction_that_commits_is_seen_by_others(notes: Database, store: Store) -> None:
    async with notes.transaction() as tx:
        await tx.driver.execute("INSERT INTO notes VALUES ('kept')")
        assert tx.is_open
        await tx.commit()
        assert not tx.is_open
    assert await count(store.hub) == 1


async def test_transaction_without_commit_is_rolled_back(notes: Database, store: Store) -> None:
    async with notes.transaction() as tx:
        await tx.driver.execute("INSERT INTO notes VALUES ('lost')")
    assert await count(store.hub) == 0


async def test_transaction_that_raises_is_rolled_back_and_the_error_passes(notes: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with notes.transaction() as tx:
            await tx.driver.execute("INSERT INTO notes VALUES ('lost')")
            raise ZeroDivisionError
    assert await count(notes) == 0


async def test_core_and_driver_statements_share_one_server_transaction(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.driver.execute("INSERT INTO notes VALUES ('a')")
        seen = (await tx.connection.execute(sa.text("SELECT count(*), txid_current() FROM notes"))).one()
        assert seen == (1, await tx.driver.fetchval("SELECT txid_current()"))
    assert await count(notes) == 0


async def test_tenant_is_set_for_the_transaction_and_gone_afterwards(notes: Database) -> None:
    tenant = uuid4()
    async with notes.transaction(tenant) as tx:
        assert await tx.driver.fetchval("SELECT current_setting('app.tenant')") == str(tenant)
        await tx.commit()
    assert await notes.fetchval("SELECT current_setting('app.tenant', true)") in {None, ""}


async def test_tenant_that_is_text_is_refused(notes: Database) -> None:
    with pytest.raises(TypeError):
        notes.transaction("'; DROP TABLE notes; --")  # type: ignore[arg-type]


async def test_transaction_costs_two_round_trips_and_its_statements(notes: Database) -> None:
    await notes.fetchval("SELECT 1")
    notes.reset_counters()
    async with notes.transaction(UUID(int=7)) as tx:
        await tx.driver.fetchval("SELECT 1")
        await tx.commit()
    assert (notes.statements, notes.round_trips) == (3, 3)
    await notes.fetchval("SELECT 1")
    assert notes.round_trips == 4


async def test_commit_after_a_failed_statement_is_an_error(notes: Database) -> None:
    with pytest.raises(TransactionAborted):
        async with notes.transaction() as tx:
            await tx.driver.execute("INSERT INTO notes VALUES ('a')")
            with pytest.raises(asyncpg.PostgresError):
                await tx.driver.execute("SELECT 1/0")
            await tx.commit()
    assert await count(notes) == 0


async def test_commit_after_a_failed_core_statement_is_an_error(notes: Database) -> None:
    with pytest.raises(TransactionAborted):
        async with notes.transaction() as tx:
            with pytest.raises(sa.exc.DBAPIError):
                await tx.connection.execute(sa.text("SELECT 1/0"))
            await tx.commit()
    assert await notes.fetchval("SELECT 1") == 1


async def test_callbacks_run_after_commit_and_not_after_rollback(notes: Database) -> None:
    calls: list[int] = []

    async def note() -> None:
        calls.append(await count(notes))

    async def fail() -> None:
        raise OSError("redis is away")

    async with notes.transaction() as tx:
        tx.on_commit(note)
    assert calls == []
    async with notes.transaction() as tx:
        await tx.driver.execute("INSERT INTO notes VALUES ('a')")
        tx.on_commit(fail)
        tx.on_commit(note)
        await tx.commit()
    assert calls == [1]


async def test_transaction_used_after_its_end_is_refused(notes: Database) -> None:
    async with notes.transaction() as tx:
        await tx.commit()
        with pytest.raises(RuntimeError):
            _ = tx.driver
        with pytest.raises(RuntimeError):
            await tx.commit()


async def test_open_transaction_is_seen_in_the_task_and_over_when_it_ends(notes: Database) -> None:
    assert open_transaction() is None
    async with notes.transaction() as tx:
        assert open_transaction() is tx
        with pytest.raises(RuntimeError):
            assert_no_open_transaction()
        async with notes.transaction() as inner:
            assert open_transaction() is inner
            await inner.commit()
            assert open_transaction() is tx
        await tx.commit()
        assert_no_open_transaction()
    assert open_transaction() is None


async def test_task_born_inside_a_transaction_does_not_see_it_after_its_end(notes: Database) -> None:
    ended = asyncio.Event()

    async def child() -> None:
        assert open_transaction() is not None
        await ended.wait()
        assert_no_open_transaction()

    async with notes.transaction() as tx:
        task = asyncio.create_task(child())
        await asyncio.sleep(0)
        await tx.commit()
    ended.set()
    await task


@pytest.mark.parametrize("core", [False, True])
async def test_cancelled_statement_leaves_no_open_transaction_in_the_pool(store: Store, core: bool) -> None:
    database = Database.on_demand(store.app_url, pool_size=1)
    started = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.driver.execute("SELECT 1")
            started.set()
            if core:
                await tx.connection.execute(sa.text("SELECT pg_sleep(60)"))
            else:
                await tx.driver.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(work())
    await started.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The only place of the pool is free again, and what it gives is outside any transaction.
    assert await database.fetchval("SELECT pg_current_xact_id_if_assigned() IS NULL") is True
    async with database.transaction() as tx:
        await tx.commit()
    await database.close()


async def test_cancellation_during_commit_waits_for_the_answer(notes: Database, store: Store) -> None:
    """A deferred constraint makes COMMIT itself slow; the change is made although the caller was cancelled."""
    await store.owner.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END'"
    )
    await store.owner.execute(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    about_to_commit = asyncio.Event()

    async def work() -> None:
        async with notes.transaction() as tx:
            await tx.driver.execute("INSERT INTO notes VALUES ('kept')")
            about_to_commit.set()
            await tx.commit()

    task = asyncio.create_task(work())
    await about_to_commit.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(notes) == 1


async def test_cancelled_single_statement_gives_its_connection_back(store: Store) -> None:
    database = Database.on_demand(store.app_url, pool_size=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await database.execute("SELECT pg_sleep(60)")
    assert await database.fetchval("SELECT 7") == 7
    await database.close()


async def test_transaction_on_a_connection_that_the_server_closed_begins_on_a_new_one(
    notes: Database, store: Store
) -> None:
    async with notes.transaction() as tx:
        first = await tx.driver.fetchval("SELECT pg_backend_pid()")
        await tx.commit()
    # Our own role may end its sessions; the client has not read the goodbye when the next one begins.
    await store.owner.fetchval("SELECT 1")
    other = await asyncpg.connect(store.app_url.reveal())
    assert await other.fetchval("SELECT pg_terminate_backend($1)", first)
    await other.close()
    async with notes.transaction() as tx:
        assert await tx.driver.fetchval("SELECT pg_backend_pid()") != first
        await tx.commit()


async def test_connection_lost_within_a_transaction_is_store_unavailable(
    notes: Database, store: Store
) -> None:
    for use_core in (False, True):
        with pytest.raises(StoreUnavailable) as raised:
            async with notes.transaction() as tx:
                pid = await tx.driver.fetchval("SELECT pg_backend_pid()")
                other = await asyncpg.connect(store.app_url.reveal())
                await other.fetchval("SELECT pg_terminate_backend($1)", pid)
                await other.close()
                if use_core:
                    await tx.connection.execute(sa.text("SELECT 1"))
                else:
                    await tx.driver.execute("SELECT 1")
        assert not raised.value.outcome_unknown
    assert await notes.fetchval("SELECT 1") == 1


async def test_connection_lost_before_commit_is_an_unknown_outcome(notes: Database, store: Store) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        async with notes.transaction() as tx:
            pid = await tx.driver.fetchval("SELECT pg_backend_pid()")
            other = await asyncpg.connect(store.app_url.reveal())
            await other.fetchval("SELECT pg_terminate_backend($1)", pid)
            await other.close()
            await tx.commit()
    assert raised.value.outcome_unknown


async def test_exhausted_pool_is_store_unavailable(store: Store) -> None:
    database = Database.on_demand(store.app_url, pool_size=1, acquire_timeout_s=0.05)
    async with database.transaction():
        with pytest.raises(StoreUnavailable):
            await database.fetchval("SELECT 1")
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


async def test_statement_over_its_time_is_store_unavailable(store: Store) -> None:
    database = Database.on_demand(store.app_url, statement_timeout_s=0.05)
    with pytest.raises(StoreUnavailable):
        await database.execute("SELECT pg_sleep(10)")
    await database.close()


async def test_connect_with_a_wrong_password_or_no_server_says_so_without_the_password(store: Store) -> None:
    wrong = Secret(store.app_url.reveal().replace("@", "x@"))
    with pytest.raises(ConfigError) as raised:
        await Database.connect(wrong)
    assert wrong.reveal().split(":")[2].split("@")[0] not in repr(raised.value.__dict__) + str(raised.value)
    with pytest.raises(StoreUnavailable):
        await Database.connect(Secret("postgresql://a:b@127.0.0.1:1/x"))
    with pytest.raises(ConfigError):
        await Database.connect(Secret("mysql://a:b@127.0.0.1:1/x"))


async def test_jsonb_travels_as_text_on_the_driver_connection_and_in_core_statements(notes: Database) -> None:
    table = sa.table("notes_json", sa.column("body", postgresql.JSONB))
    text = '{"a": [1]}'
    assert await notes.fetchval("SELECT $1::jsonb", text) == text
    async with notes.transaction() as tx:
        await tx.driver.execute("CREATE TEMPORARY TABLE notes_json (body jsonb) ON COMMIT DROP")
        await tx.connection.execute(table.insert().values(body=text))
        assert (await tx.connection.execute(sa.select(table.c.body))).scalar_one() == text
        assert await tx.driver.fetchval("SELECT body FROM notes_json WHERE body->'a' = '[1]'") == text
        with pytest.raises(sa.exc.StatementError):
            await tx.connection.execute(table.insert().values(body={"a": 1}))


class OldServer:
    """Answers the start-up check as a server of an unsupported version would."""

    async def fetchrow(self, sql: str) -> dict[str, object]:
        return {"version": 140012, "rolsuper": False, "rolbypassrls": False, "rolname": "x", "owned": None}


async def test_server_older_than_fifteen_is_refused() -> None:
    with pytest.raises(ConfigError, match="PostgreSQL 15"):
        await check_roles(OldServer())  # type: ignore[arg-type]


async def test_second_cancellation_during_commit_neither_breaks_it_nor_adds_a_place(
    notes: Database, store: Store
) -> None:
    """A shutdown that loses patience cancels twice: COMMIT is still waited for, and the pool keeps its size."""
    await store.owner.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'"
    )
    await store.owner.execute(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON notes DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    database = Database.on_demand(store.app_url, pool_size=1, acquire_timeout_s=0.2)
    about_to_commit = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.driver.execute("INSERT INTO notes VALUES ('kept')")
            about_to_commit.set()
            await tx.commit()

    task = asyncio.create_task(work())
    await about_to_commit.wait()
    for _ in range(2):
        await asyncio.sleep(0.05)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await count(notes) == 1
    async with database.transaction() as tx:
        with pytest.raises(StoreUnavailable, match="no database connection became free"):
            await database.fetchval("SELECT 1")
        await tx.rollback()
    await database.close()
