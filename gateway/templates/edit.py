"""Makes, changes and deletes templates, each with its entry in the tenant's chain.

An upload that a template takes stays an upload: bytes never change, so both may name them. Must never remove the
bytes of an older version: envelopes were made of them.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from config.database import Transaction
from config.errors import StoreUnavailable
from gateway.envelopes.documents import IngestedDocument, drop_document, ingest_document
from gateway.envelopes.draft import DocumentInput
from gateway.envelopes.examination import examine_new, is_signed_here
from gateway.envelopes.examined import check_examined
from gateway.envelopes.model import StoredDocument
from gateway.envelopes.store import load_document
from gateway.services import Caller, Services
from gateway.templates.content import TemplateInput, find_template_faults
from gateway.templates.store import StoredTemplate, TemplateDocument, load_template, read_template
from gateway.tenants.facts import tenant_event
from normalizer.errors import Conflict, ValidationFailed
from normalizer.events import Event, ResourceType
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import LedgerType

_WHAT = "The template cannot be taken as it is."


async def create_template(services: Services, caller: Caller, given: TemplateInput) -> StoredTemplate:
    """Raises ValidationFailed with everything that is wrong, NotFound for documents."""
    _check(services, given, len(given.documents))
    template_id = services.ids.new()
    documents = await _take_in(services, caller.tenant_id, given.documents)
    await _keep_or_drop(services, caller, given, documents, template_id, is_new=True)
    return await load_template(services.database, caller.tenant_id, template_id)


async def change_template(
    services: Services, caller: Caller, template_id: UUID, given: TemplateInput
) -> StoredTemplate:
    """Sets everything; the version counts up. Raises Conflict when `given.version` is not the template's, and as
    create_template.
    """
    before = await load_template(services.database, caller.tenant_id, template_id)
    _check_version(before, given)
    _check(services, given, len(given.documents) or len(before.documents))
    documents = await _take_in(services, caller.tenant_id, given.documents)
    await _keep_or_drop(services, caller, given, documents, template_id, is_new=False)
    return await load_template(services.database, caller.tenant_id, template_id)


async def delete_template(services: Services, caller: Caller, template_id: UUID) -> None:
    """Envelopes that were made of it go on. Raises NotFound."""
    async with services.database.transaction(caller.tenant_id) as tx:
        template = await read_template(tx, caller.tenant_id, template_id, lock=True)
        await tx.driver.execute(
            "UPDATE templates SET deleted_at = now() WHERE tenant_id = $1 AND id = $2",
            caller.tenant_id,
            template_id,
        )
        event = _event(services, caller, LedgerType.TEMPLATE_DELETED, template)
        await services.recorder.record(tx, [event])
        await tx.commit()


def _check(services: Services, given: TemplateInput, documents: int) -> None:
    faults = find_template_faults(given, documents, services.settings.limit)
    if faults:
        raise ValidationFailed(_WHAT, faults)


def _check_version(before: StoredTemplate, given: TemplateInput) -> None:
    if before.version != given.version:
        raise Conflict(
            f"The template's version is {before.version}, not {given.version}.",
            remedy="Read it again and repeat your change with its version.",
        )


async def _take_in(
    services: Services, tenant_id: UUID, given: Sequence[DocumentInput]
) -> list[tuple[TemplateDocument, bool]]:
    """The template's documents in order, and of each whether its bytes are new and nobody else's."""
    taken: list[tuple[TemplateDocument, bool]] = []
    examine = bool(given) and await is_signed_here(services, tenant_id)
    try:
        for position, one in enumerate(given, start=1):
            if one.document_id:
                taken.append((await _take_upload(services, tenant_id, one.document_id, position), False))
            else:
                taken.append((await _take_inline(services, tenant_id, one, position), True))
                if examine:
                    taken[-1] = (await _examine(services, tenant_id, taken[-1][0]), True)
    except Exception:  # whatever stopped us, nobody will ask for these bytes
        await _drop(services, tenant_id, taken)
        raise
    return taken


async def _take_upload(services: Services, tenant_id: UUID, printed: str, position: int) -> TemplateDocument:
    upload = await load_document(services.database, tenant_id, read_id(Kind.DOCUMENT, printed))
    check_examined([upload])
    return _document(services, upload, position)


async def _take_inline(
    services: Services, tenant_id: UUID, one: DocumentInput, position: int
) -> TemplateDocument:
    ingested = await ingest_document(services, tenant_id, one.name, one.content_base64)
    return _document(services, ingested, position)


async def _examine(services: Services, tenant_id: UUID, document: TemplateDocument) -> TemplateDocument:
    found = await examine_new(services, tenant_id, document.media_type, document.blob_key, document.sha256)
    if found is None:
        return document
    pages = tuple((page.width, page.height) for page in found.pages)
    return msgspec.structs.replace(document, page_count=found.page_count, pages=pages)


def _document(
    services: Services, source: StoredDocument | IngestedDocument, position: int
) -> TemplateDocument:
    """A row of its own with the source's facts."""
    return TemplateDocument(
        id=services.ids.new(),
        position=position,
        name=source.name,
        media_type=source.media_type,
        size_bytes=source.size_bytes,
        sha256=source.sha256,
        page_count=source.page_count,
        pages=source.pages,
        blob_key=source.blob_key,
        source_media_type=source.source_media_type,
        source_sha256=source.source_sha256,
    )


