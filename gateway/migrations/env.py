"""Alembic's entry: uses the connection that `gateway.migrations.run.migrate` opened.

There is no alembic.ini and no offline mode: the only way to migrate is `migrate(owner_url)`.
"""

from alembic import context
from sqlalchemy import Connection

from config.database import metadata


def run_on(connection: Connection) -> None:
    # One transaction per revision: a failed revision leaves the one before it whole.
    context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


run_on(context.config.attributes["connection"])
