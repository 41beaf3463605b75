"""Uploads one document, streamed: the bytes pass from the blob store to the provider and never through here.

Source: REST v6, POST /transientDocuments: multipart with File-Name, Mime-Type and File; valid for seven days.
"""

from adapters.adobe_sign.answers import TransientDocument, decode
from adapters.adobe_sign.calls import user_headers
from adapters.kit.exchange import BlobChunk, Effect, Exchange, ProviderRequest
from adapters.kit.port import Connection
from normalizer.document import Document

_LONGEST_NAME = 255


async def upload_document(exchange: Exchange, connection: Connection, document: Document) -> str:
    """The transient document's id."""
    boundary = f"countersign-{document.sha256[:40]}"  # a document cannot contain its own digest
    name = file_name(document.name)
    head = (
        _part(boundary, "File-Name") + name.encode() + b"\r\n"
        + _part(boundary, "Mime-Type") + document.media_type.encode() + b"\r\n"
        + _part(boundary, "File", f'; filename="{name}"\r\nContent-Type: {document.media_type}')
    )  # fmt: skip
    response = await exchange(
        ProviderRequest(
            operation="create_envelope",
            method="POST",
            path="/transientDocuments",
            effect=Effect.NONE,  # an upload that nobody uses is gone after seven days
            headers=user_headers(connection),
            content=(
                head,
                BlobChunk(blob_key=document.blob_key, size_bytes=document.size_bytes),
                f"\r\n--{boundary}--\r\n".encode(),
            ),
            content_type=f"multipart/form-data; boundary={boundary}",
            accept=frozenset({201}),
        )
    )
    return decode(response, TransientDocument).transient_document_id


def file_name(name: str) -> str:
    """Without what could end a header or a quoted string, and with its ending kept when it is cut."""
    safe = "".join("_" if mark in '"\\/' or not mark.isprintable() else mark for mark in name) or "document"
    if len(safe) <= _LONGEST_NAME:
        return safe
    stem, dot, ending = safe.rpartition(".")
    return safe[:_LONGEST_NAME] if not dot else f"{stem[: _LONGEST_NAME - len(ending) - 1]}.{ending}"


def _part(boundary: str, name: str, more: str = "") -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()
