"""Runs a revision's SQL files (sql/<revision>_*.sql, in the order of their names) in its transaction.

The files hold many statements each, functions among them, so they go to the driver whole: SQLAlchemy would
split or prepare them. Must never be given a file that ends its transaction (COMMIT is refused).
"""

from pathlib import Path
from typing import Any

import asyncpg
from alembic import op

from config.errors import ConfigError

_FOLDER = Path(__file__).with_name("sql")


def execute_sql_files(revision: str) -> None:
    """Raises ConfigError with file, line and PostgreSQL's message when a statement fails."""
    files = sorted(_FOLDER.glob(f"{revision}_*.sql"))
    if not files:
        raise ConfigError(f"revision {revision} has no SQL files; the installation is incomplete")
    bind = op.get_bind()
    bind.exec_driver_sql("SELECT 1")  # SQLAlchemy sends BEGIN with the first statement: now
    connection: Any = bind.connection.dbapi_connection
    for path in files:
        connection.run_async(lambda driver, path=path: _execute_file(driver, path))


async def _execute_file(driver: "asyncpg.Connection[asyncpg.Record]", path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if not driver.is_in_transaction():
        raise ConfigError(f"{path.name} would run outside its revision's transaction")
    try:
        await driver.execute(text)
    except asyncpg.PostgresError as error:
        position = int(getattr(error, "position", None) or 0)
        line = text.count("\n", 0, position) + 1 if position else "?"
        detail = getattr(error, "detail", None) or ""
        raise ConfigError(f"{path.name}, line {line}: {error} {detail}".strip()) from error
    if not driver.is_in_transaction():
        raise ConfigError(f"{path.name} ended its revision's transaction")
