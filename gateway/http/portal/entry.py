"""The link itself, and what is about the session: its start, its language, its end.

Mail and chat programs follow links; so a GET shows what it is for, and only the form behind the button begins.
"""

from typing import Any

from litestar import HttpMethod, Request, Response, get, post, route
from litestar.params import FromPath

from engine.ceremony.pages.wording import language_accepted
from gateway.console.access import (
    end_portal,
    find_portal_link,
    set_language,
    start_portal,
)
from gateway.console.frame import Frame
from gateway.console.view import PlainPage, StartPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.answers import portal_page, set_cookie
from gateway.http.portal.door import enter, enter_with_form, plain_answer
from gateway.http.sign.answers import redirect
from gateway.http.sign.entry import check_site
from gateway.http.sign.visitor import read_visitor
from gateway.tenants.branding import brand_of

OPEN: dict[str, Any] = {"opt": {"open": True}, "include_in_schema": False}


@route("/{token:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200, **OPEN)
async def look(request: Request[Any, Any, Any], services: TheServices, token: FromPath[str]) -> Response[str]:
    """What the link is for."""
    link = await find_portal_link(services, token)
    if link is None:
        return plain_answer(request, services, "not_found", 404)
    frame = Frame(
        language=link.language or language_accepted(request.headers.get("accept-language", "")),
        brand=await brand_of(services, link.tenant_id),
        development=not services.settings.is_production,
    )
    return portal_page(services, StartPage(frame=frame, post_url=f"/portal/{token}"), origins=link.origins)


@post("/{token:str}", status_code=303, **OPEN)
async def start(
    request: Request[Any, Any, Any], services: TheServices, token: FromPath[str]
) -> Response[Any]:
    """A session, under an address that does not hold the token."""
    check_site(request, services)
    link = await find_portal_link(services, token)
    language = language_accepted(request.headers.get("accept-language", ""))
    started = None
    if link is not None:
        visitor = read_visitor(request, services)
        started = await start_portal(services, link, visitor, link.language or language)
    if link is None or started is None:
        return plain_answer(request, services, "not_found", 404)
    cookie = set_cookie(services, started.handle, started.secret, framed=bool(link.origins))
    return redirect(f"/portal/s/{started.handle}/endpoints", headers={"set-cookie": cookie})


@get("/s/{handle:str}", **OPEN)
async def home(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """The endpoints."""
    visit = await enter(request, services, handle)
    return redirect(f"{visit.base}/endpoints")


@post("/s/{handle:str}/language", status_code=303, **OPEN)
async def speak(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """The pages in another language, and back to where the reader was."""
    visit = await enter_with_form(request, services, handle)
    await set_language(services, visit.session, visit.form.get("language", ""))
    back = visit.form.get("here", "")
    is_own = back.startswith(f"{visit.base}/") and back.isascii() and back.isprintable() and "\\" not in back
    return redirect(back if is_own else f"{visit.base}/endpoints")


@post("/s/{handle:str}/leave", status_code=303, **OPEN)
async def leave(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """Ends the session, and back to where the person came from."""
    visit = await enter_with_form(request, services, handle)
    session = visit.session
    await end_portal(services, session)
    cookie = {"set-cookie": set_cookie(services, handle, "", framed=bool(session.origins))}
    if session.return_url:
        return redirect(session.return_url, headers=cookie)
    frame = Frame(
        language=session.language, brand=visit.brand, development=not services.settings.is_production
    )
    page = PlainPage(frame=frame, kind="left")
    return portal_page(services, page, origins=session.origins, headers=cookie)
