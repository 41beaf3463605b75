"""The database as the migrations leave it: row-level security everywhere, and our tables as they are declared."""

from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import inspect

from config.database import metadata
from gateway.envelopes import tables
from tests.fixtures.store import Store

# Not a tenant's: the registry of tenants itself, and what belongs to the installation.
_WITHOUT_TENANT = {"tenants", "system_secrets", "schedules", "jobs", "alembic_version"}


async def test_every_table_with_a_tenant_is_under_forced_row_level_security(store: Store) -> None:
    rows = await store.owner.fetch(
        "SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,"
        " EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id'"
        "  AND NOT a.attisdropped) AS tenanted,"
        " EXISTS (SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policy"
        " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
    )
    open_tables = {row["name"] for row in rows if not (row["forced"] and row["has_policy"])}
    assert {row["name"] for row in rows if row["tenanted"]} & open_tables == set()
    assert open_tables <= _WITHOUT_TENANT


async def test_a_read_without_a_tenant_is_an_error_and_not_an_empty_answer(store: Store) -> None:
    with pytest.raises(Exception, match="no tenant is set"):
        await store.app.fetch("SELECT * FROM envelopes")


async def test_an_argument_cannot_take_a_tenants_transaction_to_another_tenant(store: Store) -> None:
    tenant, other = uuid4(), uuid4()
    async with store.app.transaction(tenant) as tx:
        assert await tx.driver.fetchval("SELECT load_envelope($1, $2, false)", tenant, uuid4()) is None
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="another tenant"):
            await tx.driver.fetchval("SELECT load_envelope($1, $2, false)", other, uuid4())


async def test_the_app_role_owns_nothing_and_cannot_bypass(store: Store) -> None:
    row = await store.app.fetchrow(
        "SELECT r.rolsuper, r.rolbypassrls, (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid) AS owned"
        " FROM pg_roles r WHERE r.rolname = current_user"
    )
    assert row is not None
    assert tuple(row.values()) == (False, False, 0)


async def test_declared_tables_equal_the_database(store: Store) -> None:
    async with store.owner.transaction() as tx:
        found = await tx.connection.run_sync(
            lambda connection: {
                name: {
                    column["name"]: (column["type"].compile(connection.dialect), column["nullable"])
                    for column in inspect(connection).get_columns(name)
                }
                for name in metadata.tables
            }
        )
        declared = await tx.connection.run_sync(
            lambda connection: {
                name: {
                    column.name: (column.type.compile(connection.dialect), bool(column.nullable))
                    for column in table.columns
                }
                for name, table in metadata.tables.items()
            }
        )
    assert tables.envelopes.name in declared
    assert found == declared
