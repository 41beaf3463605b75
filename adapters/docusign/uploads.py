"""Large documents go up in parts before the envelope is created, which then names their address.

The whole create request may have about 35 MB, and base64 makes a third more of every document; what does not
fit is uploaded. An upload that nobody uses expires at DocuSign after twenty minutes.
Source: eSignature REST API v2.1, chunked uploads.
"""

from adapters.docusign.answers import ChunkedUpload, text
from adapters.docusign.definition import in_order
from adapters.docusign.requests import decode, write
from adapters.docusign.wire import ChunkedUploadRequest, split_at_streams, streamed
from adapters.kit.exchange import BlobChunk, BlobEncoding, Chunk, Effect, Exchange
from adapters.kit.outcome import Interruption, Rejected
from normalizer.document import Document
from normalizer.envelope import Envelope

INLINE_BYTES = 20 * 1024 * 1024  # of all documents of one request together: 27 MB as base64
PART_BYTES = 4 * 1024 * 1024

_OPERATION = "upload_document"


async def upload_large_documents(exchange: Exchange, envelope: Envelope) -> dict[int, str]:
    """The addresses of the documents that do not fit into the request, by their place."""
    uploads: dict[int, str] = {}
    room = INLINE_BYTES
    for place, document in enumerate(in_order(envelope)):
        if document.size_bytes <= room:
            room -= document.size_bytes
        else:
            uploads[place] = await _upload(exchange, document)
    return uploads


async def _upload(exchange: Exchange, document: Document) -> str:
    first, *others = range(0, document.size_bytes, PART_BYTES)
    # Effect NONE: a part sent twice makes an upload that nobody names and that expires, never an envelope.
    begun = decode(
        await exchange(write(_OPERATION, "POST", "/chunked_uploads", _part(document, first), Effect.NONE)),
        ChunkedUpload,
    )
    path = f"/chunked_uploads/{begun.chunked_upload_id}"
    for sequence, offset in enumerate(others, start=1):
        part = _part(document, offset)
        await exchange(write(_OPERATION, "PUT", f"{path}/{sequence}", part, Effect.NONE))
    committed = await exchange(write(_OPERATION, "PUT", path, None, Effect.KEYED, {"action": "commit"}))
    done = decode(committed, ChunkedUpload)
    _compare(text(done.checksum), document)
    return done.chunked_upload_uri or begun.chunked_upload_uri


def _part(document: Document, offset: int) -> tuple[Chunk, ...]:
    length = min(PART_BYTES, document.size_bytes - offset)
    chunk = BlobChunk(document.blob_key, document.size_bytes, BlobEncoding.BASE64, offset, length)
    pieces = split_at_streams(ChunkedUploadRequest(data=streamed(0)))
    return tuple(piece if isinstance(piece, bytes) else chunk for piece in pieces)


def _compare(checksum: str, document: Document) -> None:
    """DocuSign's checksum is a SHA-256; other forms than hexadecimal are not documented and not compared."""
    is_hex = len(checksum) == 64 and all(letter in "0123456789abcdefABCDEF" for letter in checksum)
    if is_hex and checksum.casefold() != document.sha256.casefold():
        raise Interruption(
            Rejected(
                code="integrity",
                provider_code="CHECKSUM",
                detail=f"{document.name} arrived with another SHA-256.",
                status=200,
            )
        )
