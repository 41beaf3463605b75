"""One way in for every API call: faults, token, scope, user, throttles, then the handler, then the answer.

Handlers are registered with `@endpoint`; they get a Call and return a Reply or raise a refusal.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from adapters.adobe_sign.sandbox import catalogue
from adapters.adobe_sign.sandbox.box import LoggedRequest, Sandbox
from adapters.adobe_sign.sandbox.faults import Fault, FaultKind, cut_connection
from adapters.adobe_sign.sandbox.options import SENDER_EMAIL
from adapters.adobe_sign.sandbox.refusals import RefusedError, refused
from adapters.adobe_sign.sandbox.shapes import etag_of
from adapters.adobe_sign.sandbox.world import AccessToken, Agreement, JsonObject

HttpRequest = Request[Any, Any, Any]
API = "/api/rest/v6"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler answers."""

    status: int = 200
    body: Any = None
    content: bytes = b""
    media_type: str = "application/json"
    headers: dict[str, str] = {}


class Call:
    """One API call with everything that its handler may ask for."""

    def __init__(self, request: HttpRequest, operation: str) -> None:
        self.request = request
        self.operation = operation
        self.box: Sandbox = request.app.state.box
        self.token = AccessToken(expires=self.box.now(), client_id="", scopes=[])
        self.actor = SENDER_EMAIL
        self.force_412 = False

    def refuse(self, trigger: str, message: str, **more: Any) -> RefusedError:
        return refused(self.operation, trigger, message, **more)

    def path(self, name: str) -> str:
        return str(self.request.path_params[name])

    def query(self, name: str, default: str = "") -> str:
        return str(self.request.query_params.get(name, default))

    def client_ip(self) -> str:
        return self.request.client.host if self.request.client else "127.0.0.1"

    async def json(self, type_name: str) -> JsonObject:
        """The body, checked against the catalogue."""
        kind = self.request.headers.get("content-type", "").split(";")[0].strip()
        if kind != "application/json":
            raise self.refuse("wrong_content_type", f"Content-Type must be application/json, not {kind!r}")
        try:
            body = msgspec.json.decode(await self.request.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self.refuse("not_json", f"An invalid JSON was specified: {error}") from error
        if not isinstance(body, dict):
            raise self.refuse("not_an_object", "An invalid JSON was specified: an object is expected")
        flaw = catalogue.find_flaw(body, type_name)
        if flaw is not None:
            raise self.refuse(flaw.trigger, flaw.detail)
        return {key: _without_nulls(value) for key, value in body.items() if value is not None}

    def agreement(self) -> Agreement:
        """The agreement of the path, if the caller may see it."""
        found = self.box.world.agreements.get(self.path("agreement_id"))
        if found is None or found.deleted or self.actor not in _people(found):
            raise self.refuse("unknown_agreement", "The Agreement ID specified is invalid")
        return found

    def must_match(self, resource: str, body: Any) -> None:
        """The If-Match rules: the header is required and must be the ETag of this representation."""
        if_match = self.request.headers.get("if-match")
        if not if_match:
            raise self.refuse("no_if_match", "The If-Match header is missing.")
        if self.force_412 or if_match != etag_of(resource, body):
            raise self.refuse("stale_if_match", "The resource is already modified with a newer version.")

    def with_etag(self, resource: str, body: Any) -> Reply:
        """200 with the ETag, or 304 when the caller has this representation already."""
        etag = etag_of(resource, body)
        if self.request.headers.get("if-none-match") == etag:
            return Reply(status=304, headers={"ETag": etag})
        return Reply(body=body, headers={"ETag": etag})


Handler = Callable[[Call], Awaitable[Reply]]


def endpoint(
    method: str, path: str, operation: str, *, scope: str = "", public: bool = False
) -> Callable[[Handler], HTTPRouteHandler]:
    """Register a handler; `scope` is what the token needs, `public` calls need none."""

    def register(handler: Handler) -> HTTPRouteHandler:
        async def handle(request: HttpRequest) -> Response[bytes]:
            return await _run(Call(request, operation), handler, scope, public=public)

        return HTTPRouteHandler(path, http_method=method, name=operation, status_code=200)(handle)  # type: ignore[arg-type]  # composed

    return register


async def _run(call: Call, handler: Handler, scope: str, *, public: bool) -> Response[bytes]:
    box = call.box
    box.settle()
    try:
        answered = await _fault_before(call)
        if answered is None:
            if not public:
                _authenticate(call, scope)
                waiting = _throttled(call)
            answered = waiting if not public and waiting is not None else await handler(call)
    except RefusedError as error:
        answered = refusal_reply(error)
    box.settle()
    box.flush()
    box.requests.append(
        LoggedRequest(call.operation, call.request.method, call.request.url.path, answered.status, box.now())
    )
    await _fault_after(call)
    if answered.status < 300 and call.box.faults.take(call.operation, FaultKind.HTTP_500_AFTER_ACCEPT):
        answered = _error_page(500, "Internal Server Error")
    return to_response(answered)


def refusal_reply(error: RefusedError) -> Reply:
    body = {"code": error.row.code, "message": error.message} | error.extra
    return Reply(status=error.row.status, body=body, headers=error.headers)


def to_response(reply: Reply) -> Response[bytes]:
    content = reply.content
    if reply.body is not None:
        content = msgspec.json.encode(reply.body)
    media_type = reply.media_type if content else ""
    return Response(content, status_code=reply.status, headers=reply.headers, media_type=media_type or None)


def _authenticate(call: Call, scope: str) -> None:
    header = call.request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if not header or scheme.lower() != "bearer" or not value:
        raise call.refuse("no_authorization", "The authorization header was not provided.")
    token = call.box.world.access_tokens.get(value.strip())
    if token is None:
        raise call.refuse("invalid_token", "The access token provided is invalid or has expired.")
    if call.box.faults.take(call.operation, FaultKind.TOKEN_EXPIRED):
        token.expires = call.box.now()
    if token.expires <= call.box.now():
        raise call.refuse("expired_token", "The access token provided is invalid or has expired.")
    call.token = token
    _act_as(call)
    if call.box.faults.take(call.operation, FaultKind.INVALID_ACCESS_POINT_ONCE):
        raise call.refuse("wrong_access_point", "Request must be made to correct API access point.")
    if scope and scope not in token.scopes:
        raise call.refuse("missing_scope", f"The token lacks the scope {scope}.")


def _act_as(call: Call) -> None:
    header = call.request.headers.get("x-api-user")
    if header is None:
        return
    kind, _, value = header.partition(":")
    if kind not in {"email", "userid"} or not value or (kind == "email" and not catalogue.is_email(value)):
        raise call.refuse("malformed_api_user", "Value provided in x-api-user header is in invalid format")
    known = {SENDER_EMAIL, *call.box.options.users} | {
        email for agreement in call.box.world.agreements.values() for email in _people(agreement)
    }
    matches = [email for email in known if value in (email, call.box.user_id(email))]
    if not matches:
        raise call.refuse("unknown_api_user", "An invalid user ID or email was provided in x-api-user.")
    call.actor = matches[0]


def _without_nulls(value: Any) -> Any:
    """A null attribute means the same as an absent one."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _people(agreement: Agreement) -> set[str]:
    members = {
        member.email
        for each in agreement.participant_sets
        for member in each.members
        if member.status == "ACTIVE"
    }
    return members | {agreement.owner}


def _throttled(call: Call) -> Reply | None:
    options, now = call.box.options, call.box.now().timestamp()
    wait = call.box.throttle.wait_for_call(now, options.requests_per_minute)
    if wait:
        raise throttled(call, "too_many_requests", wait)
    if call.request.method != "GET":
        return None
    key = f"{call.actor} {call.request.url}"
    wait = call.box.throttle.wait_for_get(key, now, options.get_threshold, options.get_window_s)
    if not wait:
        return None
    etag = call.request.headers.get("if-none-match")
    if etag:
        return Reply(status=304, headers={"ETag": etag})
    raise throttled(call, "too_many_identical_gets", wait)


def throttled(call: Call, trigger: str, wait_s: int) -> RefusedError:
    message = f"Too many requests. Please wait {wait_s} seconds."
    headers = {"Retry-After": str(wait_s)}
    return call.refuse(trigger, message, headers=headers, extra={"retryAfter": wait_s})


async def _fault_before(call: Call) -> Reply | None:
    faults = call.box.faults
    slow = faults.take(call.operation, FaultKind.SLOW)
    if slow:
        await call.box.pause(slow.seconds)
    call.force_412 = _takes_if_match(call) and bool(
        faults.take(call.operation, FaultKind.PRECONDITION_412_ONCE)
    )
    fault = faults.take(
        call.operation,
        FaultKind.RESET_BEFORE,
        FaultKind.HTTP_429,
        FaultKind.HTTP_500_HTML,
        FaultKind.HTML_502,
    )
    return None if fault is None else _broken_reply(call, fault)


def _broken_reply(call: Call, fault: Fault) -> Reply:
    if fault.kind is FaultKind.HTTP_429:
        raise throttled(call, "too_many_requests", max(1, round(fault.seconds)))
    if fault.kind is FaultKind.RESET_BEFORE:
        _cut(call)
    status, title = (
        (502, "Bad Gateway") if fault.kind is FaultKind.HTML_502 else (500, "Internal Server Error")
    )
    return _error_page(status, title)


def _error_page(status: int, title: str) -> Reply:
    page = f"<html><head><title>{title}</title></head><body><h1>{status} {title}</h1></body></html>"
    return Reply(status=status, content=page.encode(), media_type="text/html")


async def _fault_after(call: Call) -> None:
    fault = call.box.faults.take(call.operation, FaultKind.TIMEOUT_AFTER_ACCEPT, FaultKind.RESET_AFTER)
    if fault is None:
        return
    if fault.kind is FaultKind.TIMEOUT_AFTER_ACCEPT:
        await call.box.pause(fault.seconds)
    _cut(call)


def _takes_if_match(call: Call) -> bool:
    return call.request.method in {"PUT", "DELETE"} and "if-match" in call.request.headers


def _cut(call: Call) -> None:
    client = call.request.client
    if client is not None:
        cut_connection(client.host, int(client.port))
