"""Helpers of the account: identity workflows, templates, Connect configurations, logs and republishing."""

from litestar import delete, get, post, put

from . import hooks, identity, templates
from .catalogue import JsonObject
from .clock import seven_digits
from .courier import Courier
from .exchange import Answer, HttpRequest, answer, body_of, part, world_of
from .refusals import Refusal
from .state import AccountHook, Message
from .world import World

_CONNECT = "/connect"


@get("/", name="account.get")
async def account(request: HttpRequest) -> Answer:
    settings = world_of(request).settings
    return answer({"accountIdGuid": settings.account_id, "accountName": "Sandbox", "isDefault": "true"})


@get("/identity_verification", name="identity.list")
async def identity_verification() -> Answer:
    return answer(identity.identity_verification())


@get("/templates", name="templates.list")
async def list_templates() -> Answer:
    return answer(templates.listing())


@get("/templates/{template_id:str}", name="templates.get")
async def show_template(request: HttpRequest) -> Answer:
    return answer(templates.described(part(request, "template_id")))


@get(_CONNECT, name="connect.list")
async def list_configurations(request: HttpRequest) -> Answer:
    kept = world_of(request).state.account_hooks.values()
    return answer({"configurations": [hook.wire for hook in kept], "totalRecords": str(len(kept))})


@post(_CONNECT, name="connect.create", status_code=201)
async def add_configuration(request: HttpRequest) -> Answer:
    world = world_of(request)
    made = hooks.from_configuration(world, await body_of(request, "ConnectCustomConfiguration"))
    return answer(_kept(world, made), 201)


@put(_CONNECT, name="connect.update")
async def change_configuration(request: HttpRequest) -> Answer:
    world = world_of(request)
    body = await body_of(request, "ConnectCustomConfiguration")
    known = _configuration(world, str(body.get("connectId") or ""))
    return answer(_kept(world, hooks.from_configuration(world, body, known)))


@get(_CONNECT + "/logs", name="connect.logs")
async def logs(request: HttpRequest) -> Answer:
    """The last messages of configurations that log; off by default at the provider."""
    shown = [m for m in world_of(request).state.messages if m.hook.is_logged and m.status != "queued"]
    return answer({"logs": [_log(request, m) for m in shown[-100:]], "totalRecords": str(len(shown[-100:]))})


@get(_CONNECT + "/logs/{log_id:str}", name="connect.log")
async def log(request: HttpRequest) -> Answer:
    for message in world_of(request).state.messages:
        if message.id == part(request, "log_id"):
            return answer(_log(request, message))
    raise Refusal("connect-log-unknown")


@get(_CONNECT + "/failures", name="connect.failures")
async def failures(request: HttpRequest) -> Answer:
    shown = [m for m in world_of(request).state.messages if m.error]
    return answer({"failures": [_log(request, m) for m in shown], "totalRecords": str(len(shown))})


@delete(_CONNECT + "/failures/{failure_id:str}", name="connect.drop_failure", status_code=200)
async def drop_failure(request: HttpRequest) -> Answer:
    world = world_of(request)
    for message in world.state.messages:
        if message.failure_id == part(request, "failure_id") and message.status == "failed":
            world.state.messages.remove(message)
            world.touch()
            return answer({})
    raise Refusal("connect-failure-unknown")


@put(_CONNECT + "/envelopes/{envelope_id:str}/retry_queue", name="connect.republish")
async def republish(request: HttpRequest) -> Answer:
    return answer({"retryQueue": [_republish(request, part(request, "envelope_id"))]})


@put(_CONNECT + "/envelopes/retry_queue", name="connect.republish_many")
async def republish_many(request: HttpRequest) -> Answer:
    body = await body_of(request, "ConnectFailureFilter")
    ids = body.get("envelopeIds") or []
    if not ids:
        raise Refusal("connect-republish-without-ids")
    return answer({"retryQueue": [_republish(request, str(envelope_id)) for envelope_id in ids]})


@get(_CONNECT + "/{connect_id:str}", name="connect.get")
async def show_configuration(request: HttpRequest) -> Answer:
    found = _configuration(world_of(request), part(request, "connect_id"))
    return answer({"configurations": [found.wire], "totalRecords": "1"})


@delete(_CONNECT + "/{connect_id:str}", name="connect.remove", status_code=200)
async def remove_configuration(request: HttpRequest) -> Answer:
    world = world_of(request)
    _configuration(world, part(request, "connect_id"))
    del world.state.account_hooks[part(request, "connect_id")]
    world.touch()
    return answer({})


def _configuration(world: World, connect_id: str) -> AccountHook:
    found = world.state.account_hooks.get(connect_id)
    if found is None:
        raise Refusal("connect-unknown", f"connectId '{connect_id}'.")
    return found


def _kept(world: World, made: AccountHook) -> JsonObject:
    world.state.account_hooks[str(made.hook.configuration_id)] = made
    world.touch()
    return made.wire


def _republish(request: HttpRequest, envelope_id: str) -> JsonObject:
    """Failed messages of the envelope go out again; without any, its present state does."""
    world = world_of(request)
    courier: Courier = request.app.state.courier
    envelope = world.envelope(envelope_id)
    failed = [m for m in world.state.messages if m.envelope_id == envelope.id and m.status == "failed"]
    for message in failed:
        courier.redeliver(message)
    if not failed:
        courier.publish(envelope)
    return {"envelopeId": envelope.id, "status": "queued"}


def _log(request: HttpRequest, message: Message) -> JsonObject:
    settings = world_of(request).settings
    base = f"/accounts/{settings.account_id}/connect"
    return {
        "accountId": settings.account_id,
        "configUrl": message.hook.url,
        "connectId": str(message.hook.configuration_id),
        "created": seven_digits(message.created_at),
        "envelopeId": message.envelope_id,
        "error": message.error,
        "failureId": message.failure_id,
        "failureUri": f"{base}/failures/{message.failure_id}",
        "lastTry": seven_digits(message.last_try_at) if message.last_try_at else "",
        "logId": message.id,
        "logUri": f"{base}/logs/{message.id}",
        "retryCount": str(max(0, message.attempts - 1)),
        "retryUri": f"{base}/envelopes/{message.envelope_id}/retry_queue",
        "status": "Successful" if message.status == "delivered" else "Failed",
        "subject": message.event,
    }
