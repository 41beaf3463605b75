"""The document step: the page with its fields, the PDF and its text, a form without scripts, the last look, finish."""

import secrets
from typing import Any
from uuid import UUID

from litestar import Request, Response, post, route
from litestar.params import FromPath
from litestar.response import Stream

from engine.ceremony.downloads import Copy, find_copy, note_download
from engine.ceremony.fields import FormSignatures, save_form, typed_fields
from engine.ceremony.finish import Finish, finish_recipient
from engine.ceremony.pages_end import done_page, title_of
from engine.ceremony.pages_signing import read_meaning, review_page, signing_page
from engine.ceremony.visit import Step, Visit
from engine.documents.text import page_texts
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import LOOK, OPEN
from gateway.http.sign.answers import page_answer, plain_headers, redirect
from gateway.http.sign.entry import enter, enter_to_change, require_identity, require_turn
from gateway.http.sign.files import disposition, read_range, stream_copy
from gateway.http.sign.shown import note_once
from gateway.http.sign.steps import change
from normalizer.errors import NotFound
from normalizer.field import FieldType
from normalizer.ids import Kind, print_id, read_id
from normalizer.recipient import Role


@route("/s/{handle:str}/document", **LOOK)
async def document(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    if visit.step is not Step.DOCUMENT:
        return redirect(visit.here)
    return page_answer(signing_page(visit), session=visit.session)


@route("/s/{handle:str}/documents/{file_name:str}", **LOOK)
async def content(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], file_name: FromPath[str]
) -> Response[Any] | Stream:
    """The PDF as the page shows it; that it was put before the recipient is kept."""
    visit = await enter(request, services, handle)
    copy = _shown_copy(visit, file_name.removesuffix(".pdf") if file_name.endswith(".pdf") else "")
    if request.method == "GET":
        await _note_document(visit, copy)
    wanted = read_range(request, copy.size_bytes)
    return stream_copy(
        services.engine, visit.session.tenant_id, copy, wanted, disposition("inline", copy.name)
    )


@route("/s/{handle:str}/documents/{number:str}/text", **LOOK)
async def text(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], number: FromPath[str]
) -> Response[str]:
    """The document's text, for whoever cannot see its picture."""
    visit = await enter(request, services, handle)
    copy = _shown_copy(visit, number)
    texts = await page_texts(services.engine, visit.session.tenant_id, copy.blob_key)
    if request.method == "GET":
        await _note_document(visit, copy)
    pages = "\n\n".join(f"[{page}/{len(texts)}]\n\n{one.strip()}" for page, one in enumerate(texts, start=1))
    return Response(pages, media_type="text/plain; charset=utf-8", headers=plain_headers())


@route("/s/{handle:str}/download/{part:str}", **LOOK)
async def download(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], part: FromPath[str]
) -> Stream:
    """A copy to keep. The ledger has every one that was taken."""
    visit = await enter(request, services, handle)
    require_identity(visit)
    copy = find_copy(visit.envelope, visit.recipient, part)
    if copy is None or not _may_see(visit):
        raise NotFound("download", part)
    if request.method == "GET":
        await note_download(
            services.engine, visit.session, visit.visitor, visit.envelope, visit.recipient, copy
        )
    name = title_of(copy, visit.language)
    return stream_copy(services.engine, visit.session.tenant_id, copy, None, disposition("attachment", name))


@post("/s/{handle:str}/save", status_code=303, **OPEN)
async def save(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """The whole form of a page without scripts."""
    visit, form = await enter_to_change(request, services, handle)
    require_turn(visit, "fill in")
    signatures = FormSignatures(
        signature_text=form.get("signature_text", ""),
        initials_text=form.get("initials_text", ""),
        font=form.get("signature_font", "") or "caveat",
    )
    return await change(
        request,
        visit,
        save_form(services.engine, visit.session, visit.visitor, _form_values(visit, form), signatures),
        lambda error, values: signing_page(visit, error=error, values=values),
        to="review" if form.get("then") == "review" else "document",
    )


@route("/s/{handle:str}/review", **LOOK)
async def review(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    if visit.step is not Step.DOCUMENT:
        return redirect(visit.here)
    if visit.recipient.role is Role.CARBON_COPY:
        return redirect(f"{visit.base}/done")
    return page_answer(review_page(visit, secrets.token_urlsafe(16)), session=visit.session)


@post("/s/{handle:str}/finish", status_code=303, **OPEN)
async def finish(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """Once, however often it is sent with the same key."""
    visit, form = await enter_to_change(request, services, handle)
    require_identity(visit)
    key = form.get("idempotency_key", "") or request.headers.get("idempotency-key", "")
    wanted = Finish(
        intent=form.get("intent") == "yes",
        idempotency_key=key,
        meaning=read_meaning(form.get("meaning", "")),
        geolocation=form.get("geolocation", ""),
        time_zone=form.get("time_zone", ""),
    )
    return await change(
        request,
        visit,
        finish_recipient(services.engine, visit.session, visit.visitor, wanted),
        lambda error, values: (
            done_page(visit, error=error, values=values)
            if visit.step is Step.DONE
            else review_page(visit, key or secrets.token_urlsafe(16), error=error, values=values)
        ),
        to="done",
    )


def _may_see(visit: Visit) -> bool:
    """Whoever acts sees the documents after the consent; afterwards, whoever may keep a copy."""
    return visit.method is None and (visit.step is Step.DOCUMENT or visit.step is Step.DONE)


def _shown_copy(visit: Visit, number: str) -> Copy:
    require_identity(visit)
    copy = find_copy(visit.envelope, visit.recipient, f"document-{number}") if _may_see(visit) else None
    if copy is None:
        raise NotFound(Kind.DOCUMENT, number)
    return copy


async def _note_document(visit: Visit, copy: Copy) -> None:
    if copy.document is not None and not copy.is_sealed:
        await note_once(visit, "document", print_id(Kind.DOCUMENT, copy.document.id), copy.sha256)


def _form_values(visit: Visit, form: dict[str, str]) -> dict[UUID, str]:
    """By field: `field_<id>`, or `group_<name>` with the chosen button's id. A box that is not sent is empty."""
    typed = typed_fields(visit.envelope, visit.recipient)
    values = {
        read_id(Kind.FIELD, name.removeprefix("field_")): value
        for name, value in form.items()
        if name.startswith("field_") and not _is_not_typed(visit, name.removeprefix("field_"))
    }
    for field in typed:
        printed = print_id(Kind.FIELD, field.id)
        if field.type is FieldType.RADIO:
            chosen = form.get(f"group_{field.group_name or printed}", "")
            if chosen:
                values[field.id] = "true" if chosen == printed else ""
        elif field.type is FieldType.CHECKBOX and field.id not in values:
            values[field.id] = ""
    # The chosen button last: it empties the others by itself.
    return dict(sorted(values.items(), key=lambda pair: pair[1] == "true"))


def _is_not_typed(visit: Visit, printed: str) -> bool:
    """Fields that a form shows and does not fill: their empty inputs are no attempt to write."""
    own = {print_id(Kind.FIELD, one.id): one for one in visit.envelope.fields_of(visit.recipient.id)}
    field = own.get(printed)
    typed = {one.id for one in typed_fields(visit.envelope, visit.recipient)}
    return field is not None and not field.read_only and field.id not in typed
