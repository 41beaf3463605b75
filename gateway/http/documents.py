"""Uploads: the body is the file itself, streamed, counted and refused the moment it is too large."""

from typing import Any
from urllib.parse import unquote

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from gateway.envelopes.documents import upload_document
from gateway.envelopes.download import download_document
from gateway.envelopes.store import load_document
from gateway.envelopes.view import DocumentView, view_document
from gateway.http.envelopes import stream
from gateway.http.openapi import problems
from gateway.http.problems import BadRequest, TooLarge
from gateway.services import Caller, Services
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, read_id

# A little over the largest document, so that the limit itself is refused with its own words.
_UPLOAD = {"scope": Scope.DOCUMENTS_WRITE, "body_bytes": 60 * 1024 * 1024, "streams": True}


@post("/documents", opt=_UPLOAD, status_code=201, request_max_body_size=None, responses=problems(413, 415))
async def upload(
    request: Request[Any, Any, Any], services: Services, caller: Caller, name: FromQuery[str] = ""
) -> DocumentView:
    """Upload one document as the request's body (application/pdf, image/png, image/jpeg, DOCX or
    application/octet-stream; the content decides). `name` is the file name, or send X-Document-Name.
    """
    limit = services.settings.limit.document_bytes
    declared = request.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared) > limit:
        raise TooLarge(f"The document has {declared} bytes; {limit} can be sent.")
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > limit:
            raise TooLarge(f"The document is larger than {limit} bytes.")
    if declared is not None and declared.isdecimal() and int(declared) != len(received):
        raise BadRequest(f"Content-Length says {declared} bytes, {len(received)} came.")
    if not received:
        raise BadRequest("The body is empty.", remedy="Send the file's bytes as the body.")
    file_name = name or unquote(request.headers.get("x-document-name", "")) or "document"
    return view_document(await upload_document(services, caller, file_name, bytes(received)))


@get("/documents/{document_id:str}", opt={"scope": Scope.DOCUMENTS_READ}, responses=problems(404))
async def read(services: Services, caller: Caller, document_id: FromPath[str]) -> DocumentView:
    """A document's facts."""
    own = read_id(Kind.DOCUMENT, document_id)
    return view_document(await load_document(services.database, caller.tenant_id, own))


@get("/documents/{document_id:str}/content", opt={"scope": Scope.DOCUMENTS_READ}, responses=problems(404))
async def download(services: Services, caller: Caller, document_id: FromPath[str]) -> Stream:
    """A document's bytes as they were stored."""
    return stream(await download_document(services, caller, read_id(Kind.DOCUMENT, document_id)))
