"""The first schema: tenants, envelopes, inbox, outbox, ledger, keys, and the functions that write them."""

from gateway.migrations.sql_files import execute_sql_files

revision = "0001"
down_revision = None


def upgrade() -> None:
    execute_sql_files(revision)
