"""Proving who one is, one method at a time: the page, a code on its way, an answer, and the way to the identity
provider and back.

The browser that comes back from the identity provider brings no result that counts: the server fetches it. That is
why this one look may move the recipient on; whoever else looks there changes nothing.
"""

from typing import Any

from litestar import Request, Response, post, route
from litestar.params import FromPath

from engine.ceremony.authenticate import AnswerResult, NotAsked, answer, send_code
from engine.ceremony.codes import CODE_METHODS
from engine.ceremony.identity import begin_identity, end_identity, has_open_check
from engine.ceremony.opening import open_documents
from engine.ceremony.pages_authenticate import authenticate_page
from engine.ceremony.sessions import Session, find_session
from engine.ceremony.visit import Step, Visit, open_visit
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import LOOK, OPEN
from gateway.http.problems import status_of
from gateway.http.sign.answers import cookie_name, origin_of, page_answer, redirect
from gateway.http.sign.entry import enter, enter_to_change
from gateway.http.sign.forms import wants_json
from gateway.services import Services
from normalizer.errors import CountersignError, ProviderError, TooManyTries
from normalizer.recipient import AuthenticationMethod


@route("/s/{handle:str}/authenticate", **LOOK)
async def show(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit = await enter(request, services, handle)
    error = ""
    if visit.method is AuthenticationMethod.ID_VERIFICATION and request.method == "GET":
        result = await _identity_result(services, visit)
        if result.passed:
            return await _go_on(request, services, visit)
        error = "identity_failed" if result.tries_left is not None else ""
    if visit.step is not Step.AUTHENTICATE:
        return redirect(visit.here)
    return await _page(services, visit, error=error)


@post("/s/{handle:str}/authenticate/send", status_code=303, **OPEN)
async def send(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, _ = await enter_to_change(request, services, handle)
    if visit.method not in CODE_METHODS or visit.method is None:
        return redirect(visit.base)
    try:
        await send_code(services.engine, visit.session, visit.method, visit.visitor)
    except CountersignError as error:
        if wants_json(request):
            raise
        code = "too_many_sends" if error.code in {"too_many_tries", "rate_limited"} else error.code
        return await _page(services, visit, error=code, status=status_of(error))
    return redirect(f"{visit.base}/authenticate")


@post("/s/{handle:str}/authenticate", status_code=303, **OPEN)
async def prove(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    visit, form = await enter_to_change(request, services, handle)
    method = visit.method
    if method is None:
        return redirect(visit.base)
    try:
        if method is AuthenticationMethod.ID_VERIFICATION:
            return redirect(await begin_identity(services.engine, visit.session, visit.visitor))
        answers = {name: value for name, value in form.items() if name.startswith("answer")}
        result = await answer(services.engine, visit.session, method, answers, visit.visitor)
    except CountersignError as error:
        if wants_json(request):
            raise
        return await _page(services, visit, error=error.code, status=status_of(error))
    if result.passed:
        return await _go_on(request, services, visit)
    wrong = "code_wrong" if method in CODE_METHODS else "answer_wrong"
    if method in CODE_METHODS and not result.tries_left:
        wrong = "code_used_up"
    return await _page(services, visit, error=wrong, status=422)


async def _identity_result(services: Services, visit: Visit) -> AnswerResult:
    """What the provider says now of a check that is under way; nothing new when it cannot be asked."""
    if not await has_open_check(services.engine, visit.session):
        return AnswerResult(passed=False)
    try:
        return await end_identity(services.engine, visit.session, visit.visitor)
    except (NotAsked, TooManyTries, ProviderError):
        return AnswerResult(passed=False)


async def _go_on(request: Request[Any, Any, Any], services: Services, visit: Visit) -> Response[Any]:
    """To the next step; when it is the document, this is the moment of opening it."""
    session = await _session_now(request, services, visit)
    if session is not None:
        await open_documents(
            services.engine, await open_visit(services.engine, session, visit.visitor, visit.brand)
        )
    return redirect(visit.base)


async def _session_now(request: Request[Any, Any, Any], services: Services, visit: Visit) -> Session | None:
    """As it is after the method was passed."""
    secret = request.cookies.get(cookie_name(services, visit.session.handle), "")
    return await find_session(services.engine, visit.session.handle, secret, visit.visitor)


async def _page(services: Services, visit: Visit, *, error: str = "", status: int = 200) -> Response[str]:
    targets: tuple[str, ...] = ()
    if visit.method is AuthenticationMethod.ID_VERIFICATION and services.settings.access.identity_url:
        # The form leads there by a redirect, which browsers hold against form-action too.
        targets = (origin_of(services.settings.access.identity_url),)
    page = await authenticate_page(visit, error=error)
    return page_answer(page, status=status, session=visit.session, form_targets=targets)
