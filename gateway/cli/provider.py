"""`countersign provider list | check | adopt`."""

import argparse
import asyncio
from uuid import UUID

from adapters.kit.registry import adapters
from config.settings_source import load_settings
from gateway.cli.callers import cli_caller, named_tenant
from gateway.cli.printing import print_json, print_rows
from gateway.cli.stores import with_services
from gateway.services import Services
from gateway.tenants.connections import check_connection, list_connections
from gateway.tenants.default_connections import adopt_default_connections
from gateway.tenants.tenants import list_tenants
from normalizer.ids import Kind, print_id

_PAGE = 200


def list_all(options: argparse.Namespace) -> int:
    if options.json:
        print_json(
            [
                {
                    "name": one.name,
                    "title": one.title,
                    "settings_prefix": one.settings_prefix,
                    "credentials": one.credential_fields,
                }
                for one in adapters().values()
            ]
        )
        return 0
    for one in adapters().values():
        print(f"{one.name}  {one.title}  (settings {one.settings_prefix}...)")
        for field in one.credential_fields:
            marks = ", ".join(
                word for word, is_so in (("secret", field.secret), ("required", field.required)) if is_so
            )
            print(f"  {field.name:<22}{field.meaning}{f' [{marks}]' if marks else ''}")
    return 0


def check(options: argparse.Namespace) -> int:
    """Status 1 when a connection's credentials do not work."""

    async def work(services: Services) -> list[dict[str, object]]:
        tenants = [named_tenant(options.tenant)] if options.tenant else await all_tenants(services)
        return [row for tenant_id in tenants for row in await check_tenant_connections(services, tenant_id)]

    rows = asyncio.run(with_services(work))
    print_rows(rows, as_json=options.json, nothing="There are no active connections.")
    return 0 if all(row["ok"] for row in rows) else 1


async def check_tenant_connections(services: Services, tenant_id: UUID) -> list[dict[str, object]]:
    """One row per active connection; `ok` False says in `says` what is wrong and what to do."""
    rows: list[dict[str, object]] = []
    for connection in await list_connections(services, tenant_id):
        if not connection.active:
            continue
        health = await check_connection(services, tenant_id, connection.id)
        rows.append(
            {
                "tenant": print_id(Kind.TENANT, tenant_id),
                "connection": print_id(Kind.CONNECTION, connection.id),
                "provider": connection.provider,
                "ok": health.ok,
                "says": health.account
                if health.ok
                else f"{health.problem.rstrip('.')}. {health.remedy}".strip(),
            }
        )
    return rows


def adopt(options: argparse.Namespace) -> int:
    load_settings()  # its mistakes are told before any store is asked

    async def work(services: Services) -> list[dict[str, object]]:
        return [
            {
                "connection": print_id(Kind.CONNECTION, one.connection_id),
                "provider": one.provider,
                "made": one.made,
                "webhook_url": one.webhook_url,
            }
            for one in await adopt_default_connections(services, cli_caller())
        ]

    rows = asyncio.run(with_services(work))
    print_rows(
        rows,
        as_json=options.json,
        nothing="No provider's settings are complete; see config/defaults.toml for their names.",
    )
    return 0


async def all_tenants(services: Services) -> list[UUID]:
    found: list[UUID] = []
    while page := await list_tenants(services, after=found[-1] if found else None, limit=_PAGE):
        found += [one.id for one in page]
    return found
