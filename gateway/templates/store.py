"""Reads templates from their tables; a row becomes a struct here and nowhere else."""

from datetime import datetime
from uuid import UUID

import msgspec

from config.database import Database, Transaction
from gateway.envelopes.model import PlacedDocument
from gateway.envelopes.search import read_cursor, write_cursor
from gateway.templates.content import TemplateContent
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id

_DOCUMENTS = (
    "coalesce((SELECT jsonb_agg(to_jsonb(d) ORDER BY d.position) FROM template_documents d"
    " WHERE d.tenant_id = t.tenant_id AND d.template_id = t.id AND d.retired_at IS NULL), '[]')"
)
_TEMPLATE = f"to_jsonb(t) || jsonb_build_object('documents', {_DOCUMENTS})"


class TemplateDocument(PlacedDocument, frozen=True, kw_only=True):
    """One of a template's documents."""


class StoredTemplate(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    description: str
    version: int
    content: TemplateContent
    created_at: datetime
    updated_at: datetime
    documents: tuple[TemplateDocument, ...] = ()


class TemplatePage(msgspec.Struct, frozen=True):
    """`next_cursor` is empty on the last page."""

    templates: tuple[StoredTemplate, ...]
    next_cursor: str


_decoder = msgspec.json.Decoder(StoredTemplate)


async def load_template(database: Database, tenant_id: UUID, template_id: UUID) -> StoredTemplate:
    """Raises NotFound, also for another tenant's template and for a deleted one."""
    async with database.transaction(tenant_id) as tx:
        return await read_template(tx, tenant_id, template_id)


async def read_template(
    tx: Transaction, tenant_id: UUID, template_id: UUID, *, lock: bool = False
) -> StoredTemplate:
    """As load_template, in the caller's transaction; `lock`: nobody else changes it until that ends."""
    row = await tx.driver.fetchval(
        f"SELECT {_TEMPLATE} FROM templates t WHERE t.tenant_id = $1 AND t.id = $2 AND t.deleted_at IS NULL"
        + (" FOR UPDATE" if lock else ""),
        tenant_id,
        template_id,
    )
    if row is None:
        raise NotFound("template", print_id(Kind.TEMPLATE, template_id))
    return _decoder.decode(row)


async def list_templates(database: Database, tenant_id: UUID, cursor: str, limit: int) -> TemplatePage:
    """Newest first. Raises ValidationFailed for a cursor that is not ours."""
    before, last = read_cursor(cursor) if cursor else (None, None)
    async with database.transaction(tenant_id) as tx:
        rows = await tx.driver.fetch(
            f"SELECT {_TEMPLATE} AS one FROM templates t WHERE t.tenant_id = $1 AND t.deleted_at IS NULL"
            " AND ($2::timestamptz IS NULL OR (t.created_at, t.id) < ($2, $3))"
            " ORDER BY t.created_at DESC, t.id DESC LIMIT $4",
            tenant_id,
            before,
            last,
            limit + 1,
        )
    found = tuple(_decoder.decode(row["one"]) for row in rows[:limit])
    more = len(rows) > limit
    return TemplatePage(found, write_cursor(found[-1].created_at, found[-1].id) if more else "")
