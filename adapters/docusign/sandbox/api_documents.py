"""Documents of an envelope, and chunked uploads for large ones."""

import base64
import binascii
import hashlib
import re
from datetime import timedelta

from litestar import delete, get, post, put

from . import documents, papers, render
from .exchange import (
    Answer,
    HttpRequest,
    answer,
    body_of,
    envelope_of,
    file_answer,
    part,
    query,
    query_is_true,
    require_lock,
    world_of,
)
from .refusals import Refusal
from .state import Envelope, Upload

_DOCUMENTS = "/envelopes/{envelope_id:str}/documents"
_UPLOADS = "/chunked_uploads"
_MAX_PARTS = 128
_MAX_TOTAL = 52_428_800
_UPLOAD_MINUTES = 20
_MAX_OUTSTANDING = 64


@get(_DOCUMENTS, name="documents.list")
async def list_documents(request: HttpRequest) -> Answer:
    return answer(render.documents(envelope_of(request)))


@put(_DOCUMENTS, name="documents.update")
async def put_documents(request: HttpRequest) -> Answer:
    """Adds or replaces several documents."""
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "EnvelopeDefinition")
    _require_changeable(request, envelope)
    taken = documents.replace(world, envelope, body.get("documents") or [])
    world.record(envelope, "Documents Changed", "The sender changed documents")
    return answer(
        {"envelopeId": envelope.id, "envelopeDocuments": [render.document(envelope, d) for d in taken]}
    )


@delete(_DOCUMENTS, name="documents.remove", status_code=200)
async def remove_documents(request: HttpRequest) -> Answer:
    world, envelope = world_of(request), envelope_of(request)
    body = await body_of(request, "EnvelopeDefinition")
    _require_changeable(request, envelope)
    for doomed in [documents.find(envelope, str(d.get("documentId"))) for d in body.get("documents") or []]:
        envelope.documents.remove(doomed)
    world.record(envelope, "Documents Changed", "The sender removed documents")
    return answer(render.documents(envelope))


@get(_DOCUMENTS + "/{document_id:str}", name="documents.get")
async def download(request: HttpRequest) -> Answer:
    """One document, or combined, certificate, archive."""
    world, envelope = world_of(request), envelope_of(request)
    document_id = part(request, "document_id")
    if envelope.is_purged:
        raise Refusal("document-purged")
    match document_id:
        case "combined":
            if not envelope.documents:
                raise Refusal("document-unknown", "The envelope has no documents.")
            with_certificate = query_is_true(request, "certificate") and envelope.status != "created"
            content = papers.combined_pdf(world, envelope, with_certificate=with_certificate)
            return file_answer(content, "application/pdf", "Combined.pdf", "combined")
        case "certificate" | "summary":
            if envelope.status == "created":
                raise Refusal("document-unknown", "A draft has no certificate.")
            return file_answer(
                papers.certificate_pdf(envelope), "application/pdf", "Summary.pdf", "certificate"
            )
        case "archive":
            return file_answer(
                papers.archive_zip(world, envelope), "application/zip", "Envelope.zip", "archive"
            )
        case _:
            document = documents.find(envelope, document_id)
            content = papers.document_pdf(world, envelope, document)
            return file_answer(content, "application/pdf", papers.pdf_name(document), document.document_id)


@put(_DOCUMENTS + "/{document_id:str}", name="documents.put")
async def put_document(request: HttpRequest) -> Answer:
    """Adds or replaces one document from raw bytes."""
    world, envelope = world_of(request), envelope_of(request)
    _require_changeable(request, envelope)
    named = re.search(r'filename="?([^";]+)"?', request.headers.get("content-disposition", ""))
    if named is None:
        raise Refusal("document-put-without-filename")
    name = named[1]
    is_pdf = request.headers.get("content-type", "").startswith("application/pdf")
    extension = "pdf" if is_pdf else name.rpartition(".")[2].lower()
    order = len(envelope.documents) + 1
    content = await request.body()
    taken = documents.from_bytes(world, content, part(request, "document_id"), name, extension, order, {})
    documents.put(envelope, taken)
    world.record(envelope, "Documents Changed", "The sender changed a document")
    return answer(render.document(envelope, taken))


