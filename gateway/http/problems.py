"""Every error as problem+json: a stable code, what was wrong, where, and what to do.

The one table from the domain's errors to HTTP statuses. Must never show a stack trace, a driver's text or a
secret; an error that nobody foresaw becomes a 500 with the request's id and is logged whole.
Source: RFC 9457.
"""

import logging
import re
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import Send

from config.errors import StoreUnavailable
from config.logging import request_id as _request_id
from engine.ceremony import refusals as ceremony
from gateway.http.expected import explain_refusal
from gateway.http.sign import refusals as door
from gateway.tenants.api_keys import NotAllowed, NotAuthenticated
from normalizer import errors as domain
from normalizer.errors import CountersignError, Finding
from webhooks.outbound.feed import FeedExpired

_STORE_RETRY_S = "2"
logger = logging.getLogger("countersign.http")

MEDIA_TYPE = "application/problem+json"
DOCS = "/docs/errors"

STATUS: dict[type[CountersignError], int] = {
    NotAuthenticated: 401,
    NotAllowed: 403,
    domain.ValidationFailed: 422,
    domain.UnsupportedFeature: 422,
    domain.ComplianceViolation: 422,
    domain.NotFound: 404,
    domain.InvalidTransition: 409,
    domain.Conflict: 409,
    domain.TooManyTries: 429,
    domain.ProviderRejected: 422,
    domain.ProviderUnavailable: 503,
    domain.OutcomeUnknown: 504,
    domain.ProviderAuthFailed: 502,
    domain.ProviderContractBroken: 502,
    domain.SignatureInvalid: 401,
    domain.PayloadMalformed: 400,
}


class TooLarge(domain.CallerError):
    code = "too_large"


class TooMany(domain.CallerError):
    code = "rate_limited"
    remedy = "Wait for the seconds in Retry-After."

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class BadRequest(domain.CallerError):
    code = "bad_request"


class UnsupportedMediaType(domain.CallerError):
    code = "unsupported_media_type"


STATUS |= {TooLarge: 413, TooMany: 429, BadRequest: 400, UnsupportedMediaType: 415, FeedExpired: 410}
STATUS |= {
    ceremony.FieldChanged: 412,
    ceremony.VersionMissing: 428,
    ceremony.ConsentNeeded: 403,
    ceremony.NotPermitted: 403,
    ceremony.SessionOver: 401,
    door.CsrfRefused: 403,
    ceremony.AuthenticationNeeded: 403,
}


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457, with our members `code`, `remedy`, `findings`, `request_id` and those that an error adds."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str = ""
    request_id: str = ""
    findings: tuple[Finding, ...] = ()
    provider: str = ""
    provider_code: str = ""
    feature: str = ""
    envelope_id: str = ""
    oldest: int = 0


def problem_response(error: CountersignError, *, envelope_id: str = "") -> Response[Any]:
    status = status_of(error)
    problem = Problem(
        type=f"{DOCS}#{error.code}",
        title=error.code.replace("_", " ").capitalize(),
        status=status,
        detail=error.detail,
        code=error.code,
        remedy=error.remedy,
        request_id=_request_id.get() or "",
        findings=getattr(error, "findings", ()),
        provider=getattr(error, "provider", ""),
        provider_code=getattr(error, "provider_code", ""),
        feature=getattr(error, "feature", ""),
        envelope_id=envelope_id,
        oldest=getattr(error, "oldest", 0),
    )
    return _respond(problem, _headers(error))


def status_of(error: CountersignError) -> int:
    if isinstance(error, domain.IdempotencyConflict):
        return 422 if error.reused else 409
    if isinstance(error, domain.ValidationFailed) and error.code == "too_large":
        return 413
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def status_of_any(error: Exception) -> int:
    """500 for what nobody foresaw."""
    match error:
        case CountersignError():
            return status_of(error)
        case StoreUnavailable():
            return 503
        case HTTPException(status_code=status):
            return status
    return 500


def handle_domain_error(_request: Request[Any, Any, Any], error: CountersignError) -> Response[Any]:
    return problem_response(error)


def handle_store_loss(_request: Request[Any, Any, Any], error: StoreUnavailable) -> Response[Any]:
    return _respond(_store_lost(outcome_unknown=error.outcome_unknown), {"retry-after": _STORE_RETRY_S})


