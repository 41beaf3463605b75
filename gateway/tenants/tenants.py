"""Makes and changes tenants. Administrators only, through the hub role."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from gateway.services import Caller, Services
from gateway.tenants.facts import tenant_event
from normalizer.errors import NotFound, ValidationFailed
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class TenantInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`require_idempotency`: refuse POST and PATCH without an Idempotency-Key."""

    name: Name
    require_idempotency: bool = False


class TenantChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None leaves as it is. An inactive tenant's keys do nothing; its envelopes in flight go on."""

    name: Name | None = None
    require_idempotency: bool | None = None
    active: bool | None = None


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    require_idempotency: bool
    active: bool
    created_at: datetime


_SELECT = "SELECT id, name, require_idempotency, active, created_at FROM tenants"


async def create_tenant(
    services: Services, caller: Caller, given: TenantInput, tenant_id: UUID | None = None
) -> Tenant:
    """`tenant_id` is for a tenant that every process must know; others get a new one."""
    tenant_id = tenant_id or services.ids.new()
    async with services.hub.transaction() as tx:
        await tx.driver.execute(
            "INSERT INTO tenants (id, name, require_idempotency) VALUES ($1, $2, $3)",
            tenant_id,
            given.name,
            given.require_idempotency,
        )
        facts = {"require_idempotency": given.require_idempotency}
        await services.recorder.record(
            tx,
            [
                tenant_event(
                    services,
                    caller,
                    LedgerType.TENANT_CREATED,
                    tenant_id,
                    ResourceType.TENANT,
                    print_id(Kind.TENANT, tenant_id),
                    facts,
                )
            ],
        )
        await tx.commit()
    return await read_tenant(services, tenant_id)


async def read_tenant(services: Services, tenant_id: UUID) -> Tenant:
    """Raises NotFound."""
    row = await services.hub.fetchrow(f"{_SELECT} WHERE id = $1", tenant_id)
    if row is None:
        raise NotFound("tenant", print_id(Kind.TENANT, tenant_id))
    return msgspec.convert(dict(row), Tenant)


async def list_tenants(services: Services, *, after: UUID | None, limit: int) -> list[Tenant]:
    rows = await services.hub.fetch(
        f"{_SELECT} WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2", after, limit
    )
    return [msgspec.convert(dict(row), Tenant) for row in rows]


async def change_tenant(services: Services, caller: Caller, tenant_id: UUID, change: TenantChange) -> Tenant:
    """Raises NotFound, ValidationFailed for an empty change."""
    columns = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
    if not columns:
        raise ValidationFailed("Nothing to change was named.", code="empty_change")
    await read_tenant(services, tenant_id)
    async with services.hub.transaction() as tx:
        await tx.driver.execute(
            "UPDATE tenants SET name = COALESCE($2, name), active = COALESCE($4, active),"
            " require_idempotency = COALESCE($3, require_idempotency), updated_at = clock_timestamp()"
            " WHERE id = $1",
            tenant_id,
            change.name,
            change.require_idempotency,
            change.active,
        )
        await services.recorder.record(
            tx,
            [
                tenant_event(
                    services,
                    caller,
                    LedgerType.TENANT_CHANGED,
                    tenant_id,
                    ResourceType.TENANT,
                    print_id(Kind.TENANT, tenant_id),
                    {"changed": tuple(sorted(columns))},
                )
            ],
        )
        await tx.commit()
    return await read_tenant(services, tenant_id)
