"""Files: transient uploads, documents of an agreement, the combined PDF, the audit trail, templates."""

import asyncio
from typing import Any

from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException

from adapters.adobe_sign.sandbox import lifecycle, rendering, roles, shapes
from adapters.adobe_sign.sandbox.agreements import ONE, etag_body, read_page, write_page
from adapters.adobe_sign.sandbox.calls import API, Call, Reply, endpoint
from adapters.adobe_sign.sandbox.notices import record
from adapters.adobe_sign.sandbox.payload import Notice
from adapters.adobe_sign.sandbox.world import Agreement, Transient

_PARTS = frozenset({"File-Name", "Mime-Type", "File"})
_MIME_TYPES = frozenset(
    {
        "application/pdf",
        "application/msword",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-powerpoint",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/rtf",
        "text/plain",
        "text/html",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/bmp",
        "image/tiff",
    }
)
_BOOLEANS = ("attachSupportingDocuments", "attachAuditReport")


@endpoint("POST", f"{API}/transientDocuments", "create_transient", scope="agreement_write")
async def create_transient(call: Call) -> Reply:
    name, mime_type, content = await _read_upload(call)
    if mime_type not in _MIME_TYPES:
        raise call.refuse("unsupported_mime_type", f"The Mime-Type {mime_type!r} is not supported")
    transient = Transient(
        id=call.box.new_id("3AAABLblqZhA"),
        name=name,
        mime_type=mime_type,
        blob=call.box.keeper.put_blob(content),
        created=call.box.now(),
    )
    call.box.world.transients[transient.id] = transient
    call.box.mark_dirty()
    return Reply(status=201, body={"transientDocumentId": transient.id})


async def _read_upload(call: Call) -> tuple[str, str, bytes]:
    if not call.request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise call.refuse("not_multipart", "The body must be multipart/form-data")
    limit = call.box.options.upload_limit_bytes
    declared = call.request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit + 1024 * 1024:
        raise call.refuse("too_large", f"The file is larger than {limit} bytes")
    try:
        form = await call.request.form()
    except ClientException as error:
        raise call.refuse("not_multipart", f"The body is not valid multipart/form-data: {error}") from error
    parts: list[tuple[str, Any]] = list(form.multi_items())
    unknown = {key for key, _ in parts} - _PARTS
    if unknown:
        raise call.refuse("unknown_part", f"Unknown parts: {sorted(unknown)}")
    files = [value for key, value in parts if key == "File"]
    if not files or not isinstance(files[0], UploadFile):
        raise call.refuse("no_file", "The part File is missing")
    if len(files) > 1:
        raise call.refuse("two_files", "One request uploads one file")
    fields = dict(parts)
    name = str(fields.get("File-Name") or files[0].filename or "")
    if not name:
        raise call.refuse("no_file_name", "The part File-Name is missing")
    content = await files[0].read()
    if len(content) > limit:
        raise call.refuse("too_large", f"The file is larger than {limit} bytes")
    if not content:
        raise call.refuse("empty_file", "The file is empty")
    return name, str(fields.get("Mime-Type") or files[0].content_type or "application/pdf"), content


def _must_have_documents(call: Call, agreement: Agreement) -> None:
    if agreement.documents_deleted:
        raise call.refuse("documents_deleted", "The documents of the agreement have been deleted.")
    if any(not document.pdf for document in agreement.documents):
        raise call.refuse("not_yet_processed", "The documents are not yet available.")


@endpoint("GET", f"{ONE}/combinedDocument", "get_combined", scope="agreement_read")
async def get_combined(call: Call) -> Reply:
    agreement = call.agreement()
    for name in _BOOLEANS:
        if call.query(name, "false").lower() not in {"true", "false"}:
            raise call.refuse("bad_query", f"{name} must be true or false")
    _must_have_documents(call, agreement)
    with_report = call.query("attachAuditReport", "false").lower() == "true"
    content = await asyncio.to_thread(
        rendering.render_combined, call.box.keeper, agreement, with_audit_report=with_report
    )
    return _pdf(content, f"{agreement.name}.pdf")


