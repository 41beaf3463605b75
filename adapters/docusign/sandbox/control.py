"""The control API under /sandbox: acts as signers, injects faults, turns keys and the clock.

No part of the real service; needs no token, so the sandbox must stay on loopback.
"""

import secrets
from typing import TypeVar

import msgspec
from litestar import delete, get, post

from . import hooks, lifecycle, recipients, render, troubles
from .catalogue import JsonObject
from .exchange import Answer, HttpRequest, answer, body_of, envelope_of, part, world_of
from .faults import Fault
from .refusals import Refusal
from .state import Envelope, Message, Recipient
from .world import World

_ENVELOPE = "/envelopes/{envelope_id:str}"
_MOST_STEPS = 100
_T = TypeVar("_T")


class Action(msgspec.Struct, forbid_unknown_fields=True):
    """What a recipient's action may carry; all of it is optional."""

    reason: str = "Declined in the sandbox."
    values: dict[str, str] = {}
    name: str = ""
    email: str = ""
    access_code: str = ""


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """Settings that may be changed while the server runs; None leaves one as it is."""

    has_consent: bool | None = None
    is_polling_limited: bool | None = None
    hourly_limit: int | None = None
    burst_limit: int | None = None
    advance_seconds: float | None = None


@get("/health", name="sandbox.health")
async def health() -> Answer:
    return answer({"name": "docusign", "ok": True})


@get("/envelopes", name="sandbox.envelopes")
async def envelopes(request: HttpRequest) -> Answer:
    return answer(
        {"envelopes": [_shown(world_of(request), e) for e in world_of(request).state.envelopes.values()]}
    )


@get(_ENVELOPE, name="sandbox.envelope")
async def envelope(request: HttpRequest) -> Answer:
    return answer(_shown(world_of(request), envelope_of(request)))


@post(_ENVELOPE + "/recipients/{recipient_id:str}/{action:str}", name="sandbox.act", status_code=200)
async def act(request: HttpRequest) -> Answer:
    """view, sign, decline, fail_authentication, autorespond, reassign, delegate, finish_later or enter_access_code."""
    world, chosen = world_of(request), envelope_of(request)
    recipient = recipients.find(chosen, part(request, "recipient_id"))
    perform(world, chosen, recipient, part(request, "action"), await _body(request, Action))
    return answer(_shown(world, chosen))


@post(_ENVELOPE + "/sign_all", name="sandbox.sign_all", status_code=200)
async def sign_all(request: HttpRequest) -> Answer:
    """Everybody signs in turn until nobody waits."""
    world, chosen = world_of(request), envelope_of(request)
    if not chosen.is_open:
        raise Refusal("control-envelope-not-open")
    for _ in range(_MOST_STEPS):
        waiting = [r for r in chosen.recipients if r.is_waiting]
        if not (chosen.is_open and waiting):
            break
        lifecycle.sign(world, chosen, waiting[0], {})
    return answer(_shown(world, chosen))


@post(_ENVELOPE + "/expire", name="sandbox.expire", status_code=200)
async def expire(request: HttpRequest) -> Answer:
    lifecycle.expire(world_of(request), envelope_of(request))
    return answer(_shown(world_of(request), envelope_of(request)))


@post(_ENVELOPE + "/purge", name="sandbox.purge", status_code=200)
async def purge(request: HttpRequest) -> Answer:
    lifecycle.purge(world_of(request), envelope_of(request))
    return answer(_shown(world_of(request), envelope_of(request)))


@get("/faults", name="sandbox.faults")
async def list_faults(request: HttpRequest) -> Answer:
    return answer({"faults": world_of(request).faults.waiting()})


@post("/faults", name="sandbox.add_fault", status_code=201)
async def add_fault(request: HttpRequest) -> Answer:
    fault = await _body(request, Fault)
    if fault.count < 1 or fault.seconds < 0:
        raise Refusal("control-body", "count is at least 1, seconds at least 0.")
    return answer(world_of(request).faults.add(fault), 201)


@delete("/faults", name="sandbox.clear_faults", status_code=200)
async def clear_faults(request: HttpRequest) -> Answer:
    world_of(request).faults.clear()
    return answer({"faults": []})


@get("/webhooks", name="sandbox.webhooks")
async def webhooks(request: HttpRequest) -> Answer:
    """Every Connect message that the sandbox still knows, with its fate."""
    return answer({"messages": [_message(message) for message in world_of(request).state.messages]})


