"""Verification over the API: the body is a PDF, or names a stored document."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, post
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType

from engine.documents.examiners import ExaminerLost
from engine.verification.report import Report
from gateway.envelopes.verify import verify_sent, verify_stored
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.http.problems import BadRequest, TooLarge, TooMany
from gateway.services import Services
from gateway.tenants.scopes import Scope
from normalizer.errors import PayloadMalformed
from normalizer.ids import Kind, read_id

_AGAIN_S = 5


class VerifyInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    document_id: str


@dataclass
class VerifyOperation(Operation):
    """A file, or JSON: Litestar would document neither."""

    def __post_init__(self) -> None:
        file = Schema(type=OpenAPIType.STRING, content_media_type="application/octet-stream")
        named = Schema(
            type=OpenAPIType.OBJECT,
            properties={"document_id": Schema(type=OpenAPIType.STRING)},
            required=["document_id"],
        )
        self.request_body = RequestBody(
            content={
                "application/pdf": OpenAPIMediaType(schema=file),
                "application/json": OpenAPIMediaType(schema=named),
            },
            required=True,
        )


@post(
    "/verify",
    opt={"scope": Scope.DOCUMENTS_READ, "body": "document"},
    status_code=200,
    request_max_body_size=None,
    responses=problems(404, 413, 415),
    operation_class=VerifyOperation,
)
async def verify(request: Request[Any, Any, Any], services: TheServices, caller: TheCaller) -> Report:
    """Verify every signature of a PDF: the file as the body, or `{"document_id": "doc_..."}` for a stored one. What
    was added to a file after it was signed is reported, although other readers may call its signatures valid.
    """
    try:
        if _media_type(request) == "application/json":
            own = read_id(Kind.DOCUMENT, (await _named(request)).document_id)
            return await verify_stored(services, caller, own)
        with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
            path = Path(folder, "sent.pdf")
            await receive_file(request, services, path)
            return await verify_sent(services, caller, path)
    except ExaminerLost as error:
        raise TooMany("The file could not be looked at just now.", _AGAIN_S) from error


async def receive_file(request: Request[Any, Any, Any], services: Services, path: Path) -> None:
    """Writes the body to a file as it comes. Raises TooLarge, BadRequest for an empty one."""
    limit, size = services.settings.verification.file_bytes, 0
    with path.open("wb") as spool:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"A file of at most {limit} bytes is verified.")
            spool.write(chunk)
    if not size:
        raise BadRequest("The body is empty.", remedy="Send the PDF's bytes as the body.")


async def _named(request: Request[Any, Any, Any]) -> VerifyInput:
    try:
        return msgspec.convert(await request.json(), VerifyInput)
    except msgspec.ValidationError as error:
        raise PayloadMalformed(f"The body is not as documented: {error}") from error


def _media_type(request: Request[Any, Any, Any]) -> str:
    return str(request.headers.get("content-type", "")).split(";")[0].strip().lower()
