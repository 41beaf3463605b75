"""Lists a tenant's envelopes, newest first, by cursor: stable while new ones arrive."""

import base64
import binascii
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import and_, or_, select

from gateway.envelopes.tables import envelopes
from gateway.services import Caller, Services
from normalizer.errors import Finding, ValidationFailed
from normalizer.status import EnvelopeStatus


class EnvelopeFilter(msgspec.Struct, frozen=True, kw_only=True):
    sender_id: str = ""
    status: EnvelopeStatus | None = None
    provider: str = ""
    reference: str = ""
    created_from: datetime | None = None
    created_before: datetime | None = None


class EnvelopeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list; the whole envelope has its own address."""

    id: UUID
    name: str
    status: EnvelopeStatus
    provider: str | None
    external_reference: str
    sender_id: str
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    completed_at: datetime | None


class EnvelopePage(msgspec.Struct, frozen=True):
    """`next_cursor` is empty on the last page."""

    lines: tuple[EnvelopeLine, ...]
    next_cursor: str


_COLUMNS = [envelopes.c[name] for name in EnvelopeLine.__struct_fields__]


async def list_envelopes(
    services: Services, caller: Caller, wanted: EnvelopeFilter, cursor: str, limit: int
) -> EnvelopePage:
    """Raises ValidationFailed for a cursor that is not ours."""
    query = select(*_COLUMNS).where(envelopes.c.tenant_id == caller.tenant_id)
    if wanted.sender_id:
        query = query.where(envelopes.c.sender_id == wanted.sender_id)
    if wanted.status is not None:
        query = query.where(envelopes.c.status == str(wanted.status))
    if wanted.provider:
        query = query.where(envelopes.c.provider == wanted.provider)
    if wanted.reference:
        query = query.where(envelopes.c.external_reference == wanted.reference)
    if wanted.created_from is not None:
        query = query.where(envelopes.c.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(envelopes.c.created_at < wanted.created_before)
    if cursor:
        created_at, envelope_id = read_cursor(cursor)
        query = query.where(
            or_(
                envelopes.c.created_at < created_at,
                and_(envelopes.c.created_at == created_at, envelopes.c.id < envelope_id),
            )
        )
    query = query.order_by(envelopes.c.created_at.desc(), envelopes.c.id.desc()).limit(limit + 1)
    async with services.database.transaction(caller.tenant_id) as tx:
        rows = (await tx.connection.execute(query)).mappings().all()
    # SQLAlchemy's names are a subclass of str, which msgspec does not take for a key.
    lines = tuple(
        msgspec.convert({str(name): value for name, value in row.items()}, EnvelopeLine)
        for row in rows[:limit]
    )
    more = len(rows) > limit
    return EnvelopePage(lines, write_cursor(lines[-1].created_at, lines[-1].id) if more else "")


def write_cursor(moment: datetime, last_id: UUID) -> str:
    return base64.urlsafe_b64encode(f"{moment.isoformat()}|{last_id.hex}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        moment, _, last = raw.partition("|")
        parsed = datetime.fromisoformat(moment)
        if parsed.tzinfo is None:
            raise ValueError("no offset")
        return parsed, UUID(hex=last)
    except (ValueError, binascii.Error) as error:
        raise ValidationFailed(
            "The cursor is not one of ours.", (Finding("?cursor", "Use next_cursor of the page before."),)
        ) from error
