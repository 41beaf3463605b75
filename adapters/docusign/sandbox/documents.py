"""Takes documents in: base64, chunked upload or multipart file; PDFs as they are, others 'converted'."""

import base64
import binascii
import re
from pathlib import PurePosixPath

from .catalogue import JsonObject
from .pdf import BadPdf, looks_like_pdf, read_pages, text_page
from .refusals import Refusal
from .state import Document, Envelope
from .world import World

# What the provider turns into PDF; the sandbox draws a page that names the file instead.
_CONVERTIBLE = frozenset(
    [
        "doc",
        "docm",
        "docx",
        "dot",
        "dotm",
        "dotx",
        "htm",
        "html",
        "msg",
        "rtf",
        "txt",
        "wpd",
        "xps",
        "bmp",
        "gif",
        "jpg",
        "jpeg",
        "png",
        "tif",
        "tiff",
        "pot",
        "potx",
        "pps",
        "ppt",
        "pptm",
        "pptx",
        "csv",
        "xls",
        "xlsm",
        "xlsx",
    ]
)
_UPLOAD_URI = re.compile(r"/chunked_uploads/([0-9a-fA-F-]{36})$")


def take_all(
    world: World, envelope: Envelope, documents: list[JsonObject], files: dict[str, bytes] | None = None
) -> None:
    """Adds documents to the envelope; a known documentId is refused here and replaced by `replace`."""
    for wire in documents:
        taken = take(world, wire, len(envelope.documents) + 1, files or {})
        if any(document.document_id == taken.document_id for document in envelope.documents):
            raise Refusal("document-id-duplicate", f"documentId {taken.document_id}.")
        envelope.documents.append(taken)


def replace(world: World, envelope: Envelope, documents: list[JsonObject]) -> list[Document]:
    """Adds documents, or puts them in the place of those with the same documentId."""
    taken = [take(world, wire, len(envelope.documents) + 1, {}) for wire in documents]
    for document in taken:
        put(envelope, document)
    return taken


def put(envelope: Envelope, document: Document) -> None:
    for index, existing in enumerate(envelope.documents):
        if existing.document_id == document.document_id:
            document.order = existing.order
            envelope.documents[index] = document
            return
    envelope.documents.append(document)


def take(world: World, wire: JsonObject, fallback_order: int, files: dict[str, bytes]) -> Document:
    """One document from its wire form."""
    document_id = str(wire.get("documentId") or "")
    if not document_id:
        raise Refusal("document-id-missing")
    name = str(wire.get("name") or "")
    if not name:
        raise Refusal("document-name-missing", f"documentId {document_id}.")
    content = _content(world, wire, document_id, files)
    extension = str(wire.get("fileExtension") or PurePosixPath(name).suffix or "pdf").lstrip(".").lower()
    kept = {key: value for key, value in wire.items() if key not in {"documentBase64", "remoteUrl", "tabs"}}
    return from_bytes(
        world, content, document_id, name, extension, int(wire.get("order") or fallback_order), kept
    )


def from_bytes(
    world: World, content: bytes, document_id: str, name: str, extension: str, order: int, wire: JsonObject
) -> Document:
    """A document from its bytes; refuses a broken PDF and what nobody converts."""
    is_pdf = extension == "pdf"
    if not content:
        raise Refusal("document-empty", f"documentId {document_id}.")
    if is_pdf and not looks_like_pdf(content):
        raise Refusal("document-not-pdf", f"documentId {document_id} does not start with %PDF.")
    if not is_pdf:
        if extension not in _CONVERTIBLE:
            raise Refusal("document-not-convertible", f"documentId {document_id}, extension '{extension}'.")
        content = text_page(name, (f"The sandbox converted '{name}' ({len(content)} bytes) to this page.",))
    try:
        pages = read_pages(content)
    except BadPdf as error:
        raise Refusal("document-not-pdf", f"documentId {document_id}: {error}") from error
    return Document(
        document_id=document_id,
        guid=world.new_id(),
        name=name,
        order=order,
        content=world.blobs.put(content),
        pages=pages,
        wire=wire,
        is_converted=not is_pdf,
    )


def find(envelope: Envelope, document_id: str) -> Document:
    for document in envelope.documents:
        if document_id in {document.document_id, document.guid}:
            return document
    raise Refusal("document-unknown", f"documentId {document_id}.")


def _content(world: World, wire: JsonObject, document_id: str, files: dict[str, bytes]) -> bytes:
    encoded, remote = wire.get("documentBase64"), wire.get("remoteUrl")
    if document_id in files:
        return files[document_id]
    if remote:
        return _uploaded(world, str(remote))
    if not encoded:
        raise Refusal("document-without-content", f"documentId {document_id}.")
    try:
        return base64.b64decode(str(encoded), validate=True)
    except binascii.Error as error:
        raise Refusal("document-base64-invalid", f"documentId {document_id}: {error}.") from error


def _uploaded(world: World, uri: str) -> bytes:
    named = _UPLOAD_URI.search(uri)
    upload = world.state.uploads.get(named[1]) if named else None
    if upload is None or upload.expires_at <= world.now():
        raise Refusal("upload-unknown", f"remoteUrl '{uri}'.")
    if not upload.is_committed:
        raise Refusal("upload-not-committed")
    return b"".join(world.blobs.get(part) for part in upload.parts)