@endpoint("GET", f"{ONE}/documents", "list_documents", scope="agreement_read")
async def list_documents(call: Call) -> Reply:
    agreement = call.agreement()
    if not agreement.documents_deleted:
        _must_have_documents(call, agreement)
    listed = [] if agreement.documents_deleted else shapes.documents(agreement)
    body = {"documents": listed, "supportingDocuments": []}
    return call.with_etag(f"{agreement.id}/documents", body)


@endpoint("GET", f"{ONE}/documents/{{document_id:str}}", "get_document", scope="agreement_read")
async def get_document(call: Call) -> Reply:
    agreement = call.agreement()
    document = next((each for each in agreement.documents if each.id == call.path("document_id")), None)
    if document is None:
        raise call.refuse("unknown_document", "The Document ID specified is invalid")
    _must_have_documents(call, agreement)
    content = await asyncio.to_thread(rendering.render_document, call.box.keeper, agreement, document)
    return _pdf(content, document.name)


@endpoint("DELETE", f"{ONE}/documents", "delete_documents", scope="agreement_retention")
async def delete_documents(call: Call) -> Reply:
    agreement = call.agreement()
    call.must_match(agreement.id, etag_body(agreement))
    if agreement.status not in roles.TERMINAL:
        raise call.refuse("not_terminal", "Documents can be deleted when the agreement has ended.")
    agreement.documents_deleted = True
    record(
        call.box,
        agreement,
        Notice(
            type="DOCUMENTS_DELETED",
            event="AGREEMENT_DOCUMENTS_DELETED",
            description=f"Documents deleted by {call.actor}",
            acting_email=call.actor,
        ),
    )
    return Reply(status=204)


@endpoint("GET", f"{ONE}/auditTrail", "get_audit_trail", scope="agreement_read")
async def get_audit_trail(call: Call) -> Reply:
    agreement = call.agreement()
    if agreement.status == lifecycle.PROCESSING:
        raise call.refuse("not_yet_processed", "The audit trail is not yet available.")
    content = await asyncio.to_thread(rendering.render_audit_trail, agreement)
    return _pdf(content, f"{agreement.name} - audit.pdf")


@endpoint("GET", f"{API}/libraryDocuments", "list_library", scope="library_read")
async def list_library(call: Call) -> Reply:
    size, start = read_page(call)
    found = list(call.box.world.library.values())
    listed = [
        {
            "id": template.id,
            "name": template.name,
            "modifiedDate": shapes.instant(template.modified),
            "sharingMode": "ACCOUNT",
            "status": "ACTIVE",
            "templateTypes": ["DOCUMENT"],
            "hidden": False,
        }
        for template in found[start : start + size]
    ]
    return Reply(body={"page": write_page(start, size, len(found)), "libraryDocumentList": listed})


@endpoint("GET", f"{API}/libraryDocuments/{{library_id:str}}", "get_library", scope="library_read")
async def get_library(call: Call) -> Reply:
    template = call.box.world.library.get(call.path("library_id"))
    if template is None:
        raise call.refuse("unknown_library", "The Library Document ID specified is invalid")
    body = {
        "id": template.id,
        "name": template.name,
        "status": "ACTIVE",
        "sharingMode": "ACCOUNT",
        "templateTypes": ["DOCUMENT"],
        "modifiedDate": shapes.instant(template.modified),
    }
    return call.with_etag(template.id, body)


def _pdf(content: bytes, name: str) -> Reply:
    safe = "".join(
        char if char.isascii() and char.isprintable() and char not in '"\\' else "_" for char in name
    )
    headers = {"Content-Disposition": f'attachment; filename="{safe}"'}
    return Reply(content=content, media_type="application/pdf", headers=headers)


HANDLERS = [
    create_transient,
    get_combined,
    list_documents,
    get_document,
    delete_documents,
    get_audit_trail,
    list_library,
    get_library,
]
