"""The public page on which anybody may check a signed file or look up a code. It keeps nothing and changes nothing.

Must never say anything about a person beyond what the shown file says itself: a code tells a state, dates, digests
and which certificate sealed.
"""

import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from engine.ceremony.pages.wording import language_accepted
from engine.ceremony.verify_view import VerifyPage
from engine.documents.examiners import ExaminerLost
from engine.verification.known import find_public_facts
from engine.verification.page import facts_page, report_page
from engine.verification.words import say
from gateway.envelopes.verify import verify_upload
from gateway.http.dependencies import TheServices
from gateway.http.open_routes import OPEN
from gateway.http.problems import TooLarge
from gateway.http.rate_limit import RateLimiter
from gateway.http.sign.answers import page_answer, redirect
from gateway.http.sign.door import count_visit, handle_refusal, limit_visits, told_by
from gateway.http.sign.forms import read_form
from gateway.services import Services

_CODE = re.compile(r"[A-Za-z0-9_-]{8,40}")
_FORM_BYTES = 4096
_HEADS = 16_384  # of a multipart body, besides the file
_PIECE = 256 * 1024


def verify_router(services: Services, handlers: list[ControllerRouterHandler]) -> Router:
    return Router(
        "/verify",
        route_handlers=handlers,
        include_in_schema=False,
        before_request=_limit(services),
        request_max_body_size=services.settings.verification.file_bytes + _HEADS,
        exception_handlers=told_by(handle_refusal),
    )


@get("/", **OPEN)
async def ask(request: Request[Any, Any, Any], services: TheServices) -> Response[str]:
    """The questions."""
    return page_answer(_blank(services, _language(request)))


@get("/{code:str}", **OPEN)
async def look_up(
    request: Request[Any, Any, Any], services: TheServices, code: FromPath[str]
) -> Response[str]:
    """What is known of the envelope that a certificate's code names."""
    language = _language(request)
    facts = await find_public_facts(services.hub, code) if _CODE.fullmatch(code) else None
    if facts is None:
        problem = say(language, "code_unknown")
        return page_answer(_blank(services, language, problem=problem, code=code[:40]), status=404)
    page = facts_page(
        facts,
        code,
        language,
        development=not services.settings.is_production,
        largest_bytes=services.settings.verification.file_bytes,
    )
    return page_answer(page)


@post("/code", status_code=303, request_max_body_size=_FORM_BYTES, **OPEN)
async def go_to_code(request: Request[Any, Any, Any], services: TheServices) -> Response[Any]:
    """From the form to the code's own page."""
    code = (await read_form(request)).get("code", "").strip()
    if not _CODE.fullmatch(code):
        language = _language(request)
        problem = say(language, "code_unknown")
        return page_answer(_blank(services, language, problem=problem, code=code[:40]), status=404)
    return redirect(f"/verify/{code}")


@post("/", status_code=200, **OPEN)
async def check(request: Request[Any, Any, Any], services: TheServices) -> Response[str]:
    """The verdict on a file, which is read and forgotten."""
    language = _language(request)
    waiting = request.app.state
    if waiting.get("files_in_check", 0) >= services.settings.verification.public_in_flight:
        return _problem(services, language, "file_busy", 503)
    waiting["files_in_check"] = waiting.get("files_in_check", 0) + 1
    try:
        return await _check(request, services, language)
    except TooLarge:
        return _problem(services, language, "file_too_large", 413)
    except ExaminerLost:
        return _problem(services, language, "file_busy", 503)
    finally:
        waiting["files_in_check"] -= 1


async def _check(request: Request[Any, Any, Any], services: Services, language: str) -> Response[str]:
    settings = services.settings
    with tempfile.TemporaryDirectory(prefix="countersign-") as folder:
        path = Path(folder, "sent.pdf")
        if not await _receive(request, settings.verification.file_bytes, path):
            return _problem(services, language, "file_missing", 422)
        report = await verify_upload(services, path, language=language)
    page = report_page(
        report,
        language,
        development=not settings.is_production,
        largest_bytes=settings.verification.file_bytes,
    )
    return page_answer(page)


async def _receive(request: Request[Any, Any, Any], limit: int, path: Path) -> bool:
    """Whether a file came. Raises TooLarge."""
    try:
        form = await request.form()
    except ClientException as error:
        if error.status_code == 413:
            raise TooLarge("The file is too large.") from error
        raise
    given = form.get("file")
    if not isinstance(given, UploadFile):
        return False
    size = 0
    with path.open("wb") as spool:
        while piece := await given.read(_PIECE):
            size += len(piece)
            if size > limit:
                raise TooLarge("The file is too large.")
            spool.write(piece)
    await given.close()
    return bool(size)


def _limit(services: Services) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Looks as all public pages are limited; files, which cost more, by a limit of their own."""
    visits = limit_visits(services)
    per_minute = services.settings.verification.public_per_minute
    files = RateLimiter(services.redis, services.clock, per_minute, per_minute)

    async def check_rate(request: Request[Any, Any, Any]) -> None:
        if request.method != "POST":
            await visits(request)
            return
        await count_visit(services, files, request, "verify", "Too many files from this address.")

    return check_rate


def _blank(services: Services, language: str, *, problem: str = "", code: str = "") -> VerifyPage:
    return VerifyPage(
        language=language,
        development=not services.settings.is_production,
        code=code,
        problem=problem,
        largest_bytes=services.settings.verification.file_bytes,
    )


def _problem(services: Services, language: str, what: str, status: int) -> Response[str]:
    return page_answer(_blank(services, language, problem=say(language, what)), status=status)


def _language(request: Request[Any, Any, Any]) -> str:
    return language_accepted(request.headers.get("accept-language", ""))
