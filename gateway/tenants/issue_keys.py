"""Issues and revokes API keys. Two may live at once per label, so that a key can be changed without a gap."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from config.secret import Secret
from gateway.services import SYSTEM_TENANT, Caller, Services
from gateway.tenants.api_keys import check_scopes, make_key
from gateway.tenants.facts import tenant_event
from normalizer.errors import Conflict, Finding, NotFound, ValidationFailed
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

_LIVE_PER_LABEL = 2


class KeyInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`label` names what uses the key. `rate_per_minute` overrides the installation's limit."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    scopes: tuple[str, ...]
    expires_at: datetime | None = None
    rate_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


class KeyFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A key without its secret."""

    id: UUID
    public_id: str
    label: str
    scopes: tuple[str, ...]
    rate_per_minute: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class IssuedKey(msgspec.Struct, frozen=True):
    """The only time that the secret is shown."""

    facts: KeyFacts
    secret: Secret


_COLUMNS = "id, public_id, label, scopes, rate_per_minute, expires_at, revoked_at, created_at"


async def issue_key(services: Services, caller: Caller, tenant_id: UUID | None, given: KeyInput) -> IssuedKey:
    """`tenant_id` None: an administrator's key. Raises ValidationFailed, NotFound, Conflict at a third key."""
    owner = tenant_id or SYSTEM_TENANT
    scopes = check_scopes(given.scopes, for_tenant=tenant_id is not None)
    if given.expires_at is not None and (
        given.expires_at.tzinfo is None or given.expires_at <= services.clock.now()
    ):
        raise ValidationFailed(
            "The key's end is not in the future.",
            (Finding("/expires_at", "A time to come, with its offset."),),
        )
    new = make_key(services.pepper, live=services.settings.is_production)
    async with services.hub.transaction() as tx:
        if tenant_id is not None and not await tx.driver.fetchval(
            "SELECT EXISTS (SELECT 1 FROM tenants WHERE id = $1 FOR UPDATE)", tenant_id
        ):
            raise NotFound("tenant", print_id(Kind.TENANT, tenant_id))
        live = await tx.driver.fetchval(
            "SELECT count(*) FROM api_keys WHERE tenant_id = $1 AND label = $2 AND revoked_at IS NULL"
            " AND (expires_at IS NULL OR expires_at > clock_timestamp())",
            owner,
            given.label,
        )
        if live >= _LIVE_PER_LABEL:
            raise Conflict(
                f"{given.label} has {live} live keys.", remedy="Revoke the one that is no longer used first."
            )
        row = await tx.driver.fetchrow(
            "INSERT INTO api_keys (tenant_id, id, public_id, secret_hash, label, scopes, rate_per_minute,"
            f" expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING {_COLUMNS}",
            owner,
            services.ids.new(),
            new.public_id,
            new.secret_hash,
            given.label,
            list(scopes),
            given.rate_per_minute,
            given.expires_at,
        )
        facts = msgspec.convert(dict(row or {}), KeyFacts)
        event = tenant_event(
            services,
            caller,
            LedgerType.API_KEY_CREATED,
            tenant_id,
            ResourceType.API_KEY,
            print_id(Kind.API_KEY, facts.id),
            {"label": given.label, "scopes": scopes, "public_id": new.public_id},
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return IssuedKey(facts, new.secret)


async def revoke_key(services: Services, caller: Caller, tenant_id: UUID | None, key_id: UUID) -> None:
    """Ends a key within three seconds in every process. Revoking twice changes nothing. Raises NotFound."""
    owner = tenant_id or SYSTEM_TENANT
    async with services.hub.transaction() as tx:
        was_live = await tx.driver.fetchval(
            "UPDATE api_keys k SET revoked_at = COALESCE(k.revoked_at, clock_timestamp())"
            " FROM api_keys before WHERE k.tenant_id = $1 AND k.id = $2 AND before.tenant_id = k.tenant_id"
            " AND before.id = k.id RETURNING before.revoked_at IS NULL",
            owner,
            key_id,
        )
        if was_live is None:
            raise NotFound("api key", print_id(Kind.API_KEY, key_id))
        if was_live:
            event = tenant_event(
                services,
                caller,
                LedgerType.API_KEY_REVOKED,
                tenant_id,
                ResourceType.API_KEY,
                print_id(Kind.API_KEY, key_id),
            )
            await services.recorder.record(tx, [event])
        await tx.commit()


async def list_keys(services: Services, tenant_id: UUID | None) -> list[KeyFacts]:
    rows = await services.hub.fetch(
        f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = $1 ORDER BY id", tenant_id or SYSTEM_TENANT
    )
    return [msgspec.convert(dict(row), KeyFacts) for row in rows]
