"""Nobody changes an entry: not the logins, not the owner, and not a superuser by accident."""

import asyncpg
import pytest

from tests.ledger.builders import OTHER, TENANT, make_event
from tests.ledger.test_record import record
from tests.shared_postgres import SHARED

CHANGES = [
    "UPDATE ledger_entries SET body = 'x'",
    "DELETE FROM ledger_entries",
    "TRUNCATE ledger_entries",
    "DELETE FROM ledger_heads",
    "TRUNCATE ledger_heads",
]
WRITES = [
    *CHANGES,
    "UPDATE ledger_heads SET seq = 0",
    "INSERT INTO ledger_entries SELECT * FROM ledger_entries",
    "INSERT INTO ledger_heads SELECT * FROM ledger_heads",
]


async def superuser(store):
    return await asyncpg.connect(SHARED.url("postgres", store.name).reveal())


@pytest.mark.parametrize("role", ["app", "hub", "owner"])
@pytest.mark.parametrize("statement", WRITES)
async def test_login_roles_cannot_write_the_ledger_directly(store, ledger, role, statement):
    await record(ledger, store.app, make_event())
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with getattr(store, role).transaction(TENANT) as tx:
            await tx.driver.execute(statement)


@pytest.mark.parametrize("statement", CHANGES)
@pytest.mark.parametrize("replication", ["origin", "replica"])
async def test_superuser_is_stopped_by_triggers_that_even_replication_mode_does_not_skip(
    store, ledger, statement, replication
):
    await record(ledger, store.app, make_event())
    connection = await superuser(store)
    try:
        await connection.execute(f"SET session_replication_role = {replication}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await connection.execute(statement)
    finally:
        await connection.close()
    assert await store.hub.fetchval("SELECT count(*) FROM ledger_entries") == 1


async def test_append_functions_belong_to_a_role_that_cannot_log_in_and_fix_their_search_path(store):
    rows = await store.hub.fetch(
        "SELECT proname, prosecdef, proconfig, rolname, rolcanlogin FROM pg_proc JOIN pg_roles r ON r.oid = proowner"
        " WHERE proname IN ('ledger_append', 'ledger_append_one', 'record_events') ORDER BY proname"
    )
    assert len(rows) == 3
    for row in rows:
        assert (row["prosecdef"], row["rolname"], row["rolcanlogin"]) == (True, "countersign_ledger", False)
        assert row["proconfig"] == ["search_path=pg_catalog, public, pg_temp"]


async def test_tenant_sees_its_own_entries_only(store, ledger):
    await record(ledger, store.app, make_event())
    async with store.app.transaction(TENANT) as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM ledger_entries") == 1
    async with store.app.transaction(OTHER) as tx:
        assert await tx.driver.fetchval("SELECT count(*) FROM ledger_entries") == 0
        assert await tx.driver.fetchval("SELECT count(*) FROM ledger_heads") == 0


async def test_append_to_something_that_is_no_chain_is_refused(store):
    with pytest.raises(asyncpg.InvalidParameterValueError, match="not a chain"):
        async with store.app.transaction(TENANT) as tx:
            await tx.driver.fetch(
                "SELECT * FROM ledger_append_one($1, 'env:nonsense', $1, 'a', 'b', 'c', now(), 'x')", TENANT
            )


async def test_append_of_nothing_locks_and_begins_no_chain_of_another_tenant(store):
    chains = [f"envelope:{OTHER}", f"workflow:{OTHER}"]
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="another tenant"):
        async with store.app.transaction(TENANT) as tx:
            await tx.driver.fetchrow(
                "SELECT ledger_append($1, $2, '{}', '{}', '{}', '{}', '{}', '{}')", [OTHER, OTHER], chains
            )
    assert await store.hub.fetchval("SELECT count(*) FROM ledger_heads") == 0
