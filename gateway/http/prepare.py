"""The page on which a person places a draft's fields: a link from the API, a session, and the draft's own use cases.

A GET changes nothing. A change bears the session's token and comes from our own site. What is refused is a page of
its own for a browser, and problem+json for the page's script.
"""

from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from engine.ceremony import view
from engine.ceremony.prepare_view import (
    FieldKind,
    PrepareField,
    PreparePage,
    PrepareRecipient,
    PrepareStartPage,
)
from engine.ceremony.refusals import SessionOver
from gateway.envelopes.edit_fields import PlacedFieldInput, add_field, remove_field, replace_field
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.placing import (
    Placing,
    end_placing,
    find_placing,
    find_placing_link,
    is_csrf,
    make_placing_link,
    start_placing,
)
from gateway.envelopes.store import load_envelope
from gateway.envelopes.view import FieldView, view_field
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.open_routes import OPEN
from gateway.http.openapi import problems
from gateway.http.sign.answers import origin_of, page_answer, plain_headers, redirect
from gateway.http.sign.entry import check_site
from gateway.http.sign.forms import read_form
from gateway.http.sign.refusals import CsrfRefused
from gateway.services import Services
from gateway.tenants.branding import brand_of
from gateway.tenants.scopes import Scope
from normalizer.document import PDF
from normalizer.errors import NotFound
from normalizer.field import DEFAULT_SIZE, FieldType
from normalizer.ids import Kind, print_id, read_id
from normalizer.recipient import Role
from normalizer.status import EDITABLE

_SIGNING = frozenset({FieldType.SIGNATURE, FieldType.INITIALS, FieldType.DATE_SIGNED})
_WITHOUT_FIELDS = frozenset({Role.CARBON_COPY, Role.CERTIFIED_DELIVERY})


class PrepareUrlInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`return_url`: where the person comes back to. `language` of the page; the envelope's by default."""

    return_url: str
    language: str = ""


class PrepareUrlView(msgspec.Struct, frozen=True):
    url: str
    expires_at: str


@post(
    "/envelopes/{envelope_id:str}/prepare-url",
    status_code=201,
    opt={"scope": Scope.ENVELOPES_WRITE},
    responses=problems(404, 409),
)
async def prepare_url(
    services: TheServices, caller: TheCaller, envelope_id: FromPath[str], data: JSONBody[PrepareUrlInput]
) -> PrepareUrlView:
    """A link to the page for placing a draft's fields. It works once, within ten minutes."""
    own = read_id(Kind.ENVELOPE, envelope_id)
    link = await make_placing_link(services, caller, own, data.return_url, data.language)
    return PrepareUrlView(link.url, link.expires_at.isoformat())


@get("/prepare/{token:str}", **OPEN)
async def look(services: TheServices, token: FromPath[str]) -> Response[str]:
    """What the link is for. Only the form behind the button uses it up."""
    found = await find_placing_link(services, token)
    if found is None:
        return _gone(services)
    tenant_id, envelope_id, language = found
    envelope = await load_envelope(services.database, tenant_id, envelope_id)
    page = PrepareStartPage(
        post_url=f"/prepare/{token}",
        language=language,
        brand=await brand_of(services, tenant_id),
        development=not services.settings.is_production,
        subject=envelope.name,
    )
    return page_answer(page)


@post("/prepare/{token:str}", status_code=303, **OPEN)
async def start(
    request: Request[Any, Any, Any], services: TheServices, token: FromPath[str]
) -> Response[Any]:
    """A session, under an address that does not hold the token."""
    check_site(request, services)
    started = await start_placing(services, token)
    if started is None:
        return _gone(services)
    cookie = _cookie(services, started.handle, started.secret)
    return redirect(f"/prepare/s/{started.handle}", headers={"set-cookie": cookie})


@get("/prepare/s/{handle:str}", **OPEN)
async def show(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """The documents with their fields."""
    try:
        placing = await _enter(request, services, handle)
    except SessionOver:
        return _gone(services)
    envelope = await load_envelope(services.database, placing.caller.tenant_id, placing.envelope_id)
    brand = await brand_of(services, placing.caller.tenant_id)
    page = _page(services, placing, envelope, brand)
    return page_answer(page, form_targets=(origin_of(placing.return_url),))


@get("/prepare/s/{handle:str}/documents/{file_name:str}", **OPEN)
async def content(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], file_name: FromPath[str]
) -> Stream:
    """A document of the draft, as it lies there; once it is sent, the page has nothing more to show."""
    placing = await _enter(request, services, handle)
    tenant_id = placing.caller.tenant_id
    envelope = await load_envelope(services.database, tenant_id, placing.envelope_id)
    if envelope.status not in EDITABLE:
        raise NotFound("document", file_name)
    number = file_name.removesuffix(".pdf")
    if not number.isdecimal() or not 1 <= int(number) <= len(envelope.documents):
        raise NotFound("document", file_name)
    document = envelope.documents[int(number) - 1]
    headers = {**plain_headers(), "content-length": str(document.size_bytes)}
    return Stream(services.blobs.open(tenant_id, document.blob_key), media_type=PDF, headers=headers)


