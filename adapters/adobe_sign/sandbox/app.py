"""The Litestar application: every route, the error answers, the background tasks; the composition root."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from litestar import Litestar, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from adapters.adobe_sign.sandbox import (
    agreements,
    control,
    documents,
    fields,
    members,
    oauth,
    signing_pages,
    webhooks,
)
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.calls import HttpRequest, Reply, refusal_reply, to_response
from adapters.adobe_sign.sandbox.delivery import Deliveries
from adapters.adobe_sign.sandbox.library import seed_library
from adapters.adobe_sign.sandbox.lifecycle import tick
from adapters.adobe_sign.sandbox.refusals import RefusedError, refused
from adapters.adobe_sign.sandbox.world import Agreement

_TICK_S = 0.05
_log = logging.getLogger(__name__)


def create_app(box: Sandbox) -> Litestar:
    """The application around one sandbox."""
    seed_library(box)

    def tick_agreement(agreement: Agreement) -> None:
        tick(box, agreement)

    box.on_due = tick_agreement
    return Litestar(
        route_handlers=[
            *oauth.HANDLERS,
            *agreements.HANDLERS,
            *members.HANDLERS,
            *documents.HANDLERS,
            *fields.HANDLERS,
            *webhooks.HANDLERS,
            *control.HANDLERS,
            *signing_pages.HANDLERS,
        ],
        state=State({"box": box}),
        lifespan=[_run_background],
        exception_handlers={
            RefusedError: _answer_refusal,
            control.ControlError: control.control_error_response,
            NotFoundException: _answer_unknown_path,
            MethodNotAllowedException: _answer_wrong_method,
            HTTPException: _answer_http_error,
            Exception: _answer_defect,
        },
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # uploads have their own limit, with the API's own refusal
    )


@contextlib.asynccontextmanager
async def _run_background(app: Litestar) -> AsyncIterator[None]:
    box: Sandbox = app.state.box
    deliveries = Deliveries(box)
    app.state.deliveries = deliveries
    box.on_queued = deliveries.wake
    deliveries.resume()
    ticker = asyncio.create_task(_tick(box))
    try:
        yield
    finally:
        box.stopping.set()
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        await deliveries.close()
        box.flush()


async def _tick(box: Sandbox) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        try:
            box.settle()
            box.flush()
        except Exception:  # noqa: BLE001 - see below
            # The clock of the whole server: one bad agreement must not stop it for the others.
            _log.exception("sandbox.tick_failed")


def _answer_refusal(_: HttpRequest, error: RefusedError) -> Response[bytes]:
    return to_response(refusal_reply(error))


def _answer_unknown_path(request: HttpRequest, _: NotFoundException) -> Response[bytes]:
    error = refused("*", "unknown_path", f"There is no resource at {request.url.path}")
    return to_response(refusal_reply(error))


def _answer_wrong_method(request: HttpRequest, error: MethodNotAllowedException) -> Response[bytes]:
    headers = error.headers or {}
    refusal = refused("*", "wrong_method", f"{request.method} is not allowed here", headers=dict(headers))
    return to_response(refusal_reply(refusal))


def _answer_http_error(_: HttpRequest, error: HTTPException) -> Response[bytes]:
    body = {
        "code": "BAD_REQUEST" if error.status_code < 500 else "MISC_SERVER_ERROR",
        "message": error.detail,
    }
    return to_response(Reply(status=error.status_code, body=body))


def _answer_defect(request: HttpRequest, error: Exception) -> Response[bytes]:
    """Our own mistake: told in full on standard error, in one word to the client."""
    _log.error("sandbox.defect %s %s", request.method, request.url.path, exc_info=error)
    body = {"code": "MISC_SERVER_ERROR", "message": "Some miscellaneous server error has occurred."}
    return to_response(Reply(status=500, body=body))
