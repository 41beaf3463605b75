"""What can be wrong with registered webhooks, told apart and mended; and how long credentials live unused."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.adobe_sign import ADAPTER
from adapters.kit.outcome import Rejected, Throttled
from adapters.kit.port import Connection, ExpiringGrant, WebhookAdministration
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, finish_operation, json_answer
from config.secret import Secret

OWN = "https://gateway.example/webhooks/signatures/adobe-sign/unguessable"
LIST = Expected(method="GET", path="/webhooks")


def connection(**credentials: Any) -> Connection:
    given = {"client_id": "c", "client_secret": "s", "refresh_token": "r"} | credentials
    return Connection(
        id="con",
        tenant_id="ten",
        credentials=ADAPTER.decode_credentials(json.dumps(given).encode()),
        webhook_url=OWN,
    )


def webhook(ref: str = "A1", **changes: Any) -> dict[str, Any]:
    own = {"id": f"w-{ref}", "scope": "RESOURCE", "status": "ACTIVE", "resourceId": ref}
    return own | {"webhookUrlInfo": {"url": OWN}} | changes


def administration() -> WebhookAdministration:
    assert isinstance(ADAPTER, WebhookAdministration)
    return ADAPTER


async def look(*webhooks: Any, open_refs: Any = ("A1",)) -> Any:
    script = ScriptedExchange(ADAPTER, [(LIST, json_answer({"userWebhookList": list(webhooks)}))])
    found = await administration().check_webhooks(script, connection(), open_refs)
    script.finish()
    assert dict(script.requests[0].query)["showInActiveWebhooks"] == "true", (
        "the switched off ones are the point"
    )
    return found


async def test_active_webhook_of_every_open_agreement_has_nothing_wrong() -> None:
    assert await look(webhook("A1"), webhook("A2"), open_refs=("A1", "A2")) == ()


async def test_webhook_that_is_switched_off_is_told_when_its_agreement_is_open() -> None:
    (found,) = await look(webhook(status="INACTIVE"), webhook("ended", status="INACTIVE"))
    assert (found.code, found.ref, found.provider_refs, found.repairable) == (
        "inactive",
        "w-A1",
        ("A1",),
        True,
    )


async def test_open_agreement_without_a_webhook_is_told() -> None:
    (found,) = await look(webhook("other"))
    assert (found.code, found.provider_refs, found.repairable) == ("missing", ("A1",), True)


async def test_webhook_for_the_whole_account_hears_everything_unless_it_is_off() -> None:
    whole = webhook("", scope="ACCOUNT", id="w")
    assert await look(whole, open_refs=("A1", "A2")) == ()
    codes = [one.code for one in await look(whole | {"status": "INACTIVE"})]
    assert codes == ["inactive", "missing"]


async def test_webhook_for_our_path_at_another_host_is_told_apart_from_a_missing_one() -> None:
    old = webhook(webhookUrlInfo={"url": OWN.replace("gateway", "old")})
    (found,) = await look(old)
    assert (found.code, found.ref) == ("points_elsewhere", "w-A1")
    assert "old.example" in found.says


async def test_other_systems_webhooks_are_theirs() -> None:
    theirs = webhook(webhookUrlInfo={"url": "https://crm.example/hook"}, status="INACTIVE", id="theirs")
    (found,) = await look(theirs)
    assert (found.code, found.ref) == ("missing", "")


async def test_every_page_is_read() -> None:
    pages = [
        (LIST, json_answer({"userWebhookList": [webhook("A2")], "page": {"nextCursor": "n"}})),
        (LIST, json_answer({"userWebhookList": [webhook("A1")], "page": {}})),
    ]
    script = ScriptedExchange(ADAPTER, pages)
    assert await administration().check_webhooks(script, connection(), ("A1", "A2")) == ()
    assert dict(script.requests[1].query)["cursor"] == "n"


async def test_repair_switches_on_with_the_etag_that_was_read() -> None:
    found = await look(webhook(status="INACTIVE"))
    script = ScriptedExchange(
        ADAPTER,
        [
            (Expected(method="GET", path="/webhooks/w-A1"), json_answer(webhook(), headers={"etag": '"7"'})),
            (Expected(method="PUT", path="/webhooks/w-A1/state"), json_answer({}, 204)),
        ],
    )
    assert await administration().repair_webhooks(script, connection(), found) == found
    assert json.loads(body_of(script.requests[1])) == {"state": "ACTIVE"}
    assert ("If-Match", '"7"') in script.requests[1].headers


@pytest.mark.parametrize(
    ("status", "body", "is_there"),
    [
        (201, {"id": "w"}, True),
        (400, {"code": "DUPLICATE_WEBHOOK_CONFIGURATION", "message": ""}, True),
        (400, {"code": "INVALID_WEBHOOK_URL", "message": ""}, False),
    ],
)
async def test_repair_registers_what_is_missing(status: int, body: Any, is_there: bool) -> None:
    found = await look()
    script = ScriptedExchange(
        ADAPTER, [(Expected(method="POST", path="/webhooks"), json_answer(body, status))]
    )
    assert await administration().repair_webhooks(script, connection(), found) == (found if is_there else ())
    sent = json.loads(body_of(script.requests[0]))
    assert (sent["resourceId"], sent["webhookUrlInfo"]) == ("A1", {"url": OWN})


async def test_webhook_that_cannot_be_switched_on_keeps_no_other_from_it() -> None:
    found = await look(webhook(status="INACTIVE"), webhook("A2", status="INACTIVE"), open_refs=("A1", "A2"))
    gone = Rejected(code="not_found", provider_code="INVALID_WEBHOOK_ID", detail="gone", status=404)
    script = ScriptedExchange(
        ADAPTER,
        [
            (Expected(path="/webhooks/w-A1"), gone),
            (Expected(path="/webhooks/w-A2"), json_answer(webhook("A2"), headers={"etag": '"1"'})),
            (Expected(path="/webhooks/w-A2/state"), json_answer({}, 204)),
        ],
    )
    assert await administration().repair_webhooks(script, connection(), found) == found[1:]


async def test_throttled_look_ends_with_the_providers_wait() -> None:
    throttled = json_answer({"code": "THROTTLING_TOO_MANY_REQUESTS", "message": "", "retryAfter": 42}, 429)
    script = ScriptedExchange(ADAPTER, [(LIST, throttled)])
    outcome = await finish_operation(administration().check_webhooks(script, connection(), ()))
    assert outcome == Throttled(42.0, "THROTTLING_TOO_MANY_REQUESTS")


def test_refresh_token_dies_after_sixty_idle_days_and_an_integration_key_does_not() -> None:
    assert isinstance(ADAPTER, ExpiringGrant)
    assert ADAPTER.idle_limit(connection()) == timedelta(days=60)
    keyed = connection()
    credentials = msgspec.structs.replace(keyed.credentials, integration_key=Secret("a key"))
    assert ADAPTER.idle_limit(msgspec.structs.replace(keyed, credentials=credentials)) is None