@post(_UPLOADS, name="uploads.create", status_code=201)
async def start_upload(request: HttpRequest) -> Answer:
    world = world_of(request)
    content = await _chunk(request)
    now = world.now()
    uploads = {key: kept for key, kept in world.state.uploads.items() if kept.expires_at > now}
    if len(uploads) >= _MAX_OUTSTANDING:
        raise Refusal("upload-too-many")
    upload = Upload(
        id=world.new_id(), parts=[], sizes=[], size=0, expires_at=now + timedelta(minutes=_UPLOAD_MINUTES)
    )
    world.state.uploads = {**uploads, upload.id: upload}
    _append(request, upload, content)
    return _shown(request, upload, 201)


@put(_UPLOADS + "/{upload_id:str}/{sequence:str}", name="uploads.add_part")
async def add_part(request: HttpRequest) -> Answer:
    upload = _upload(request)
    content = await _chunk(request)
    sequence = part(request, "sequence")
    if upload.is_committed:
        raise Refusal("upload-committed")
    if not sequence.isdigit() or int(sequence) != len(upload.parts):
        raise Refusal("upload-part-out-of-order", f"Expected {len(upload.parts)}, got {sequence}.")
    _append(request, upload, content)
    return _shown(request, upload)


@put(_UPLOADS + "/{upload_id:str}", name="uploads.commit")
async def commit_upload(request: HttpRequest) -> Answer:
    upload = _upload(request)
    if query(request, "action") != "commit":
        raise Refusal("upload-action-unknown")
    if upload.is_committed:
        raise Refusal("upload-committed")
    upload.is_committed = True
    world_of(request).touch()
    return _shown(request, upload)


@get(_UPLOADS + "/{upload_id:str}", name="uploads.get")
async def show_upload(request: HttpRequest) -> Answer:
    return _shown(request, _upload(request))


@delete(_UPLOADS + "/{upload_id:str}", name="uploads.remove", status_code=200)
async def remove_upload(request: HttpRequest) -> Answer:
    upload = _upload(request)
    del world_of(request).state.uploads[upload.id]
    world_of(request).touch()
    return _shown(request, upload)


def _require_changeable(request: HttpRequest, envelope: Envelope) -> None:
    require_lock(request, envelope)
    if envelope.status not in {"created", "sent", "delivered"}:
        raise Refusal("documents-invalid-state")
    if any(recipient.is_done for recipient in envelope.recipients):
        raise Refusal("documents-already-signed")


def _upload(request: HttpRequest) -> Upload:
    world = world_of(request)
    found = world.state.uploads.get(part(request, "upload_id"))
    if found is None or found.expires_at <= world.now():
        raise Refusal("upload-unknown")
    return found


async def _chunk(request: HttpRequest) -> bytes:
    body = await body_of(request, "ChunkedUploadRequest")
    try:
        content = base64.b64decode(str(body.get("data") or ""), validate=True)
    except binascii.Error as error:
        raise Refusal("upload-data-invalid") from error
    if not content:
        raise Refusal("upload-data-invalid")
    return content


def _append(request: HttpRequest, upload: Upload, content: bytes) -> None:
    world = world_of(request)
    if len(upload.parts) >= _MAX_PARTS or upload.size + len(content) > _MAX_TOTAL:
        raise Refusal("upload-too-large")
    upload.parts.append(world.blobs.put(content))
    upload.sizes.append(len(content))
    upload.size += len(content)
    world.touch()


def _shown(request: HttpRequest, upload: Upload, status: int = 200) -> Answer:
    world = world_of(request)
    shown = render.upload(upload, world.settings.account_id)
    if query(request, "include") == "checksum":
        digest = hashlib.sha256()
        for key in upload.parts:
            digest.update(world.blobs.get(key))
        shown["checksum"] = digest.hexdigest()
    return answer(shown, status)
