"""The signing engine: its envelopes, ceremony, notices, certificates, and what was examined."""

from gateway.migrations.sql_files import execute_sql_files

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute_sql_files(revision)
