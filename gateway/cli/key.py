"""`countersign key create | list | revoke`. A secret is printed once, alone on its line, and never again."""

import argparse
import asyncio
from datetime import timedelta

from config.errors import ConfigError
from gateway.cli.callers import cli_caller, named_owner
from gateway.cli.printing import print_json, print_rows
from gateway.cli.stores import with_services
from gateway.services import Services
from gateway.tenants.issue_keys import IssuedKey, KeyFacts, KeyInput, issue_key, list_keys, revoke_key
from gateway.tenants.scopes import TENANT_SCOPES, Scope
from normalizer.ids import Kind, print_id, read_id


def create(options: argparse.Namespace) -> int:
    owner = named_owner(options.tenant)
    usual = TENANT_SCOPES if owner is not None else (Scope.ADMIN,)
    scopes = tuple(options.scope) or tuple(str(scope) for scope in usual)
    if options.expires_days is not None and not 0 < options.expires_days <= 36_500:
        raise ConfigError("--expires-days is more than 0 and at most 36500.")

    async def work(services: Services) -> IssuedKey:
        expires_at = None
        if options.expires_days is not None:
            expires_at = services.clock.now() + timedelta(days=options.expires_days)
        given = KeyInput(label=options.label, scopes=scopes, expires_at=expires_at)
        return await issue_key(services, cli_caller(), owner, given)

    issued = asyncio.run(with_services(work))
    if options.json:
        print_json({**_row(issued.facts), "secret": issued.secret.reveal()})
    else:
        print(issued.secret.reveal())
    return 0


def list_all(options: argparse.Namespace) -> int:
    owner = named_owner(options.tenant)

    async def work(services: Services) -> list[KeyFacts]:
        return await list_keys(services, owner)

    rows = [_row(one) for one in asyncio.run(with_services(work))]
    print_rows(rows, as_json=options.json, nothing="There are no keys; issue one with `key create`.")
    return 0


def revoke(options: argparse.Namespace) -> int:
    owner, key_id = named_owner(options.tenant), read_id(Kind.API_KEY, options.key)

    async def work(services: Services) -> None:
        await revoke_key(services, cli_caller(), owner, key_id)

    asyncio.run(with_services(work))
    print(f"{options.key} ends within three seconds")
    return 0


def _row(key: KeyFacts) -> dict[str, object]:
    return {
        "id": print_id(Kind.API_KEY, key.id),
        "public_id": key.public_id,
        "label": key.label,
        "scopes": key.scopes,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "created_at": key.created_at,
    }
