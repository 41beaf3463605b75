"""What the page's scripts call: one field, one signature, one file at a time. Every answer to a field is the field
as it stands now; a refusal is problem+json.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Request, Response, post, put, route
from litestar.params import FromPath, FromQuery

from engine.ceremony.attach import attach_file
from engine.ceremony.capture import Adoption, adopt_signature
from engine.ceremony.fields import save_value, sign_field
from engine.ceremony.pages_signing import field_view, signature_view
from engine.ceremony.visit import Visit
from engine.model import EngineField
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import LOOK, OPEN
from gateway.http.problems import BadRequest
from gateway.http.sign.answers import json_answer, plain_headers
from gateway.http.sign.entry import enter, enter_by_script, require_identity, require_turn
from gateway.http.sign.forms import read_json, read_version
from normalizer.errors import NotFound
from normalizer.ids import Kind, read_id

# Base64 of the largest picture that may be configured is refused by its own setting; this bounds what is read.
_PICTURE_BODY = 16_777_216


class ValueChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: str


class SignatureChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    signature_id: str


@put("/s/{handle:str}/fields/{field_id:str}", status_code=200, **OPEN)
async def put_value(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], field_id: FromPath[str]
) -> Response[bytes]:
    visit = await enter_by_script(request, services, handle)
    require_turn(visit, "fill in")
    wanted = await read_json(request, ValueChange)
    field = await save_value(
        services.engine,
        visit.session,
        visit.visitor,
        read_id(Kind.FIELD, field_id),
        wanted.value,
        version=read_version(request),
    )
    return _field_answer(visit, field)


@put("/s/{handle:str}/fields/{field_id:str}/signature", status_code=200, **OPEN)
async def put_signature(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], field_id: FromPath[str]
) -> Response[bytes]:
    visit = await enter_by_script(request, services, handle)
    require_turn(visit, "sign")
    wanted = await read_json(request, SignatureChoice)
    field = await sign_field(
        services.engine,
        visit.session,
        visit.visitor,
        read_id(Kind.FIELD, field_id),
        read_id(Kind.SIGNATURE, wanted.signature_id),
        version=read_version(request),
    )
    return _field_answer(visit, field)


@post("/s/{handle:str}/fields/{field_id:str}/attachment", status_code=200, request_max_body_size=None, **OPEN)
async def post_attachment(
    request: Request[Any, Any, Any],
    services: TheServices,
    handle: FromPath[str],
    field_id: FromPath[str],
    name: FromQuery[str] = "",
) -> Response[bytes]:
    """The body is the file itself; its name in `name` or X-Document-Name."""
    visit = await enter_by_script(request, services, handle)
    require_turn(visit, "add a file")
    field = await attach_file(
        services.engine,
        visit.session,
        visit.visitor,
        read_id(Kind.FIELD, field_id),
        name or unquote(request.headers.get("x-document-name", "")),
        _chunks(request),
        version=read_version(request),
    )
    return _field_answer(visit, field)


@post("/s/{handle:str}/signatures", status_code=201, request_max_body_size=_PICTURE_BODY, **OPEN)
async def post_signature(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[bytes]:
    visit = await enter_by_script(request, services, handle)
    require_turn(visit, "sign")
    adoption = await read_json(request, Adoption)
    signature = await adopt_signature(services.engine, visit.session, visit.visitor, adoption)
    return json_answer(signature_view(visit, signature), status=201)


@route(
    "/s/{handle:str}/signatures/{file_name:str}",
    **LOOK,
)
async def picture(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], file_name: FromPath[str]
) -> Response[bytes]:
    """One of the reader's own signatures; another's is not there."""
    visit = await enter(request, services, handle)
    require_identity(visit)
    wanted = read_id(Kind.SIGNATURE, file_name.removesuffix(".png"))
    for signature in visit.envelope.signatures_of(visit.recipient.id):
        if signature.id == wanted:
            content = await services.engine.blobs.read(visit.session.tenant_id, signature.blob_key)
            headers = {**plain_headers(), "content-security-policy": "default-src 'none'; sandbox"}
            return Response(content, media_type="image/png", headers=headers)
    raise NotFound(Kind.SIGNATURE, file_name)


def _field_answer(visit: Visit, field: EngineField) -> Response[bytes]:
    """With the version that the next change must name."""
    own = msgspec.structs.replace(
        visit.envelope, fields=tuple(field if one.id == field.id else one for one in visit.envelope.fields)
    )
    shown = replace(visit, envelope=own)
    return json_answer(field_view(shown, field))


async def _chunks(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        yield chunk
    if received == 0:
        raise BadRequest("The body is empty.", remedy="Send the file's bytes as the body.")