async def send_store_loss(send: Send) -> None:
    """For an answer that was made and could not be kept: nothing of it has been sent, and it must not be."""
    body = msgspec.json.encode(_store_lost(outcome_unknown=True))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"retry-after", _STORE_RETRY_S.encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _store_lost(*, outcome_unknown: bool) -> Problem:
    return Problem(
        type=f"{DOCS}#store_unavailable",
        title="Store unavailable",
        status=503,
        detail="The database cannot be reached now; it is not known whether the change was made."
        if outcome_unknown
        else "The database cannot be reached now; nothing was changed.",
        code="store_unavailable",
        remedy="Repeat the request with the same Idempotency-Key after the seconds in Retry-After.",
        request_id=_request_id.get() or "",
    )


def handle_framework_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """Litestar's own refusals: routing, decoding, validation."""
    match error:
        case ValidationException():
            return problem_response(
                domain.ValidationFailed("The request is not as documented.", _findings(request, error))
            )
        case NotFoundException():
            return problem_response(domain.NotFound("resource", request.url.path))
        case MethodNotAllowedException():
            return _plain(405, "method_not_allowed", f"{request.method} is not possible here.", error.headers)
        case ClientException(status_code=413):
            return problem_response(TooLarge("The body is larger than this route takes."))
        case ClientException(status_code=415):
            return problem_response(UnsupportedMediaType("This route takes application/json."))
        case ClientException():
            return problem_response(BadRequest(str(error.detail)))
        case _:
            if error.status_code >= 500:
                return handle_unforeseen(request, error)
            return _plain(error.status_code, "bad_request", str(error.detail), error.headers)


def handle_unforeseen(_request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    logger.error("an error that nobody foresaw", exc_info=error)
    return _plain(500, "internal_error", "Something failed on our side. The request id names it in the logs.")


def _plain(status: int, code: str, detail: str, headers: Any = None) -> Response[Any]:
    problem = Problem(
        type=f"{DOCS}#{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=detail,
        code=code,
        request_id=_request_id.get() or "",
    )
    return _respond(problem, dict(headers or {}))


def _respond(problem: Problem, headers: dict[str, str]) -> Response[Any]:
    return Response(
        msgspec.json.encode(problem), status_code=problem.status, media_type=MEDIA_TYPE, headers=headers
    )


def _headers(error: CountersignError) -> dict[str, str]:
    match error:
        case NotAuthenticated():
            return {"www-authenticate": 'Bearer realm="countersign"'}
        case TooMany(retry_after_s=wait) | domain.TooManyTries(retry_after_s=wait):
            return {"retry-after": str(wait)}
        case domain.ProviderUnavailable(retry_after_s=wait_s):
            return {"retry-after": str(max(1, round(wait_s)))}
        case domain.IdempotencyConflict(reused=False):
            return {"retry-after": "1"}
    return {}


def _findings(request: Request[Any, Any, Any], error: ValidationException) -> tuple[Finding, ...]:
    extra = error.extra if isinstance(error.extra, list) else []
    if len(extra) == 1 and isinstance(extra[0], dict) and extra[0].get("message") == "'data'":
        # Litestar names its own parameter here.
        return (Finding("/", "The body is missing.", "Send a JSON object."),)
    return tuple(
        explain_refusal(_annotation(request, entry), _pointer(entry), str(entry.get("message", "")))
        for entry in extra
        if isinstance(entry, dict)
    )


def _annotation(request: Request[Any, Any, Any], entry: dict[str, Any]) -> Any:
    """What the route takes there; None for a parameter that is called otherwise in the route's code."""
    name = "data" if entry.get("source", "body") == "body" else str(entry.get("key", ""))
    parameter = request.route_handler.parsed_fn_signature.parameters.get(name)
    return parameter.annotation if parameter is not None else None


def _pointer(entry: dict[str, Any]) -> str:
    key, source = str(entry.get("key", "")), entry.get("source", "body")
    if source == "query":
        return f"?{key}"
    if source in {"header", "cookie"}:
        return key
    path = re.sub(r"\[(\d+)\]", r"/\1", key).replace(".", "/")
    return "/" if path == "data" else f"/{path}"
