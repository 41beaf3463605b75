"""The session's pages before and after the document: where one stands, consent, refusal, handing over, the end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from litestar import Request, Response, post, route
from litestar.params import FromPath

from engine.ceremony.consent import give_consent, is_refused, refuse_consent, withdraw_consent
from engine.ceremony.decline import decline
from engine.ceremony.delegate import delegate, may_delegate
from engine.ceremony.demonstration import make_sample, word_of
from engine.ceremony.pages_end import decline_page, delegate_page, done_page
from engine.ceremony.pages_gate import consent_page
from engine.ceremony.pages_shell import make_plain
from engine.ceremony.refusals import NotPermitted, SessionOver
from engine.ceremony.render import AnyPage
from engine.ceremony.sessions import end_session, extend_session
from engine.ceremony.visit import Step, Visit, open_visit
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import LOOK, OPEN
from gateway.http.problems import status_of
from gateway.http.sign.answers import (
    clear_cookie,
    json_answer,
    page_answer,
    plain_headers,
    redirect,
)
from gateway.http.sign.entry import enter, enter_to_change, require_identity
from gateway.http.sign.forms import wants_json
from gateway.http.sign.shown import note_once
from normalizer.errors import CountersignError
from normalizer.recipient import Role

Draw = Callable[[str, Mapping[str, str]], AnyPage]


@route("/s/{handle:str}", **LOOK)
async def root(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """On to the step at which the recipient stands."""
    visit = await enter(request, services, handle)
    return redirect(visit.here)


@route("/s/{handle:str}/consent", **LOOK)
async def consent(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    if visit.step is not Step.CONSENT:
        return redirect(visit.here)
    if request.method == "GET":
        disclosure = visit.disclosure
        await note_once(visit, "disclosure", f"{disclosure.id}/{disclosure.version}", disclosure.sha256)
    return page_answer(consent_page(visit), session=visit.session)


@route("/s/{handle:str}/consent/sample.pdf", **LOOK)
async def sample(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[bytes]:
    visit = await enter(request, services, handle)
    require_identity(visit)
    content = await asyncio.to_thread(make_sample, word_of(services.engine, handle), visit.language)
    headers = {**plain_headers(), "content-disposition": 'inline; filename="sample.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)


@post("/s/{handle:str}/consent", status_code=303, **OPEN)
async def agree(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, form = await enter_to_change(request, services, handle)
    require_identity(visit)
    return await change(
        request,
        visit,
        give_consent(
            services.engine,
            visit.session,
            visit.visitor,
            visit.disclosure,
            agreed=form.get("agree") == "yes",
            typed=form.get("demonstration", ""),
        ),
        lambda error, values: consent_page(visit, error=error, values=values),
    )


@post("/s/{handle:str}/consent/refuse", status_code=303, **OPEN)
async def refuse(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, _ = await enter_to_change(request, services, handle)
    require_identity(visit)
    await refuse_consent(services.engine, visit.session, visit.visitor, visit.disclosure)
    return redirect(f"{visit.base}/done")


@post("/s/{handle:str}/consent/withdraw", status_code=303, **OPEN)
async def withdraw(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, _ = await enter_to_change(request, services, handle)
    require_identity(visit)
    await withdraw_consent(services.engine, visit.session, visit.visitor)
    return redirect(f"{visit.base}/done")


@route("/s/{handle:str}/decline", **LOOK)
async def decline_form(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    if not _may_leave(visit):
        return redirect(visit.here)
    return page_answer(decline_page(visit), session=visit.session)


@post("/s/{handle:str}/decline", status_code=200, **OPEN)
async def decline_now(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, form = await enter_to_change(request, services, handle)
    require_identity(visit)
    reason = form.get("reason", "")
    return await change(
        request,
        visit,
        decline(services.engine, visit.session, visit.visitor, reason),
        lambda error, values: decline_page(visit, reason, error=error, values=values),
        ends=True,
    )


@route("/s/{handle:str}/delegate", **LOOK)
async def delegate_form(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    if not _may_leave(visit):
        return redirect(visit.here)
    if not may_delegate(services.engine, visit.recipient):
        raise NotPermitted("This envelope cannot be handed over.", remedy="Decline, or ask the sender.")
    return page_answer(delegate_page(visit), session=visit.session)


@post("/s/{handle:str}/delegate", status_code=200, **OPEN)
async def delegate_now(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, form = await enter_to_change(request, services, handle)
    require_identity(visit)
    name, email, reason = (form.get(part, "") for part in ("name", "email", "reason"))
    return await change(
        request,
        visit,
        delegate(services.engine, visit.session, visit.visitor, name=name, email=email, reason=reason),
        lambda error, values: delegate_page(visit, name, email, reason, error=error, values=values),
        ends=True,
    )


@route("/s/{handle:str}/done", **LOOK)
async def done(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    reads = visit.recipient.role is Role.CARBON_COPY and visit.step is Step.DOCUMENT
    refused = visit.step is Step.CONSENT and is_refused(visit.ceremony)
    if visit.step is not Step.DONE and not reads and not refused:
        return redirect(visit.here)
    return page_answer(done_page(visit), session=visit.session)


@post("/s/{handle:str}/extend", status_code=200, **OPEN)
async def extend(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, _ = await enter_to_change(request, services, handle)
    session = await extend_session(services.engine, visit.session)
    if wants_json(request):
        return json_answer({"ends_at": session.ends_at, "last_at": session.last_at})
    return redirect(visit.here)


@post("/s/{handle:str}/leave", status_code=200, **OPEN)
async def leave(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, _ = await enter_to_change(request, services, handle)
    await end_session(services.engine, visit.session)
    page = make_plain(services.engine, "session_over", visit.language)
    cookie = clear_cookie(services, handle, framed=bool(visit.session.origins))
    return page_answer(page, session=visit.session, headers={"set-cookie": cookie})


async def change(
    request: Request[Any, Any, Any],
    visit: Visit,
    doing: Awaitable[object],
    draw: Draw,
    *,
    to: str = "",
    ends: bool = False,
) -> Response[Any]:
    """Does it and goes on to `to`, or to where the recipient stands then; a refusal draws the page again, with
    the reason on it. A script gets the refusal as problem+json. `ends`: the session does not outlive it, so the
    last page is the answer itself.
    """
    try:
        await doing
    except SessionOver:
        raise
    except CountersignError as error:
        if wants_json(request):
            raise
        values: Mapping[str, str] = getattr(error, "values", {})
        return page_answer(draw(error.code, values), status=status_of(error), session=visit.session)
    if ends:
        after = await open_visit(visit.engine, visit.session, visit.visitor, visit.brand)
        return page_answer(done_page(after), session=visit.session)
    return redirect(f"{visit.base}/{to}" if to else visit.base)


def _may_leave(visit: Visit) -> bool:
    """Whoever acts may decline or hand over until the end."""
    return visit.step in {Step.CONSENT, Step.DOCUMENT} and visit.recipient.role.acts
