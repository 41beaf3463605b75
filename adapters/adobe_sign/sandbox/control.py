"""The sandbox's own API under /sandbox: act as a signer, inject faults, move the clock, look inside.

It needs no token: the server listens on loopback and holds nothing of value.
"""

from typing import Any, TypeVar

import msgspec
from litestar import Response, delete, get, patch, post

from adapters.adobe_sign.sandbox import shapes
from adapters.adobe_sign.sandbox.box import Sandbox
from adapters.adobe_sign.sandbox.calls import HttpRequest
from adapters.adobe_sign.sandbox.delivery import Deliveries
from adapters.adobe_sign.sandbox.faults import FaultRequest
from adapters.adobe_sign.sandbox.library import seed_library
from adapters.adobe_sign.sandbox.lifecycle import WrongMomentError
from adapters.adobe_sign.sandbox.options import Options
from adapters.adobe_sign.sandbox.signers import Action, perform
from adapters.adobe_sign.sandbox.world import Agreement, JsonObject

T = TypeVar("T")


class ControlError(Exception):
    """A control call that cannot be followed; becomes `{"error"}`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class ClockMove(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /sandbox/clock."""

    advance_seconds: float


def control_error_response(_: HttpRequest, error: ControlError) -> Response[bytes]:
    return _json({"error": error.message}, error.status)


def _json(body: Any, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


async def _body(request: HttpRequest, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ControlError(400, str(error)) from error


def box_of(request: HttpRequest) -> Sandbox:
    box: Sandbox = request.app.state.box
    box.settle()
    return box


def find_agreement(request: HttpRequest) -> Agreement:
    """The agreement of the path, for control calls and pages."""
    found = box_of(request).world.agreements.get(str(request.path_params["agreement_id"]))
    if found is None:
        raise ControlError(404, "there is no such agreement")
    return found


def _shown(agreement: Agreement) -> JsonObject:
    return {
        "id": agreement.id,
        "name": agreement.name,
        "status": agreement.status,
        "externalId": agreement.external_id,
        "participantSets": shapes.participant_sets(agreement),
        "values": agreement.values,
        "fields": agreement.fields,
    }


@get("/sandbox/health")
async def health(request: HttpRequest) -> Response[bytes]:
    return _json({"status": "ok", "name": "adobe-sign", "now": shapes.instant(box_of(request).now())})


@get("/sandbox/agreements")
async def list_agreements(request: HttpRequest) -> Response[bytes]:
    return _json([_shown(agreement) for agreement in box_of(request).world.agreements.values()])


@get("/sandbox/agreements/{agreement_id:str}")
async def show_agreement(request: HttpRequest) -> Response[bytes]:
    return _json(_shown(find_agreement(request)))


@post("/sandbox/agreements/{agreement_id:str}/actions")
async def act(request: HttpRequest) -> Response[bytes]:
    agreement = find_agreement(request)
    action = await _body(request, Action)
    ip = request.client.host if request.client else "127.0.0.1"
    try:
        perform(box_of(request), agreement, action, ip)
    except WrongMomentError as error:
        raise ControlError(409, str(error)) from error
    return _json(_shown(agreement))


@get("/sandbox/faults")
async def list_faults(request: HttpRequest) -> Response[bytes]:
    return _json(box_of(request).faults.list_all())


@post("/sandbox/faults")
async def arm_fault(request: HttpRequest) -> Response[bytes]:
    return _json(box_of(request).faults.arm(await _body(request, FaultRequest)), 201)


@delete("/sandbox/faults", status_code=200)
async def clear_faults(request: HttpRequest) -> Response[bytes]:
    box_of(request).faults.clear()
    return _json([])


@get("/sandbox/deliveries")
async def list_deliveries(request: HttpRequest) -> Response[bytes]:
    box = box_of(request)
    queues = {
        webhook.id: [
            {"id": each.id, "event": each.event, "attempts": each.attempts} for each in webhook.queue
        ]
        for webhook in box.world.webhooks.values()
    }
    return _json({"attempts": list(box.attempts), "queues": queues})


@get("/sandbox/webhooks")
async def list_webhooks(request: HttpRequest) -> Response[bytes]:
    """Every registered webhook, switched off or not."""
    return _json([shapes.webhook(webhook) for webhook in box_of(request).world.webhooks.values()])


@post("/sandbox/webhooks/{webhook_id:str}/disable")
async def disable_webhook(request: HttpRequest) -> Response[bytes]:
    """What the service does to a webhook that failed for 72 hours: switched off, and its queue lost."""
    box, webhook_id = box_of(request), str(request.path_params["webhook_id"])
    webhook = box.world.webhooks.get(webhook_id)
    if webhook is None:
        raise ControlError(404, "there is no such webhook")
    webhook.status, webhook.disabled_by = "INACTIVE", "the control API"
    webhook.queue.clear()
    box.mark_dirty()
    box.flush()
    return _json(shapes.webhook(webhook))


@delete("/sandbox/webhooks/{webhook_id:str}", status_code=200)
async def forget_webhook(request: HttpRequest) -> Response[bytes]:
    """As if somebody had deleted it in the provider's own pages."""
    box = box_of(request)
    if box.world.webhooks.pop(str(request.path_params["webhook_id"]), None) is None:
        raise ControlError(404, "there is no such webhook")
    box.mark_dirty()
    box.flush()
    deliveries: Deliveries = request.app.state.deliveries
    deliveries.wake_all()
    return _json({"status": "ok"})


@get("/sandbox/requests")
async def list_requests(request: HttpRequest) -> Response[bytes]:
    return _json(list(box_of(request).requests))


@get("/sandbox/options")
async def show_options(request: HttpRequest) -> Response[bytes]:
    return _json(box_of(request).options)


@patch("/sandbox/options")
async def change_options(request: HttpRequest) -> Response[bytes]:
    box = box_of(request)
    changes = await _body(request, dict[str, Any])
    merged = msgspec.to_builtins(box.options) | changes
    try:
        box.options = msgspec.convert(merged, Options)
    except msgspec.ValidationError as error:
        raise ControlError(400, str(error)) from error
    return _json(box.options)


@post("/sandbox/clock")
async def move_clock(request: HttpRequest) -> Response[bytes]:
    box = box_of(request)
    box.world.clock_offset_s += (await _body(request, ClockMove)).advance_seconds
    box.mark_dirty()
    box.settle()
    box.flush()
    return _json({"now": shapes.instant(box.now())})


@post("/sandbox/reset")
async def reset(request: HttpRequest) -> Response[bytes]:
    box = box_of(request)
    deliveries: Deliveries = request.app.state.deliveries
    box.reset()
    seed_library(box)
    box.flush()
    deliveries.wake_all()
    return _json({"status": "ok"})


HANDLERS = [
    health,
    list_agreements,
    show_agreement,
    act,
    list_faults,
    arm_fault,
    clear_faults,
    list_deliveries,
    list_webhooks,
    disable_webhook,
    forget_webhook,
    list_requests,
    show_options,
    change_options,
    move_clock,
    reset,
]
