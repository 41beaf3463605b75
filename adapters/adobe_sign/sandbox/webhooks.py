"""Webhooks: register with verification of intent, read, change, activate, delete.

Source: provider contracts B4.1 and B4.2; error codes of the developer guide's webhook page.
"""

import uuid

from adapters.adobe_sign.sandbox import shapes
from adapters.adobe_sign.sandbox.address_rule import find_fault_of_url
from adapters.adobe_sign.sandbox.agreements import read_page, write_page
from adapters.adobe_sign.sandbox.calls import API, Call, Reply, endpoint
from adapters.adobe_sign.sandbox.catalogue import enum_values
from adapters.adobe_sign.sandbox.delivery import Deliveries
from adapters.adobe_sign.sandbox.world import JsonObject, Webhook

_ONE = f"{API}/webhooks/{{webhook_id:str}}"


def _find(call: Call) -> Webhook:
    found = call.box.world.webhooks.get(call.path("webhook_id"))
    if found is None:
        raise call.refuse("unknown_webhook", "The webhookId specified is invalid.")
    return found


def _deliveries(call: Call) -> Deliveries:
    deliveries: Deliveries = call.request.app.state.deliveries
    return deliveries


def _check_events(call: Call, events: list[str]) -> None:
    unknown = set(events) - enum_values("WebhookEvent")
    if unknown:
        raise call.refuse("unknown_event", f"Invalid webhook subscription events: {sorted(unknown)}")


async def _verify(call: Call, url: str) -> None:
    trigger, problem = await _deliveries(call).verify_intent(url, call.token.client_id)
    if trigger:
        # Activating knows one refusal for every way to fail the verification.
        raise call.refuse("intent_not_echoed" if call.operation != "create_webhook" else trigger, problem)


@endpoint("POST", f"{API}/webhooks", "create_webhook", scope="webhook_write")
async def create(call: Call) -> Reply:
    body = await call.json("WebhookInfo")
    if body["state"] != "ACTIVE":
        raise call.refuse("inactive_state", "A webhook is created with the state ACTIVE")
    _check_events(call, body["webhookSubscriptionEvents"])
    _check_resource(call, body)
    url = body["webhookUrlInfo"]["url"]
    bad = await find_fault_of_url(url, call.box.options.webhook_allow)
    if bad is not None:
        raise call.refuse(bad.trigger, bad.detail)
    _check_others(call, body, url)
    await _verify(call, url)
    webhook = Webhook(
        id=str(uuid.uuid4()),
        name=body["name"],
        scope=body["scope"],
        owner=call.actor,
        client_id=call.token.client_id,
        url=url,
        events=body["webhookSubscriptionEvents"],
        created=call.box.now(),
        modified=call.box.now(),
        resource_type=body.get("resourceType") or "",
        resource_id=body.get("resourceId") or "",
        conditional=body.get("webhookConditionalParams") or {},
        problem_emails=[each["email"] for each in body.get("problemNotificationEmails") or []],
        application_name=body.get("applicationName") or "Countersign sandbox",
    )
    call.box.world.webhooks[webhook.id] = webhook
    call.box.mark_dirty()
    location = f"{call.box.base_url}{API}/webhooks/{webhook.id}"
    return Reply(status=201, body={"id": webhook.id}, headers={"Location": location})


def _check_resource(call: Call, body: JsonObject) -> None:
    if body["scope"] != "RESOURCE":
        return
    if not body.get("resourceId") or not body.get("resourceType"):
        raise call.refuse("resource_without_id", "The scope RESOURCE needs resourceType and resourceId")
    if body["resourceType"] != "AGREEMENT":
        raise call.refuse("other_resource_type", "This sandbox has webhooks for agreements only")
    if body["resourceId"] not in call.box.world.agreements:
        raise call.refuse("unknown_resource", "The Agreement ID specified is invalid")


def _check_others(call: Call, body: JsonObject, url: str) -> None:
    others = [each for each in call.box.world.webhooks.values() if each.status == "ACTIVE"]
    wanted = (url, body["scope"], body.get("resourceId") or "", sorted(body["webhookSubscriptionEvents"]))
    if wanted in [(each.url, each.scope, each.resource_id, sorted(each.events)) for each in others]:
        raise call.refuse("duplicate", "There is already a webhook registered with same configuration.")
    if len(others) >= call.box.options.webhook_limit:
        raise call.refuse("limit", "The maximum number of active webhooks has been reached.")


@endpoint("GET", f"{API}/webhooks", "list_webhooks", scope="webhook_read")
async def list_webhooks(call: Call) -> Reply:
    size, start = read_page(call)
    with_inactive = call.query("showInActiveWebhooks", call.query("showInactiveWebhooks")).lower() == "true"
    found = [
        each
        for each in call.box.world.webhooks.values()
        if (with_inactive or each.status == "ACTIVE")
        and call.query("scope") in {"", each.scope}
        and call.query("resourceType") in {"", each.resource_type}
    ]
    listed = [shapes.webhook(each) for each in found[start : start + size]]
    return Reply(body={"page": write_page(start, size, len(found)), "userWebhookList": listed})


@endpoint("GET", _ONE, "get_webhook", scope="webhook_read")
async def get_webhook(call: Call) -> Reply:
    webhook = _find(call)
    return call.with_etag(webhook.id, shapes.webhook(webhook))


@endpoint("PUT", _ONE, "update_webhook", scope="webhook_write")
async def update(call: Call) -> Reply:
    webhook = _find(call)
    body = await call.json("WebhookInfo")
    call.must_match(webhook.id, shapes.webhook(webhook))
    fixed = {
        "scope": (body["scope"], webhook.scope),
        "webhookUrlInfo": (body["webhookUrlInfo"]["url"], webhook.url),
        "resourceId": (body.get("resourceId") or "", webhook.resource_id),
    }
    changed = [key for key, (wanted, known) in fixed.items() if wanted != known]
    if changed:
        raise call.refuse("immutable_field", f"{', '.join(changed)} cannot be changed")
    _check_events(call, body["webhookSubscriptionEvents"])
    webhook.name = body["name"]
    webhook.events = body["webhookSubscriptionEvents"]
    webhook.conditional = body.get("webhookConditionalParams") or {}
    webhook.modified = call.box.now()
    call.box.mark_dirty()
    return Reply(status=204)


@endpoint("PUT", f"{_ONE}/state", "set_webhook_state", scope="webhook_write")
async def set_state(call: Call) -> Reply:
    webhook = _find(call)
    body = await call.json("WebhookStateInfo")
    call.must_match(webhook.id, shapes.webhook(webhook))
    if body["state"] == "ACTIVE" and webhook.status != "ACTIVE":
        await _verify(call, webhook.url)
        webhook.disabled_by = ""
    webhook.status = body["state"]
    webhook.modified = call.box.now()
    call.box.mark_dirty()
    return Reply(status=204)


@endpoint("DELETE", _ONE, "delete_webhook", scope="webhook_retention")
async def delete(call: Call) -> Reply:
    webhook = _find(call)
    del call.box.world.webhooks[webhook.id]
    call.box.mark_dirty()
    _deliveries(call).wake(webhook)
    return Reply(status=204)


HANDLERS = [create, list_webhooks, get_webhook, update, set_state, delete]
