"""Uploads: the body is the file itself, streamed, counted and refused the moment it is too large."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from litestar import Request, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Stream

from engine.documents.examine import REFUSED
from engine.documents.examiners import ExaminerLost
from gateway.envelopes.documents import IngestedDocument, upload_document
from gateway.envelopes.download import download_document
from gateway.envelopes.examination import Unlock, drop_refused, is_signed_here, settle_document
from gateway.envelopes.examined import PROCESSING
from gateway.envelopes.store import load_document
from gateway.envelopes.view import DocumentView, view_document
from gateway.http.background import finish_within
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.envelopes import stream
from gateway.http.openapi import UploadOperation, problems
from gateway.http.problems import BadRequest, TooLarge
from gateway.services import Caller, Services
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, read_id

# "document": the installation's limit for documents holds for the body, not the one for JSON.
_UPLOAD = {"scope": Scope.DOCUMENTS_WRITE, "body": "document"}


@post(
    "/documents",
    opt=_UPLOAD,
    status_code=201,
    request_max_body_size=None,
    responses=problems(413, 415),
    operation_class=UploadOperation,
)
async def upload(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    name: FromQuery[str] = "",
    remove_restrictions: FromQuery[bool] = False,
) -> DocumentView:
    """Upload one document as the request's body (application/pdf, image/png, image/jpeg, DOCX or
    application/octet-stream; the content decides). `name` is the file name, or send X-Document-Name. A PDF that
    is closed: its password, percent-encoded, in X-Document-Password, used once and not kept; one that is
    restricted: `remove_restrictions`, if you have the right. A large one may still be `processing`.
    """
    limit = services.settings.limit.document_bytes
    declared = _declared(request)
    if declared is not None and declared > limit:
        raise TooLarge(f"The document has {declared} bytes; {limit} can be sent.")
    file_name = name or unquote(request.headers.get("x-document-name", "")) or "document"
    body = _body(request, declared)
    password = unquote(request.headers.get("x-document-password", ""))
    unlock = Unlock(password=password, remove_restrictions=remove_restrictions)
    examine = unlock.is_asked or await is_signed_here(services, caller.tenant_id)
    document = await upload_document(services, caller, file_name, body, examine=examine)
    if document.status != PROCESSING:
        return view_document(document)
    return await _examined(services, caller, document, unlock)


@get("/documents/{document_id:str}", opt={"scope": Scope.DOCUMENTS_READ}, responses=problems(404))
async def read(services: TheServices, caller: TheCaller, document_id: FromPath[str]) -> DocumentView:
    """A document's facts."""
    own = read_id(Kind.DOCUMENT, document_id)
    return view_document(await load_document(services.database, caller.tenant_id, own))


@get("/documents/{document_id:str}/content", opt={"scope": Scope.DOCUMENTS_READ}, responses=problems(404))
async def download(services: TheServices, caller: TheCaller, document_id: FromPath[str]) -> Stream:
    """A document's bytes as they were stored."""
    return stream(await download_document(services, caller, read_id(Kind.DOCUMENT, document_id)))


async def _examined(
    services: Services, caller: Caller, document: IngestedDocument, unlock: Unlock
) -> DocumentView:
    """The document as its examination left it, or still processing when that takes longer than we wait."""
    work = settle_document(services, caller.tenant_id, document.id, unlock)
    try:
        settled = await finish_within(work, services.settings.document.inline_wait_s)
    except ExaminerLost:
        settled = None  # the background job tries again
    if settled is None:
        return view_document(document)
    if settled.status == REFUSED:
        raise await drop_refused(services, caller.tenant_id, settled)
    return view_document(settled)


def _declared(request: Request[Any, Any, Any]) -> int | None:
    given = request.headers.get("content-length")
    return int(given) if given is not None and given.isdecimal() and len(given) < 19 else None


async def _body(request: Request[Any, Any, Any], declared: int | None) -> AsyncIterator[bytes]:
    """The pieces as they come; an empty body, and one that is not as long as it said, are refused."""
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        yield chunk
    if received == 0:
        raise BadRequest("The body is empty.", remedy="Send the file's bytes as the body.")
    if declared is not None and declared != received:
        raise BadRequest(f"Content-Length says {declared} bytes, {received} came.")
