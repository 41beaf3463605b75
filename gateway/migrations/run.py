"""Brings a database to the newest revision, and checks at start-up that the roles protect the rows."""

from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.engine.url import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from config.database import Database
from config.errors import ConfigError, StoreUnavailable
from config.secret import Secret

_LOCK = 7260241  # any constant: one migration at a time per database
_OLDEST_SERVER = 150000


async def migrate(owner_url: Secret) -> None:
    """Applies every revision that is missing; several processes may call it at once.

    Raises ConfigError when a revision fails (its transaction is rolled back, the earlier ones stay).
    """
    url = make_url(owner_url.reveal()).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": 10})
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
            await connection.commit()  # the lock is the session's and outlives this
            await connection.run_sync(_upgrade)
    except (OSError, TimeoutError) as error:
        raise StoreUnavailable("PostgreSQL cannot be reached for the migration") from error
    except DBAPIError as error:
        raise ConfigError(f"the migration failed: {error.orig}") from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    # Every process imports this module for its check of the roles, and few migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    # A % in a path would be read as interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def check_roles(app: Database, hub: Database | None = None) -> None:
    """Raises ConfigError unless row-level security holds for app and the hub role can do its work."""
    row = await app.fetchrow(
        """
        SELECT current_setting('server_version_num')::int AS version, rolsuper, rolbypassrls, rolname,
               (SELECT string_agg(c.relname, ', ') FROM (
                    SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                     WHERE relkind IN ('r', 'p') AND nspname NOT IN ('pg_catalog', 'information_schema')
                       AND nspname NOT LIKE 'pg_toast%' AND nspname NOT LIKE 'pg_temp%'
                       AND pg_has_role(current_user, relowner, 'MEMBER') LIMIT 3) c) AS owned
          FROM pg_roles WHERE rolname = current_user
        """
    )
    if row is None:
        raise ConfigError("PostgreSQL does not know the role of DATABASE_URL")
    if row["version"] < _OLDEST_SERVER:
        raise ConfigError(f"PostgreSQL 15 or later is needed, the server says {row['version']}")
    if row["rolsuper"] or row["rolbypassrls"]:
        raise ConfigError(
            f"DATABASE_URL uses the role {row['rolname']}, for which row-level security does not hold; "
            "use a role with NOSUPERUSER NOBYPASSRLS"
        )
    if row["owned"]:
        raise ConfigError(
            f"DATABASE_URL uses the role {row['rolname']}, which owns tables ({row['owned']}); "
            "only DATABASE_OWNER_URL may"
        )
    if hub is not None:
        await _check_hub(hub)


async def _check_hub(hub: Database) -> None:
    row = await hub.fetchrow(
        "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    if row is None or row["rolsuper"]:
        raise ConfigError("DATABASE_HUB_URL must not use a superuser")
    if not row["rolbypassrls"]:
        raise ConfigError(f"DATABASE_HUB_URL uses the role {row['rolname']}, which lacks BYPASSRLS")
