"""The administrators' API: tenants, users, keys, connections, routing, and the provider switch."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from adapters.kit.port import CredentialField
from gateway.http import examples
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.examples import with_examples
from gateway.http.openapi import problems
from gateway.routing.policy import Condition, Policy
from gateway.tenants import connections, issue_keys, routing, switch, tenants, users
from gateway.tenants.scopes import Scope
from ledger.chain import Verdict
from ledger.check import check_tenant
from normalizer.ids import Kind, print_id, print_optional_id, read_id

ADMIN: dict[str, Any] = {"opt": {"scope": Scope.ADMIN}, "responses": problems(404, 409)}
SYSTEM = "system"


class TenantView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    require_idempotency: bool
    active: bool
    created_at: datetime


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    external_id: str
    first_name: str
    last_name: str
    email: str
    manager_id: str | None
    active: bool
    created_at: datetime


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is there in the answer that made the key, and never again."""

    id: str
    public_id: str
    label: str
    scopes: tuple[str, ...]
    rate_per_minute: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    secret: str | None = None


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    provider: str
    label: str
    version: int
    webhook_url: str
    webhook_key_count: int
    max_document_bytes: int
    poll_interval_s: int
    receive_webhooks: bool
    active: bool
    created_at: datetime
    updated_at: datetime
    allowed_networks: tuple[str, ...]
    client_certificate_sha256: tuple[str, ...]
    client_certificate_subject: str


class ProviderView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    title: str
    credential_fields: tuple[CredentialField, ...]
    capabilities: dict[str, Any]


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    when: Condition
    connection_id: str


class PolicyView(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    default_connection_id: str | None
    rules: tuple[RuleView, ...]
    fallback: tuple[str, ...]


class SwitchView(msgspec.Struct, frozen=True, kw_only=True):
    """`in_flight`: envelopes that stay with the former connection, by status; they go on there."""

    id: str
    from_connection_id: str | None
    to_connection_id: str
    reason: str
    reverts: str | None
    created_at: datetime
    in_flight: dict[str, int]


@post("/tenants", status_code=201, **ADMIN, operation_class=with_examples(examples.TENANT))
async def create_tenant(
    services: TheServices, caller: TheCaller, data: JSONBody[tenants.TenantInput]
) -> TenantView:
    """Make a tenant."""
    return _tenant(await tenants.create_tenant(services, caller, data))


@get("/tenants", **ADMIN)
async def list_tenants(
    services: TheServices, after: FromQuery[str] = "", limit: FromQuery[int] = 100
) -> list[TenantView]:
    """Tenants in the order of their making; `after` is the last id of the page before."""
    found = await tenants.list_tenants(
        services, after=_after(Kind.TENANT, after), limit=min(max(limit, 1), 200)
    )
    return [_tenant(one) for one in found]


@get("/tenants/{tenant_id:str}", **ADMIN)
async def read_tenant(services: TheServices, tenant_id: FromPath[str]) -> TenantView:
    """One tenant."""
    return _tenant(await tenants.read_tenant(services, _own(tenant_id)))


@patch("/tenants/{tenant_id:str}", **ADMIN)
async def change_tenant(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[tenants.TenantChange]
) -> TenantView:
    """Rename, deactivate, or demand idempotency keys."""
    return _tenant(await tenants.change_tenant(services, caller, _own(tenant_id), data))


@post("/tenants/{tenant_id:str}/users", status_code=201, **ADMIN)
async def create_user(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[users.UserInput]
) -> UserView:
    """Make a tenant's user. An external_id is never used again."""
    return _user(await users.create_user(services, caller, _own(tenant_id), data))


@get("/tenants/{tenant_id:str}/users", **ADMIN)
async def list_users(
    services: TheServices, tenant_id: FromPath[str], after: FromQuery[str] = "", limit: FromQuery[int] = 100
) -> list[UserView]:
    """A tenant's users, deactivated ones too."""
    found = await users.list_users(
        services, _own(tenant_id), after=_after(Kind.USER, after), limit=min(max(limit, 1), 200)
    )
    return [_user(one) for one in found]


@patch("/tenants/{tenant_id:str}/users/{user_id:str}", **ADMIN)
async def change_user(
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    user_id: FromPath[str],
    data: JSONBody[users.UserChange],
) -> UserView:
    """Change or deactivate a user."""
    return _user(
        await users.change_user(services, caller, _own(tenant_id), read_id(Kind.USER, user_id), data)
    )


@post(
    "/tenants/{tenant_id:str}/keys", status_code=201, **ADMIN, operation_class=with_examples(examples.API_KEY)
)
async def create_key(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[issue_keys.KeyInput]
) -> KeyView:
    """Issue a key; `system` as the tenant makes an administrator's. The secret is shown this once."""
    issued = await issue_keys.issue_key(services, caller, _own_or_system(tenant_id), data)
    return _key(issued.facts, issued.secret.reveal())


@get("/tenants/{tenant_id:str}/keys", **ADMIN)
async def list_keys(services: TheServices, tenant_id: FromPath[str]) -> list[KeyView]:
    """A tenant's keys without their secrets."""
    return [_key(one) for one in await issue_keys.list_keys(services, _own_or_system(tenant_id))]


@delete("/tenants/{tenant_id:str}/keys/{key_id:str}", **ADMIN)
async def revoke_key(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], key_id: FromPath[str]
) -> None:
    """Revoke a key; it stops within three seconds."""
    await issue_keys.revoke_key(services, caller, _own_or_system(tenant_id), read_id(Kind.API_KEY, key_id))


