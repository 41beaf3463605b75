"""The administrators' API for whom the gateway serves: tenants, their users and keys, and their audit chains."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from gateway.http import examples
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.examples import with_examples
from gateway.http.openapi import problems
from gateway.tenants import issue_keys, tenants, users
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
    return _tenant(await tenants.read_tenant(services, tenant_of(tenant_id)))


@patch("/tenants/{tenant_id:str}", **ADMIN)
async def change_tenant(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[tenants.TenantChange]
) -> TenantView:
    """Rename, deactivate, or demand idempotency keys."""
    return _tenant(await tenants.change_tenant(services, caller, tenant_of(tenant_id), data))


@post("/tenants/{tenant_id:str}/users", status_code=201, **ADMIN)
async def create_user(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], data: JSONBody[users.UserInput]
) -> UserView:
    """Make a tenant's user. An external_id is never used again."""
    return _user(await users.create_user(services, caller, tenant_of(tenant_id), data))


@get("/tenants/{tenant_id:str}/users", **ADMIN)
async def list_users(
    services: TheServices, tenant_id: FromPath[str], after: FromQuery[str] = "", limit: FromQuery[int] = 100
) -> list[UserView]:
    """A tenant's users, deactivated ones too."""
    found = await users.list_users(
        services, tenant_of(tenant_id), after=_after(Kind.USER, after), limit=min(max(limit, 1), 200)
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
        await users.change_user(services, caller, tenant_of(tenant_id), read_id(Kind.USER, user_id), data)
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


@get("/tenants/{tenant_id:str}/audit/verify", **ADMIN)
async def verify_tenant(services: TheServices, tenant_id: FromPath[str]) -> Verdict:
    """Whether all of a tenant's chains are whole."""
    return await check_tenant(services.hub, tenant_of(tenant_id))


def tenant_of(printed: str) -> UUID:
    """Raises NotFound for what is no tenant's id."""
    return read_id(Kind.TENANT, printed)


def _own_or_system(printed: str) -> UUID | None:
    return None if printed == SYSTEM else tenant_of(printed)


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
