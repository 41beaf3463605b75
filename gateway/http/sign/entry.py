"""From a request to a visit: the cookie's session, the page's own origin, the token of its forms.

Must be the only way into a session's pages. A change asks three things: that the browser says the request comes
from our own site (or says nothing), that the token is this session's, and that the method is not a look.
"""

from typing import Any

from litestar import Request

from engine.ceremony.refusals import AuthenticationNeeded, ConsentNeeded, SessionOver
from engine.ceremony.sessions import Session, check_csrf, find_session
from engine.ceremony.visit import Step, Visit, open_visit
from engine.envelopes.act import check_turn
from gateway.http.sign.answers import cookie_name, origin_of
from gateway.http.sign.forms import read_form
from gateway.http.sign.refusals import CsrfRefused
from gateway.http.sign.visitor import read_visitor
from gateway.services import Services
from gateway.tenants.branding import brand_of

# A page reloaded after a form's answer is sent by the user: "none" is not another site.
_OWN_SITE = frozenset({"same-origin", "none"})


async def enter(request: Request[Any, Any, Any], services: Services, handle: str) -> Visit:
    """The visit behind a look. Raises SessionOver."""
    return await _visit(request, services, await _session(request, services, handle))


async def enter_to_change(
    request: Request[Any, Any, Any], services: Services, handle: str
) -> tuple[Visit, dict[str, str]]:
    """The visit behind a form, and the form. Raises SessionOver, CsrfRefused."""
    check_site(request, services)
    session = await _session(request, services, handle)
    form = await read_form(request)
    _check_token(request, session, form.get("csrf", ""))
    return await _visit(request, services, session), form


async def enter_by_script(request: Request[Any, Any, Any], services: Services, handle: str) -> Visit:
    """The visit behind a script's change; the body is not read yet. Raises SessionOver, CsrfRefused."""
    check_site(request, services)
    session = await _session(request, services, handle)
    _check_token(request, session, "")
    return await _visit(request, services, session)


def check_site(request: Request[Any, Any, Any], services: Services) -> None:
    """Raises CsrfRefused for a change that another site has sent. Under no-referrer a browser writes the origin
    of a form as "null", so that one is left to the token.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in _OWN_SITE:
            raise CsrfRefused
        return
    origin = request.headers.get("origin", "null").lower()
    own = {origin_of(services.settings.countersign.public_base_url), origin_of(str(request.base_url))}
    if origin not in {"null", *own}:
        raise CsrfRefused


def require_identity(visit: Visit) -> None:
    """Raises AuthenticationNeeded while a method is to be passed."""
    if visit.method is not None:
        raise AuthenticationNeeded


def require_turn(visit: Visit, wanted: str) -> None:
    """Raises whatever stands between the reader and a change of the document."""
    require_identity(visit)
    if visit.step is Step.DONE or not visit.recipient.role.acts:
        check_turn(visit.envelope, visit.recipient, wanted)
    if not visit.is_consented:
        raise ConsentNeeded("There is no consent to electronic records.")


async def _session(request: Request[Any, Any, Any], services: Services, handle: str) -> Session:
    secret = request.cookies.get(cookie_name(services, handle), "")
    visitor = read_visitor(request, services)
    session = await find_session(services.engine, handle, secret, visitor) if secret else None
    if session is None:
        raise SessionOver
    return session


async def _visit(request: Request[Any, Any, Any], services: Services, session: Session) -> Visit:
    brand = await brand_of(services, session.tenant_id)
    visitor = read_visitor(request, services)
    visit = await open_visit(services.engine, session, visitor, brand)
    request.scope["state"]["visit"] = visit
    return visit


def _check_token(request: Request[Any, Any, Any], session: Session, in_form: str) -> None:
    presented = request.headers.get("x-csrf-token", "") or in_form
    if not presented or not check_csrf(session, presented):
        raise CsrfRefused