@get("/providers", **ADMIN)
async def list_providers(services: TheServices) -> list[ProviderView]:
    """The providers that can be connected, what their credentials are and what they can do."""
    return [
        ProviderView(
            name=adapter.name,
            title=adapter.title,
            credential_fields=adapter.credential_fields,
            capabilities=msgspec.to_builtins(adapter.capabilities, str_keys=True),
        )
        for adapter in services.adapters.values()
    ]


@post(
    "/tenants/{tenant_id:str}/connections",
    status_code=201,
    **ADMIN,
    operation_class=with_examples(examples.CONNECTION),
)
async def create_connection(
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    data: JSONBody[connections.ConnectionInput],
) -> ConnectionView:
    """Connect a tenant's account at a provider."""
    return _connection(await connections.create_connection(services, caller, _own(tenant_id), data))


@get("/tenants/{tenant_id:str}/connections", **ADMIN)
async def list_connections(services: TheServices, tenant_id: FromPath[str]) -> list[ConnectionView]:
    """A tenant's connections, without their secrets."""
    return [_connection(one) for one in await connections.list_connections(services, _own(tenant_id))]


@patch("/tenants/{tenant_id:str}/connections/{connection_id:str}", **ADMIN)
async def change_connection(
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    connection_id: FromPath[str],
    data: JSONBody[connections.ConnectionChange],
) -> ConnectionView:
    """Change a connection: new credentials, rotated webhook keys, limits, who may post its webhooks."""
    own = read_id(Kind.CONNECTION, connection_id)
    return _connection(await connections.change_connection(services, caller, _own(tenant_id), own, data))


@post("/tenants/{tenant_id:str}/connections/{connection_id:str}/check", status_code=200, **ADMIN)
async def check_connection(
    services: TheServices, tenant_id: FromPath[str], connection_id: FromPath[str]
) -> connections.ConnectionHealth:
    """Ask the provider whether the credentials work."""
    own = read_id(Kind.CONNECTION, connection_id)
    return await connections.check_connection(services, _own(tenant_id), own)


@get("/tenants/{tenant_id:str}/routing", **ADMIN)
async def read_routing(services: TheServices, tenant_id: FromPath[str]) -> PolicyView:
    """A tenant's routing policy."""
    return _policy(await routing.read_policy(services, _own(tenant_id)))


@put("/tenants/{tenant_id:str}/routing", **ADMIN)
async def set_routing(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[routing.PolicyInput]
) -> PolicyView:
    """Set the routing policy; `version` is the one that was read."""
    return _policy(await routing.set_policy(services, caller, _own(tenant_id), data))


