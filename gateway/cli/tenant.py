"""`countersign tenant create | list`."""

import argparse
import asyncio

from gateway.cli.callers import cli_caller
from gateway.cli.printing import print_json, print_rows
from gateway.cli.stores import with_services
from gateway.services import Services
from gateway.tenants.tenants import Tenant, TenantInput, create_tenant, list_tenants
from normalizer.errors import ValidationFailed
from normalizer.ids import Kind, print_id

_PAGE = 200


def create(options: argparse.Namespace) -> int:
    if not 1 <= len(options.name) <= 200:
        raise ValidationFailed("A tenant's name has 1 to 200 characters.")
    given = TenantInput(name=options.name, require_idempotency=options.require_idempotency)

    async def work(services: Services) -> Tenant:
        return await create_tenant(services, cli_caller(), given)

    tenant = asyncio.run(with_services(work))
    if options.json:
        print_json(_row(tenant))
    else:
        print(print_id(Kind.TENANT, tenant.id))
    return 0


def list_all(options: argparse.Namespace) -> int:
    async def work(services: Services) -> list[Tenant]:
        found: list[Tenant] = []
        while page := await list_tenants(services, after=found[-1].id if found else None, limit=_PAGE):
            found += page
        return found

    rows = [_row(one) for one in asyncio.run(with_services(work))]
    print_rows(rows, as_json=options.json, nothing="There are no tenants; make one with `tenant create`.")
    return 0


def _row(tenant: Tenant) -> dict[str, object]:
    return {
        "id": print_id(Kind.TENANT, tenant.id),
        "name": tenant.name,
        "active": tenant.active,
        "require_idempotency": tenant.require_idempotency,
        "created_at": tenant.created_at,
    }