@post("/connect", name="sandbox.connect", status_code=201)
async def add_connect(request: HttpRequest) -> Answer:
    """A configuration of the account, as an administrator makes it in the provider's own pages."""
    world = world_of(request)
    made = hooks.from_configuration(world, await body_of(request, "ConnectCustomConfiguration"))
    world.state.account_hooks[str(made.hook.configuration_id)] = made
    world.touch()
    return answer(made.wire, 201)


@post("/connect/{connect_id:str}/disable", name="sandbox.disable_connect", status_code=200)
async def disable_connect(request: HttpRequest) -> Answer:
    """What the service does to a configuration that failed for 14 days."""
    world = world_of(request)
    kept = world.state.account_hooks.get(part(request, "connect_id"))
    if kept is None:
        raise Refusal("connect-unknown", f"connectId '{part(request, 'connect_id')}'.")
    hooks.disable(kept, "System")
    world.touch()
    return answer(kept.wire)


@delete("/connect", name="sandbox.forget_connect", status_code=200)
async def forget_connect(request: HttpRequest) -> Answer:
    """Every configuration of the account."""
    world_of(request).state.account_hooks.clear()
    world_of(request).touch()
    return answer({})


@get("/hmac_keys", name="sandbox.hmac_keys")
async def hmac_keys(request: HttpRequest) -> Answer:
    return answer({"keys": world_of(request).state.hmac_keys})


@post("/hmac_keys", name="sandbox.add_hmac_key", status_code=201)
async def add_hmac_key(request: HttpRequest) -> Answer:
    """A further active key; from now on every message carries one more signature."""
    world = world_of(request)
    world.state.hmac_keys.append(secrets.token_urlsafe(32))
    world.touch()
    return answer({"keys": world.state.hmac_keys}, 201)


@delete("/hmac_keys/{number:str}", name="sandbox.remove_hmac_key", status_code=200)
async def remove_hmac_key(request: HttpRequest) -> Answer:
    """Removes a key by its place (1, 2, ...); the header numbers of later ones shift, as at the provider."""
    world, number = world_of(request), part(request, "number")
    if not number.isdigit() or not 1 <= int(number) <= len(world.state.hmac_keys):
        raise Refusal("control-body", "No such key.")
    del world.state.hmac_keys[int(number) - 1]
    world.touch()
    return answer({"keys": world.state.hmac_keys})


@post("/switches", name="sandbox.switch", status_code=200)
async def switch(request: HttpRequest) -> Answer:
    """Changes consent, limits, the polling rule or the clock."""
    world = world_of(request)
    wanted = await _body(request, Switches)
    if wanted.has_consent is not None:
        world.state.has_consent = wanted.has_consent
    if wanted.is_polling_limited is not None:
        world.limits.is_polling_limited = wanted.is_polling_limited
    if wanted.hourly_limit is not None or wanted.burst_limit is not None:
        world.limits.change(hourly_limit=wanted.hourly_limit or 0, burst_limit=wanted.burst_limit or 0)
    if wanted.advance_seconds is not None:
        world.state.clock_offset_s += wanted.advance_seconds
        lifecycle.expire_due(world)
    world.touch()
    return answer({"now": world.now(), "has_consent": world.state.has_consent})


def perform(world: World, chosen: Envelope, recipient: Recipient, action: str, given: Action) -> None:
    """One recipient's action by its name; shared with the pages."""
    match action:
        case "view":
            lifecycle.view(world, chosen, recipient)
        case "sign":
            lifecycle.sign(world, chosen, recipient, given.values)
        case "decline":
            lifecycle.decline(world, chosen, recipient, given.reason)
        case "fail_authentication":
            troubles.fail_authentication(world, chosen, recipient)
        case "enter_access_code":
            troubles.enter_access_code(world, chosen, recipient, given.access_code)
        case "autorespond":
            troubles.autorespond(world, chosen, recipient, given.reason)
        case "reassign" | "delegate":
            troubles.reassign(world, chosen, recipient, given.name, given.email, f"recipient-{action}")
        case "finish_later":
            troubles.finish_later(world, chosen, recipient)
        case _:
            raise Refusal("control-action-unknown", f"'{action}'.")


async def _body(request: HttpRequest, shape: type[_T]) -> _T:
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=shape)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Refusal("control-body", f"{error}.") from error


def _shown(world: World, chosen: Envelope) -> JsonObject:
    return render.envelope(world, chosen, frozenset({"recipients", "custom_fields"}))


def _message(message: Message) -> JsonObject:
    return {
        "event": message.event,
        "envelopeId": message.envelope_id,
        "url": message.hook.url,
        "status": message.status,
        "attempts": message.attempts,
        "error": message.error,
        "configurationId": message.hook.configuration_id,
    }