@post(
    "/tenants/{tenant_id:str}/provider-switches",
    status_code=201,
    **ADMIN,
    operation_class=with_examples(examples.SWITCH),
)
async def switch_provider(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[switch.SwitchInput]
) -> SwitchView:
    """Send new envelopes through another connection; envelopes in flight stay where they are."""
    return _switch(await switch.switch_provider(services, caller, _own(tenant_id), data))


@get("/tenants/{tenant_id:str}/provider-switches", **ADMIN)
async def list_switches(services: TheServices, tenant_id: FromPath[str]) -> list[SwitchView]:
    """A tenant's switches, the newest first."""
    return [_switch(one) for one in await switch.list_switches(services, _own(tenant_id))]


@post("/tenants/{tenant_id:str}/provider-switches/{switch_id:str}/revert", status_code=201, **ADMIN)
async def revert_switch(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], switch_id: FromPath[str]
) -> SwitchView:
    """Put the policy from before a switch back."""
    own = read_id(Kind.SWITCH, switch_id)
    return _switch(await switch.revert_switch(services, caller, _own(tenant_id), own))


@get("/tenants/{tenant_id:str}/audit/verify", **ADMIN)
async def verify_tenant(services: TheServices, tenant_id: FromPath[str]) -> Verdict:
    """Whether all of a tenant's chains are whole."""
    return await check_tenant(services.hub, _own(tenant_id))


def _own(printed: str) -> UUID:
    return read_id(Kind.TENANT, printed)


def _own_or_system(printed: str) -> UUID | None:
    return None if printed == SYSTEM else _own(printed)


def _after(kind: Kind, printed: str) -> UUID | None:
    return read_id(kind, printed) if printed else None


def _tenant(tenant: tenants.Tenant) -> TenantView:
    return TenantView(
        id=print_id(Kind.TENANT, tenant.id),
        name=tenant.name,
        require_idempotency=tenant.require_idempotency,
        active=tenant.active,
        created_at=tenant.created_at,
    )


def _user(user: users.User) -> UserView:
    return UserView(
        id=print_id(Kind.USER, user.id),
        external_id=user.external_id,
        first_name=user.first_name,
        last_name=user.last_name,
        email=user.email,
        manager_id=print_optional_id(Kind.USER, user.manager_id),
        active=user.active,
        created_at=user.created_at,
    )


def _key(facts: issue_keys.KeyFacts, secret: str | None = None) -> KeyView:
    return KeyView(
        id=print_id(Kind.API_KEY, facts.id),
        public_id=facts.public_id,
        label=facts.label,
        scopes=facts.scopes,
        rate_per_minute=facts.rate_per_minute,
        expires_at=facts.expires_at,
        revoked_at=facts.revoked_at,
        created_at=facts.created_at,
        secret=secret,
    )


def _connection(facts: connections.ConnectionFacts) -> ConnectionView:
    return msgspec.convert(
        {**msgspec.structs.asdict(facts), "id": print_id(Kind.CONNECTION, facts.id)}, ConnectionView
    )


def _policy(policy: Policy) -> PolicyView:
    return PolicyView(
        version=policy.version,
        default_connection_id=print_optional_id(Kind.CONNECTION, policy.default_connection_id),
        rules=tuple(
            RuleView(
                name=rule.name, when=rule.when, connection_id=print_id(Kind.CONNECTION, rule.connection_id)
            )
            for rule in policy.rules
        ),
        fallback=tuple(print_id(Kind.CONNECTION, one) for one in policy.fallback),
    )


def _switch(one: switch.Switch) -> SwitchView:
    return SwitchView(
        id=print_id(Kind.SWITCH, one.id),
        from_connection_id=print_optional_id(Kind.CONNECTION, one.from_connection_id),
        to_connection_id=print_id(Kind.CONNECTION, one.to_connection_id),
        reason=one.reason,
        reverts=print_optional_id(Kind.SWITCH, one.reverts),
        created_at=one.created_at,
        in_flight=one.in_flight,
    )