async def _keep_or_drop(
    services: Services,
    caller: Caller,
    given: TemplateInput,
    documents: list[tuple[TemplateDocument, bool]],
    template_id: UUID,
    *,
    is_new: bool,
) -> None:
    """Writes the template; bytes that came with it go when that fails."""
    try:
        async with services.database.transaction(caller.tenant_id) as tx:
            kind = LedgerType.TEMPLATE_CREATED if is_new else LedgerType.TEMPLATE_CHANGED
            if is_new:
                await _insert(tx, caller.tenant_id, template_id, given)
            else:
                before = await read_template(tx, caller.tenant_id, template_id, lock=True)
                _check_version(before, given)
                await _update(tx, caller.tenant_id, template_id, given, retire=bool(documents))
            await _insert_documents(tx, caller.tenant_id, template_id, [one for one, _ in documents])
            written = await read_template(tx, caller.tenant_id, template_id)
            await services.recorder.record(tx, [_event(services, caller, kind, written)])
            await tx.commit()
    except StoreUnavailable:
        raise  # the rows may have been written, and then the bytes are theirs
    except Exception:  # rolled back, whatever it was: no row names these bytes
        await _drop(services, caller.tenant_id, documents)
        raise


async def _insert(tx: Transaction, tenant_id: UUID, template_id: UUID, given: TemplateInput) -> None:
    await tx.driver.execute(
        "INSERT INTO templates (tenant_id, id, name, description, content) VALUES ($1, $2, $3, $4, $5::jsonb)",
        tenant_id,
        template_id,
        given.name,
        given.description,
        msgspec.json.encode(given.content).decode(),
    )


async def _update(
    tx: Transaction, tenant_id: UUID, template_id: UUID, given: TemplateInput, *, retire: bool
) -> None:
    await tx.driver.execute(
        "UPDATE templates SET name = $3, description = $4, content = $5::jsonb, version = version + 1,"
        " updated_at = now() WHERE tenant_id = $1 AND id = $2",
        tenant_id,
        template_id,
        given.name,
        given.description,
        msgspec.json.encode(given.content).decode(),
    )
    if retire:
        await tx.driver.execute(
            "UPDATE template_documents SET retired_at = now()"
            " WHERE tenant_id = $1 AND template_id = $2 AND retired_at IS NULL",
            tenant_id,
            template_id,
        )


async def _insert_documents(
    tx: Transaction, tenant_id: UUID, template_id: UUID, documents: Sequence[TemplateDocument]
) -> None:
    await tx.driver.execute(
        "INSERT INTO template_documents (tenant_id, template_id, id, position, name, media_type, size_bytes,"
        " sha256, page_count, pages, blob_key, source_media_type, source_sha256)"
        " SELECT $1, $2, d.id, d.position, d.name, d.media_type, d.size_bytes, d.sha256, d.page_count, d.pages,"
        " d.blob_key, d.source_media_type, d.source_sha256"
        " FROM jsonb_populate_recordset(NULL::template_documents, $3::jsonb) d",
        tenant_id,
        template_id,
        msgspec.json.encode(documents).decode(),
    )


async def _drop(
    services: Services, tenant_id: UUID, documents: Sequence[tuple[TemplateDocument, bool]]
) -> None:
    for document, is_new in documents:
        if is_new:
            await drop_document(services, tenant_id, document.blob_key)


def _event(services: Services, caller: Caller, kind: LedgerType, template: StoredTemplate) -> Event:
    return tenant_event(
        services,
        caller,
        kind,
        caller.tenant_id,
        ResourceType.TEMPLATE,
        print_id(Kind.TEMPLATE, template.id),
        {
            "version": template.version,
            "documents": [document.sha256 for document in template.documents],
            "roles": len(template.content.roles),
            "fields": sum(len(role.fields) for role in template.content.roles),
        },
    )
