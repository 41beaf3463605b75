"""The connections that the settings of the providers describe, made once for the default tenant.

An installation with one tenant needs no administrator's call: its settings are enough. Once made, a connection
belongs to the administrators' API: later changes of the settings do not touch it, which is said when asked.
Must never make a second one when two processes start at once.
"""

import secrets
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from uuid import UUID

import msgspec
from redis.exceptions import RedisError

from adapters.kit.port import Adapter
from config.errors import ConfigError, StoreUnavailable
from config.secret import Secret
from config.settings import ENVIRONMENT_PREFIXES, Settings
from gateway.services import Caller, Services
from gateway.tenants.connections import ConnectionInput, create_connection, list_connections
from gateway.tenants.routing import PolicyInput, read_policy, set_policy
from gateway.tenants.tenants import TenantInput, create_tenant, read_tenant
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id

# Fixed, so that every process means the same tenant without asking.
DEFAULT_TENANT = UUID("01900000-0000-7000-8000-000000000001")
_NAME, _LABEL = "Default", "settings"
_LOCK, _LOCK_MS = "countersign:default-connections", 60_000
_UNLOCK = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class Adopted(msgspec.Struct, frozen=True):
    """`made` False: it was there already."""

    connection_id: UUID
    provider: str
    webhook_url: str
    made: bool


async def adopt_default_connections(services: Services, caller: Caller) -> list[Adopted]:
    """One per provider whose settings are complete. Raises ConfigError while another process is at it."""
    described = {
        adapter: raw
        for adapter in services.adapters.values()
        if (raw := adapter.credentials_from_settings(_own_settings(adapter, services.settings))) is not None
    }
    if not described:
        return []
    mark = secrets.token_hex(16)
    try:
        if not await services.redis.set(_LOCK, mark, nx=True, px=_LOCK_MS):
            raise ConfigError("another process makes the default connections now; try again in a minute.")
        try:
            return await _adopt(services, caller, described)
        finally:
            # Only our own: after a minute the lock is free, and may be another process's by now.
            await services.redis.register_script(_UNLOCK)(keys=[_LOCK], args=[mark])
    except RedisError as error:
        raise StoreUnavailable("Redis does not answer") from error


async def _adopt(services: Services, caller: Caller, described: Mapping[Adapter, bytes]) -> list[Adopted]:
    try:
        await read_tenant(services, DEFAULT_TENANT)
    except NotFound:
        await create_tenant(services, caller, TenantInput(name=_NAME), DEFAULT_TENANT)
    present = {
        one.provider: one for one in await list_connections(services, DEFAULT_TENANT) if one.label == _LABEL
    }
    adopted = []
    for adapter, raw in described.items():
        facts = present.get(adapter.name)
        if facts is None:
            given = ConnectionInput(
                provider=adapter.name,
                label=_LABEL,
                credentials=msgspec.json.decode(raw),
                webhook_keys=_webhook_keys(adapter, services.settings),
            )
            facts = await create_connection(services, caller, DEFAULT_TENANT, given)
        adopted.append(Adopted(facts.id, adapter.name, facts.webhook_url, adapter.name not in present))
    policy = await read_policy(services, DEFAULT_TENANT)
    if policy.default_connection_id is None:
        wanted = services.settings.signature.default_provider
        chosen = next((one for one in adopted if one.provider == wanted), adopted[0])
        default = print_id(Kind.CONNECTION, chosen.connection_id)
        await set_policy(
            services,
            caller,
            DEFAULT_TENANT,
            PolicyInput(version=policy.version, default_connection_id=default),
        )
    return adopted


def _own_settings(adapter: Adapter, settings: Settings) -> dict[str, str]:
    """The adapter's section as text by name; {} for an adapter that has none."""
    section = next(
        (name for name, prefix in ENVIRONMENT_PREFIXES.items() if prefix == adapter.settings_prefix), None
    )
    if section is None:
        return {}
    values = msgspec.structs.asdict(getattr(settings, section))
    return {name: _text(value) for name, value in values.items() if value is not None}


def _webhook_keys(adapter: Adapter, settings: Settings) -> tuple[str, ...]:
    secret = _own_settings(adapter, settings).get("webhook_secret")
    return (secret,) if secret else ()


def _text(value: object) -> str:
    match value:
        case Secret():
            return value.reveal()
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case Path():
            return str(value)
    return str(value)
