"""Before any signing page: how often an address may come. After it: how a refusal is told.

A browser gets a page without a tenant's looks and without a reason that would tell a bad link from an expired one;
a script gets problem+json. Must never answer with what an error was raised with to a reader without a session.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request, Response, Router
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from config.errors import StoreUnavailable
from engine.ceremony.limits import address_subject
from engine.ceremony.pages_end import done_page
from engine.ceremony.pages_shell import make_plain
from engine.ceremony.visit import Step, Visit
from gateway.http.client_address import client_address
from gateway.http.problems import (
    TooMany,
    handle_domain_error,
    handle_framework_error,
    handle_store_loss,
    handle_unforeseen,
    status_of_any,
)
from gateway.http.rate_limit import RateLimiter
from gateway.http.sign.answers import page_answer, plain_headers, redirect
from gateway.http.sign.forms import wants_json
from gateway.services import Services
from normalizer.errors import CountersignError, TooManyTries

Refuse = Callable[[Request[Any, Any, Any], Any], Response[Any]]
logger = logging.getLogger("countersign.http")


def limit_visits(services: Services) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Raises TooMany for an address that comes too often: a bucket per address, apart from those of API keys."""
    signing = services.settings.signing
    limiter = RateLimiter(services.redis, services.clock, signing.visits_per_minute, signing.visits_burst)

    async def check(request: Request[Any, Any, Any]) -> None:
        await count_visit(services, limiter, request, "sign", "Too many requests from this address.")

    return check


async def count_visit(
    services: Services, limiter: RateLimiter, request: Request[Any, Any, Any], kind: str, refusal: str
) -> None:
    """Takes one of `kind` from the address's bucket, which the address itself does not name. Raises TooMany, with
    `refusal` as its detail.
    """
    address = client_address(request.scope, services.settings.http.trusted_proxies)
    allowance = await limiter.take(f"{kind}:{address_subject(services.engine, address).hex()}")
    if not allowance.allowed:
        raise TooMany(refusal, max(1, math.ceil(allowance.wait_s)))


def sign_router(services: Services, handlers: list[ControllerRouterHandler]) -> Router:
    """Everything under /sign but the pages' own files."""
    return Router(
        "/sign",
        route_handlers=handlers,
        include_in_schema=False,
        before_request=limit_visits(services),
        exception_handlers=told_by(handle_refusal),
    )


def told_by(refuse: Refuse) -> dict[int | type[Exception], Refuse]:
    """For a router of pages: what the application tells in four ways (gateway/app.py) is told in one."""
    kinds: list[int | type[Exception]] = [CountersignError, StoreUnavailable, HTTPException, Exception]
    return dict.fromkeys(kinds, refuse)


def find_status(error: Exception) -> int:
    """Of a refusal that is told on a page; into the log goes what nobody foresaw."""
    status = status_of_any(error)
    if status >= 500 and not isinstance(error, StoreUnavailable):
        logger.error("an error that nobody foresaw", exc_info=error)
    return status


def retry_headers(error: Exception) -> dict[str, str]:
    return {"retry-after": str(error.retry_after_s)} if isinstance(error, TooMany | TooManyTries) else {}


def handle_refusal(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """As problem+json for a script, as a page for a reader."""
    if wants_json(request):
        answer = _problem(request, error)
        answer.headers.update(plain_headers())
        return answer
    services: Services = request.app.state.services
    visit: Visit | None = request.scope["state"].get("visit")
    status = find_status(error)
    if isinstance(error, CountersignError) and visit is not None and status in {403, 409, 412, 422}:
        return _within(visit, error, status)
    page = make_plain(services.engine, _kind(error, status))
    return page_answer(page, status=status, headers=retry_headers(error))


def _within(visit: Visit, error: CountersignError, status: int) -> Response[Any]:
    """A form that was refused leads back to where the reader stands; at the end, the end says why."""
    if visit.step is Step.DONE:
        return page_answer(done_page(visit, error=error.code), status=status, session=visit.session)
    return redirect(visit.here)


def _kind(error: Exception, status: int) -> str:
    code = getattr(error, "code", "")
    if code in {"session_over", "csrf_refused"}:
        return "session_over"
    if status == 429:
        return "too_many"
    return "unavailable" if status >= 500 else "not_found"


def _problem(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    match error:
        case CountersignError():
            return handle_domain_error(request, error)
        case StoreUnavailable():
            return handle_store_loss(request, error)
        case HTTPException():
            return handle_framework_error(request, error)
    return handle_unforeseen(request, error)