@post("/prepare/s/{handle:str}/fields", status_code=201, **OPEN)
async def add(
    request: Request[Any, Any, Any],
    services: TheServices,
    handle: FromPath[str],
    data: JSONBody[PlacedFieldInput],
) -> FieldView:
    """Place a field, as the caller of the link."""
    placing = await _enter_to_change(request, services, handle)
    return view_field(await add_field(services, placing.caller, placing.envelope_id, data))


@put("/prepare/s/{handle:str}/fields/{field_id:str}", **OPEN)
async def replace(
    request: Request[Any, Any, Any],
    services: TheServices,
    handle: FromPath[str],
    field_id: FromPath[str],
    data: JSONBody[PlacedFieldInput],
) -> FieldView:
    """Set all attributes of a field."""
    placing = await _enter_to_change(request, services, handle)
    own = read_id(Kind.FIELD, field_id)
    return view_field(await replace_field(services, placing.caller, placing.envelope_id, own, data))


@delete("/prepare/s/{handle:str}/fields/{field_id:str}", **OPEN)
async def remove(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], field_id: FromPath[str]
) -> None:
    """Remove a field."""
    placing = await _enter_to_change(request, services, handle)
    await remove_field(services, placing.caller, placing.envelope_id, read_id(Kind.FIELD, field_id))


@post("/prepare/s/{handle:str}/close", status_code=303, **OPEN)
async def close(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """Ends the session, and back to where the person came from."""
    check_site(request, services)
    placing = await _enter(request, services, handle)
    if not is_csrf(placing, (await read_form(request)).get("csrf", "")):
        raise CsrfRefused
    await end_placing(services, placing)
    return redirect(placing.return_url, headers={"set-cookie": _cookie(services, handle, "")})


async def _enter(request: Request[Any, Any, Any], services: Services, handle: str) -> Placing:
    """Raises SessionOver."""
    secret = request.cookies.get(_cookie_name(services, handle), "")
    placing = await find_placing(services, handle, secret) if secret else None
    if placing is None:
        raise SessionOver
    return placing


async def _enter_to_change(request: Request[Any, Any, Any], services: Services, handle: str) -> Placing:
    """Raises SessionOver, CsrfRefused."""
    check_site(request, services)
    placing = await _enter(request, services, handle)
    if not is_csrf(placing, request.headers.get("x-csrf-token", "")):
        raise CsrfRefused
    return placing


def _page(services: Services, placing: Placing, envelope: StoredEnvelope, brand: view.Brand) -> PreparePage:
    base = f"/prepare/s/{placing.handle}"
    numbers = {document.id: number for number, document in enumerate(envelope.documents, start=1)}
    return PreparePage(
        base=base,
        csrf=placing.csrf,
        language=placing.language,
        brand=brand,
        development=not services.settings.is_production,
        subject=envelope.name,
        problem="" if envelope.status in EDITABLE else "prepare.not_a_draft",
        return_url=placing.return_url,
        documents=tuple(
            view.DocumentView(
                number=numbers[document.id],
                name=document.name,
                url=f"{base}/documents/{numbers[document.id]}.pdf",
                download_url="",
                text_url="",
                pages=tuple(
                    view.PageView(number=page, width=width, height=height)
                    for page, (width, height) in enumerate(document.pages, start=1)
                ),
            )
            for document in envelope.documents
            if document.pages
        ),
        recipients=tuple(
            PrepareRecipient(
                id=print_id(Kind.RECIPIENT, one.id),
                number=number,
                name=one.name,
                email=one.email,
                role=one.role,
                signs=Role(one.role).signs,
            )
            for number, one in enumerate(envelope.recipients, start=1)
            if Role(one.role) not in _WITHOUT_FIELDS
        ),
        # A field that is placed by a text of the document has no place to be moved from.
        fields=tuple(
            PrepareField(
                id=print_id(Kind.FIELD, one.id),
                document=numbers[one.document_id],
                recipient_id=print_id(Kind.RECIPIENT, one.recipient_id) if one.recipient_id else "",
                type=one.type,
                page=one.page_number,
                x=one.x,
                y=one.y,
                width=one.width,
                height=one.height,
                required=one.required,
                read_only=one.read_only,
                label=one.label,
                value=one.value,
                options=one.options,
                group=one.group_name,
            )
            for one in envelope.fields
            if one.page_number
        ),
        kinds=tuple(
            FieldKind(type=str(kind), width=width, height=height, is_signing=kind in _SIGNING)
            for kind, (width, height) in DEFAULT_SIZE.items()
        ),
    )


def _gone(services: Services) -> Response[str]:
    """Bad, used and expired links and ended sessions look the same."""
    page = PreparePage(
        base="",
        csrf="",
        language="en",
        brand=view.Brand(organisation="Countersign"),
        development=not services.settings.is_production,
        subject="",
        problem="prepare.not_found",
    )
    return page_answer(page, status=404)


def _cookie_name(services: Services, handle: str) -> str:
    return f"__Host-prepare-{handle}" if _is_https(services) else f"prepare-{handle}"


def _cookie(services: Services, handle: str, secret: str) -> str:
    life = "Max-Age=7200" if secret else "Max-Age=0"
    secure = "; Secure" if _is_https(services) else ""
    return f"{_cookie_name(services, handle)}={secret}; {life}; Path=/; HttpOnly; SameSite=Lax{secure}"


def _is_https(services: Services) -> bool:
    return services.settings.countersign.public_base_url.startswith("https://")
