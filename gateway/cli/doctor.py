"""`countersign doctor`: looks at everything that a start needs and says in words what is wrong.

Goes on after a fault, so that all are told at once. Must never show a secret, and must change nothing (the
embedded stores are started and migrated for it, as any command does).
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

from redis.exceptions import RedisError

from config.blobs import open_objects
from config.database import Database
from config.errors import ConfigError, StoreUnavailable
from config.logging import configure_logging
from config.master_keys import load_key_wrapper
from config.queue import open_redis
from config.secret import Secret
from config.settings import Settings
from config.settings_source import load_settings
from gateway.cli.doctor_finding import Finding
from gateway.cli.printing import print_json
from gateway.cli.stores import reach_stores
from gateway.migrations.run import check_roles


def doctor(options: argparse.Namespace) -> int:
    """Status 1 when something is wrong."""
    configure_logging("critical")
    findings = asyncio.run(_examine())
    if options.json:
        print_json({"ok": all(one.ok for one in findings), "findings": findings})
    else:
        for one in findings:
            print(f"{_mark(one)}  {one.what}: {one.says}")
    return 0 if all(one.ok for one in findings) else 1


def _mark(finding: Finding) -> str:
    if not finding.ok:
        return "WRONG"
    return "note " if finding.note else "ok   "


async def _examine() -> list[Finding]:
    try:
        settings = load_settings()
    except ConfigError as error:
        return [Finding("settings", ok=False, says=str(error))]
    findings = [Finding("settings", ok=True, says=f"{settings.countersign.mode} mode")]
    async with AsyncExitStack() as stack:
        try:
            settings = await stack.enter_async_context(reach_stores(settings))
        except (ConfigError, StoreUnavailable) as error:
            return [*findings, Finding("stores", ok=False, says=str(error))]
        findings += [one async for one in _examine_stores(settings)]
        findings += [_examine_master_key(settings), _examine_blobs(settings)]
        if all(one.ok for one in findings):
            findings += await _examine_connections(settings)
    return findings


async def _examine_stores(settings: Settings) -> AsyncIterator[Finding]:
    opened: dict[str, Database] = {}
    async with AsyncExitStack() as stack:
        for variable, url in (
            ("DATABASE_URL", settings.database.url),
            ("DATABASE_OWNER_URL", settings.database.owner_url),
            ("DATABASE_HUB_URL", settings.database.hub_url),
        ):
            try:
                if url is None:
                    raise ConfigError("is not set")
                database = await Database.connect(url, pool_size=1, connect_timeout_s=5)
                opened[variable] = await stack.enter_async_context(database)
                version = await opened[variable].fetchval("SHOW server_version")
                yield Finding(variable, ok=True, says=f"PostgreSQL {version} answers")
            except (ConfigError, StoreUnavailable, OSError, ValueError) as error:
                yield Finding(variable, ok=False, says=f"{error}; check address, password and that it runs")
        if "DATABASE_URL" in opened:
            try:
                await check_roles(opened["DATABASE_URL"], opened.get("DATABASE_HUB_URL"))
                yield Finding("roles", ok=True, says="row-level security holds for the app role")
            except (ConfigError, StoreUnavailable) as error:
                yield Finding("roles", ok=False, says=str(error))
        if "DATABASE_OWNER_URL" in opened:
            yield await _examine_migrations(opened["DATABASE_OWNER_URL"])
    yield await _examine_redis(settings.redis.url)


async def _examine_migrations(owner: Database) -> Finding:
    from gateway.cli.revisions import newest_revision

    newest = newest_revision()
    try:
        if await owner.fetchval("SELECT to_regclass('alembic_version') IS NULL"):
            return Finding("migrations", ok=False, says="none was applied; run `countersign migrate`")
        current = await owner.fetchval("SELECT version_num FROM alembic_version")
    except StoreUnavailable as error:
        return Finding("migrations", ok=False, says=str(error))
    if current != newest:
        return Finding(
            "migrations",
            ok=False,
            says=f"the database is at {current}, this version needs {newest}; run `countersign migrate`",
        )
    return Finding("migrations", ok=True, says=f"at the newest revision, {newest}")


async def _examine_redis(url: Secret | None) -> Finding:
    if url is None:
        return Finding("REDIS_URL", ok=False, says="is not set")
    client = open_redis(url)
    try:
        version = (await client.info("server")).get("redis_version", "")
        return Finding("REDIS_URL", ok=True, says=f"answers, version {version}")
    except (RedisError, OSError) as error:
        return Finding("REDIS_URL", ok=False, says=f"does not answer ({type(error).__name__}); does it run?")
    finally:
        await client.aclose()


def _examine_master_key(settings: Settings) -> Finding:
    try:
        wrapper = load_key_wrapper(settings)
    except ConfigError as error:
        return Finding("master key", ok=False, says=str(error))
    known = "a development key" if wrapper.current_id.startswith("dev-") else f"key {wrapper.current_id}"
    return Finding("master key", ok=True, says=f"{known} wraps new data keys")


def _examine_blobs(settings: Settings) -> Finding:
    try:
        open_objects(settings)
    except ConfigError as error:
        return Finding("blobs", ok=False, says=str(error))
    return Finding("blobs", ok=True, says=settings.countersign.blob_url or "the folder blobs in data_dir")


async def _examine_connections(settings: Settings) -> list[Finding]:
    from config.errors import VaultError
    from gateway.cli.doctor_hub import examine_hub
    from gateway.cli.provider import all_tenants, check_tenant_connections
    from gateway.composition import open_services
    from normalizer.errors import CountersignError

    findings = []
    try:
        async with open_services(settings, name="countersign doctor") as services:
            for tenant_id in await all_tenants(services):
                findings += [
                    Finding(
                        f"connection {row['connection']} ({row['provider']})",
                        ok=bool(row["ok"]),
                        says=str(row["says"]),
                    )
                    for row in await check_tenant_connections(services, tenant_id)
                ]
            findings = findings or [Finding("connections", ok=True, says="there are none yet")]
            findings += await examine_hub(services)
    except (ConfigError, StoreUnavailable, VaultError, CountersignError) as error:
        findings.append(Finding("connections", ok=False, says=str(error)))
    return findings
