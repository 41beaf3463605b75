"""A tenant's users: the people on whose behalf a DMS acts. An id is never given to another person.

Source: 21 CFR 11.100(a).
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import asyncpg
import msgspec

from gateway.envelopes.draft import is_email
from gateway.services import Caller, Services
from gateway.tenants.facts import tenant_event
from normalizer.errors import Conflict, Finding, NotFound, ValidationFailed
from normalizer.events import Personal, ResourceType
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import LedgerType

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class UserInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`external_id`: the DMS's own id of the user, used once and for ever. `manager_id`: a user of ours."""

    external_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    first_name: Text
    last_name: Text
    email: Annotated[str, msgspec.Meta(max_length=200)]
    manager_id: str = ""


class UserChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None leaves as it is. A deactivated user stays on record."""

    first_name: Text | None = None
    last_name: Text | None = None
    email: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    manager_id: str | None = None
    active: bool | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    external_id: str
    first_name: str
    last_name: str
    email: str
    manager_id: UUID | None
    active: bool
    created_at: datetime


_COLUMNS = "id, external_id, first_name, last_name, email, manager_id, active, created_at"


async def create_user(services: Services, caller: Caller, tenant_id: UUID, given: UserInput) -> User:
    """Raises Conflict when the external id was ever used, also by a deactivated user."""
    _check_email(given.email)
    user_id = services.ids.new()
    manager = read_id(Kind.USER, given.manager_id) if given.manager_id else None
    async with services.hub.transaction() as tx:
        try:
            row = await tx.driver.fetchrow(
                "INSERT INTO tenant_users (tenant_id, id, external_id, first_name, last_name, email, manager_id)"
                f" VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_COLUMNS}",
                tenant_id,
                user_id,
                given.external_id,
                given.first_name,
                given.last_name,
                given.email,
                manager,
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict(
                "This external_id is or was another user's.",
                remedy="Ids are never used again; choose a new one.",
            ) from error
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound(
                "tenant or manager", given.manager_id or print_id(Kind.TENANT, tenant_id)
            ) from error
        user = _user(row)
        event = tenant_event(
            services,
            caller,
            LedgerType.USER_CREATED,
            tenant_id,
            ResourceType.USER,
            print_id(Kind.USER, user_id),
            {"external_id": given.external_id},
            _personal(user),
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return user


async def change_user(
    services: Services, caller: Caller, tenant_id: UUID, user_id: UUID, change: UserChange
) -> User:
    """An empty manager_id takes the manager away. Raises NotFound, also for the manager, ValidationFailed."""
    if change.email is not None:
        _check_email(change.email)
    names = sorted(name for name, value in msgspec.structs.asdict(change).items() if value is not None)
    if not names:
        raise ValidationFailed("Nothing to change was named.", code="empty_change")
    manager = read_id(Kind.USER, change.manager_id) if change.manager_id else None
    if manager == user_id:
        raise ValidationFailed("The user cannot be taken.", (Finding("/manager_id", "Somebody else."),))
    async with services.hub.transaction() as tx:
        try:
            row = await tx.driver.fetchrow(
                "UPDATE tenant_users SET first_name = COALESCE($3, first_name),"
                " last_name = COALESCE($4, last_name), email = COALESCE($5, email),"
                " active = COALESCE($6, active), manager_id = CASE WHEN $7 THEN $8 ELSE manager_id END,"
                f" updated_at = clock_timestamp() WHERE tenant_id = $1 AND id = $2 RETURNING {_COLUMNS}",
                tenant_id,
                user_id,
                change.first_name,
                change.last_name,
                change.email,
                change.active,
                change.manager_id is not None,
                manager,
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound("manager", change.manager_id or "") from error
        if row is None:
            raise NotFound("user", print_id(Kind.USER, user_id))
        user = _user(row)
        event = tenant_event(
            services,
            caller,
            LedgerType.USER_CHANGED,
            tenant_id,
            ResourceType.USER,
            print_id(Kind.USER, user_id),
            {"changed": tuple(names)},
            _personal(user),
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return user


async def list_users(services: Services, tenant_id: UUID, *, after: UUID | None, limit: int) -> list[User]:
    rows = await services.hub.fetch(
        f"SELECT {_COLUMNS} FROM tenant_users WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2)"
        " ORDER BY id LIMIT $3",
        tenant_id,
        after,
        limit,
    )
    return [_user(row) for row in rows]


def _user(row: asyncpg.Record | None) -> User:
    return msgspec.convert(dict(row or {}), User)


def _check_email(email: str) -> None:
    if not is_email(email):
        raise ValidationFailed("The user cannot be taken.", (Finding("/email", "Not an e-mail address."),))


def _personal(user: User) -> tuple[Personal, ...]:
    subject = user.email.lower()
    return (
        Personal("user.name", subject, f"{user.first_name} {user.last_name}"),
        Personal("user.email", subject, user.email),
    )
