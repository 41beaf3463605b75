"""The tenant that `countersign up` and the demo work with: connected to every sandbox, with two keys.

Made once and kept in a file that only its user can read; what was revoked or changed meanwhile is made anew.
Must never be used in production: the file holds keys in clear.
"""

import hashlib
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from config.errors import ConfigError
from gateway.cli.callers import cli_caller
from gateway.cli.stores import write_private
from gateway.services import Services
from gateway.tenants.connections import (
    ConnectionChange,
    ConnectionInput,
    change_connection,
    create_connection,
    list_connections,
)
from gateway.tenants.issue_keys import KeyInput, issue_key, list_keys
from gateway.tenants.routing import PolicyInput, read_policy, set_policy
from gateway.tenants.scopes import TENANT_SCOPES, Scope
from gateway.tenants.tenants import TenantInput, create_tenant, read_tenant
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id


class RunningSandbox(msgspec.Struct, frozen=True):
    """`credentials`: the provider's own fields, as a connection takes them."""

    provider: str
    title: str
    url: str
    credentials: dict[str, Any]
    webhook_keys: tuple[str, ...]


class KeptConnection(msgspec.Struct, frozen=True):
    """`fingerprint` tells whether the sandbox still has the credentials that the connection was given."""

    id: UUID
    fingerprint: str


class Development(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    tenant_key: str
    administrator_key: str
    connections: dict[str, KeptConnection] = {}

    @property
    def tenant(self) -> str:
        return print_id(Kind.TENANT, self.tenant_id)

    def connection(self, provider: str) -> str:
        return print_id(Kind.CONNECTION, self.connections[provider].id)


async def ensure_development(
    services: Services, file: Path, sandboxes: list[RunningSandbox], *, tenant_name: str
) -> Development:
    """What the file names, completed and brought up to date."""
    caller = cli_caller()
    kept = _read(file)
    tenant_id = await _tenant(services, kept, tenant_name)
    if kept is None or kept.tenant_id != tenant_id:
        kept = Development(tenant_id=tenant_id, tenant_key="", administrator_key="")
    tenant_key = await _key(services, tenant_id, kept.tenant_key, TENANT_SCOPES)
    administrator_key = await _key(services, None, kept.administrator_key, (Scope.ADMIN,))
    present = {one.id for one in await list_connections(services, tenant_id)}
    connections: dict[str, KeptConnection] = {}
    for sandbox in [*sandboxes, *_in_process(services)]:
        fingerprint = _fingerprint(sandbox)
        known = kept.connections.get(sandbox.provider)
        if known is None or known.id not in present:
            made = await create_connection(
                services,
                caller,
                tenant_id,
                ConnectionInput(
                    provider=sandbox.provider,
                    label="sandbox",
                    credentials=sandbox.credentials,
                    webhook_keys=sandbox.webhook_keys,
                ),
            )
            known = KeptConnection(made.id, fingerprint)
        elif known.fingerprint != fingerprint:
            change = ConnectionChange(credentials=sandbox.credentials, webhook_keys=sandbox.webhook_keys)
            await change_connection(services, caller, tenant_id, known.id, change)
            known = KeptConnection(known.id, fingerprint)
        connections[sandbox.provider] = known
    await _route(services, tenant_id, connections)
    development = Development(
        tenant_id=tenant_id,
        tenant_key=tenant_key,
        administrator_key=administrator_key,
        connections=connections,
    )
    write_private(file, msgspec.json.encode(development).decode())
    return development


def _in_process(services: Services) -> list[RunningSandbox]:
    """What runs in our own processes has no sandbox to be started: it is connected as it is."""
    return [
        RunningSandbox(provider=one.name, title=one.title, url="", credentials={}, webhook_keys=())
        for one in services.adapters.values()
        if one.sandbox is None
    ]


async def _tenant(services: Services, kept: Development | None, name: str) -> UUID:
    if kept is not None:
        try:
            return (await read_tenant(services, kept.tenant_id)).id
        except NotFound:
            kept = None  # the database was made anew
    return (await create_tenant(services, cli_caller(), TenantInput(name=name))).id


async def _key(services: Services, tenant_id: UUID | None, kept: str, scopes: tuple[Scope, ...]) -> str:
    live = {one.public_id for one in await list_keys(services, tenant_id) if one.revoked_at is None}
    if kept and kept.split("_")[2] in live:
        return kept
    given = KeyInput(label="countersign up", scopes=tuple(str(scope) for scope in scopes))
    return (await issue_key(services, cli_caller(), tenant_id, given)).secret.reveal()


async def _route(services: Services, tenant_id: UUID, connections: dict[str, KeptConnection]) -> None:
    """Sends with the default provider's sandbox, unless somebody has decided otherwise."""
    policy = await read_policy(services, tenant_id)
    if policy.default_connection_id is not None:
        return
    wanted = services.settings.signature.default_provider
    chosen = connections.get(wanted) or next(iter(connections.values()))
    given = PolicyInput(version=policy.version, default_connection_id=print_id(Kind.CONNECTION, chosen.id))
    await set_policy(services, cli_caller(), tenant_id, given)


def _fingerprint(sandbox: RunningSandbox) -> str:
    told = json.dumps([sandbox.credentials, sandbox.webhook_keys], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _read(file: Path) -> Development | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Development)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{file} cannot be read; remove it to get a new development tenant.") from error
