"""The webhook hub: what an endpoint may ask for, its health, the feed, replay jobs, the portal, inbound doubts."""

from gateway.migrations.sql_files import execute_sql_files

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    execute_sql_files(revision)
