"""The link itself: a look that changes nothing, and the start of a session.

Mail scanners follow links; so a GET shows who asks for what, and only the form behind the button begins.
"""

from typing import Any

from litestar import Request, Response, post, route
from litestar.params import FromPath

from engine.ceremony.links import Link, find_link, start_session
from engine.ceremony.opening import open_documents
from engine.ceremony.pages_gate import landing_page
from engine.ceremony.pages_shell import make_plain
from engine.ceremony.sessions import find_session
from engine.ceremony.visit import open_visit
from engine.store import load_envelope
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import LOOK, OPEN
from gateway.http.sign.answers import page_answer, redirect, set_cookie
from gateway.http.sign.entry import check_site
from gateway.http.sign.visitor import read_visitor
from gateway.services import Services
from gateway.tenants.branding import brand_of


@route("/{token:str}", **LOOK)
async def look(request: Request[Any, Any, Any], services: TheServices, token: FromPath[str]) -> Response[str]:
    """Who asks whom for what. Bad, expired and revoked links look the same."""
    link = await find_link(services.engine, token, read_visitor(request, services))
    if link is None:
        return not_found(services)
    envelope = await load_envelope(services.engine.database, link.tenant_id, link.engine_id)
    brand = await brand_of(services, link.tenant_id)
    page = landing_page(services.engine, link, envelope, brand, f"/sign/{token}")
    return page_answer(page, origins=link.origins)


@post("/{token:str}", status_code=303, **OPEN)
async def start(
    request: Request[Any, Any, Any], services: TheServices, token: FromPath[str]
) -> Response[Any]:
    """A session, and on to its first step, under an address that does not hold the token."""
    check_site(request, services)
    visitor = read_visitor(request, services)
    link = await find_link(services.engine, token, visitor)
    if link is None:
        return not_found(services)
    started = await start_session(services.engine, link, visitor)
    await _open_if_ready(request, services, link, started.handle, started.secret)
    cookie = set_cookie(services, started.handle, started.secret, framed=bool(link.origins))
    return redirect(f"/sign/s/{started.handle}", headers={"set-cookie": cookie})


def not_found(services: Services) -> Response[str]:
    return page_answer(make_plain(services.engine, "not_found"), status=404)


async def _open_if_ready(
    request: Request[Any, Any, Any], services: Services, link: Link, handle: str, secret: str
) -> None:
    """Where nothing else stands before the documents (a copy, a consent given before), this opens them."""
    visitor = read_visitor(request, services)
    session = await find_session(services.engine, handle, secret, visitor)
    if session is None:
        return
    brand = await brand_of(services, link.tenant_id)
    await open_documents(services.engine, await open_visit(services.engine, session, visitor, brand))
