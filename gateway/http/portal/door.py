"""From a request to a session of the portal, and how a refusal is told.

Must be the only way into a session's pages. A change asks four things: that the browser says the request comes from
our own site (or says nothing), that the token is this session's, that its scope lets it change anything, and that the
method is no look. What an error says is shown to a session only; to anybody else bad and old links look the same.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from litestar import Request, Response, Router
from litestar.types import ControllerRouterHandler

from engine.ceremony.pages.wording import language_accepted
from engine.ceremony.refusals import SessionOver
from engine.ceremony.view import Brand
from gateway.console.access import PortalSession, find_portal_session, is_csrf
from gateway.console.catalogue import has
from gateway.console.frame import PLAIN_BRAND, Frame, Trouble
from gateway.console.view import PlainPage
from gateway.http.portal.answers import cookie_name, portal_page
from gateway.http.problems import BadRequest
from gateway.http.sign.door import find_status, limit_visits, retry_headers, told_by
from gateway.http.sign.entry import check_site
from gateway.http.sign.forms import read_form
from gateway.http.sign.refusals import CsrfRefused
from gateway.http.sign.visitor import read_visitor
from gateway.services import Services
from gateway.tenants.api_keys import NotAllowed
from gateway.tenants.branding import brand_of
from normalizer.errors import Conflict, CountersignError, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A session and its request. `form` is empty for a look."""

    request: Request[Any, Any, Any]
    services: Services
    session: PortalSession
    brand: Brand
    form: Mapping[str, str]

    @property
    def base(self) -> str:
        return f"/portal/s/{self.session.handle}"

    @property
    def tenant_id(self) -> UUID:
        return self.session.tenant_id

    def frame(
        self, section: str, *, trouble: Trouble | None = None, is_live: bool | None = None, notice: str = ""
    ) -> Frame:
        """`notice` may come with the address, after a form's redirect: only what the catalogue has is said."""
        asked = self.asked("done")
        said = notice or (asked if has(f"notice.{asked}") else "")
        query = self.request.url.query
        return Frame(
            language=self.session.language,
            brand=self.brand,
            development=not self.services.settings.is_production,
            base=self.base,
            csrf=self.session.csrf,
            form_id=secrets.token_urlsafe(12),
            section=section,
            here=self.request.url.path + (f"?{query}" if query else ""),
            may_change=self.session.may_change,
            may_add=self.session.may_change and self.session.endpoint_id is None,
            return_url=self.session.return_url,
            notice=said if trouble is None else "",
            trouble=trouble,
            is_live=is_live,
        )

    def asked(self, name: str) -> str:
        """A member of the query, the last of its name."""
        return parse_qs(self.request.url.query).get(name, [""])[-1][:200]

    def page(self, page: Any, *, status: int = 200) -> Response[str]:
        session = self.session
        return portal_page(
            self.services, page, status=status, origins=session.origins, return_url=session.return_url
        )

    def check_endpoint(self, endpoint_id: UUID) -> None:
        """Raises NotFound for another endpoint than the one that the link was made for."""
        if self.session.endpoint_id not in {None, endpoint_id}:
            raise NotFound("endpoint", print_id(Kind.ENDPOINT, endpoint_id))


async def enter(request: Request[Any, Any, Any], services: Services, handle: str) -> Visit:
    """The visit behind a look. Raises SessionOver, BadRequest for an address that no page of ours has."""
    if b"%00" in request.scope["query_string"]:
        raise BadRequest("The address has a NUL character.")
    secret = request.cookies.get(cookie_name(services, handle), "")
    visitor = read_visitor(request, services)
    session = await find_portal_session(services, handle, secret, visitor) if secret else None
    if session is None:
        raise SessionOver
    brand = await brand_of(services, session.tenant_id)
    visit = Visit(request=request, services=services, session=session, brand=brand, form={})
    request.scope["state"]["portal"] = visit
    return visit


async def enter_with_form(request: Request[Any, Any, Any], services: Services, handle: str) -> Visit:
    """The visit behind a form that changes nothing of the tenant's. Raises SessionOver, CsrfRefused."""
    check_site(request, services)
    visit = await enter(request, services, handle)
    form = await read_form(request)
    if not is_csrf(visit.session, form.get("csrf", "")):
        raise CsrfRefused
    return Visit(request=request, services=services, session=visit.session, brand=visit.brand, form=form)


async def enter_to_change(request: Request[Any, Any, Any], services: Services, handle: str) -> Visit:
    """The visit behind a change. Raises SessionOver, CsrfRefused, NotAllowed for a session that may only read."""
    visit = await enter_with_form(request, services, handle)
    if not visit.session.may_change:
        raise NotAllowed("This session may only read.", remedy="Ask for a link with the scope manage.")
    return visit


def trouble_of(error: CountersignError) -> Trouble:
    findings = error.findings if isinstance(error, ValidationFailed) else ()
    word = (
        "form"
        if isinstance(error, ValidationFailed)
        else "conflict"
        if isinstance(error, Conflict)
        else "other"
    )
    return Trouble(word=word, detail=error.detail, remedy=error.remedy, findings=findings)


def with_query(path: str, **members: str) -> str:
    given = {name: value for name, value in members.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def portal_router(services: Services, handlers: list[ControllerRouterHandler]) -> Router:
    return Router(
        "/portal",
        route_handlers=handlers,
        include_in_schema=False,
        before_request=limit_visits(services),
        exception_handlers=told_by(_refuse),
    )


def plain_answer(
    request: Request[Any, Any, Any],
    services: Services,
    kind: str,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Response[str]:
    """A page without a tenant and without a reason."""
    frame = Frame(
        language=language_accepted(request.headers.get("accept-language", "")),
        brand=PLAIN_BRAND,
        development=not services.settings.is_production,
    )
    return portal_page(services, PlainPage(frame=frame, kind=kind), status=status, headers=headers)


def _refuse(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    services: Services = request.app.state.services
    status = find_status(error)
    kind = _kind(error, status)
    visit: Visit | None = request.scope["state"].get("portal")
    if visit is None or kind == "session_over":
        return plain_answer(request, services, kind, status, retry_headers(error))
    trouble = trouble_of(error) if isinstance(error, CountersignError) else None
    return visit.page(PlainPage(frame=visit.frame("", trouble=trouble), kind=kind), status=status)


def _kind(error: Exception, status: int) -> str:
    match error:
        case SessionOver() | CsrfRefused():
            return "session_over"
        case NotAllowed():
            return "not_allowed"
        case Conflict() | ValidationFailed():
            return "not_done"
    if status == 429:
        return "too_many"
    return "unavailable" if status >= 500 else "not_found"
