"""What a Connect configuration can have wrong, told apart and mended by exact requests."""

import json
from typing import Any

import msgspec
import pytest

from adapters.docusign.adapter import DocuSign
from adapters.docusign.definition import SUBSCRIBED
from adapters.kit.outcome import Interruption, Rejected
from adapters.kit.port import Connection, WebhookFinding
from adapters.kit.scripted import Expected, ScriptedExchange, body_of, finish_operation, json_answer
from config.secret import Secret
from tests.adapters.docusign import samples
from tests.adapters.docusign.oracle import unknown_keys

OWN = "https://gateway.example/webhooks/signatures/docusign/unguessable"
REF = samples.ENVELOPE_REF
LIST, FAILURES = Expected(method="GET", path="/connect"), Expected(method="GET", path="/connect/failures")
WELL: dict[str, Any] = {
    "connectId": "77",
    "name": "Ours",
    "configurationType": "custom",
    "urlToPublishTo": OWN,
    "allowEnvelopePublish": "true",
    "allUsers": "true",
    "requiresAcknowledgement": "true",
    "enableLog": "true",
    "includeHMAC": "true",
    "deliveryMode": "SIM",
    "events": list(SUBSCRIBED),
    "eventData": {"version": "restv2.1", "format": "json", "includeData": ["recipients"]},
}


def connection(**changes: Any) -> Connection:
    return msgspec.structs.replace(
        samples.connection(), webhook_url=OWN, webhook_keys=(Secret("a key of the tests"),), **changes
    )


async def look(
    *configurations: Any, failures: Any = (), open_refs: Any = (), own: Connection | None = None
) -> Any:
    adapter = DocuSign()
    script = ScriptedExchange(
        adapter,
        [
            (LIST, json_answer({"configurations": list(configurations), "totalRecords": "1"})),
            (FAILURES, json_answer({"failures": list(failures)})),
        ],
    )
    found = await adapter.check_webhooks(script, own or connection(), open_refs)
    script.finish()
    return found


async def test_configuration_that_is_as_it_should_be_has_nothing_wrong() -> None:
    assert await look(WELL) == ()


async def test_account_without_a_configuration_of_ours_has_nothing_wrong() -> None:
    assert await look() == ()
    assert (
        await look(WELL | {"urlToPublishTo": "https://other.example/x", "allowEnvelopePublish": "false"})
        == ()
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"allowEnvelopePublish": "false"}, "inactive"),
        ({"disabledBy": "System"}, "inactive"),
        ({"includeHMAC": "false"}, "unsigned"),
        ({"requiresAcknowledgement": None}, "unacknowledged"),
        ({"enableLog": "false"}, "unlogged"),
        ({"deliveryMode": "Aggregate"}, "wrong_form"),
        ({"eventData": {"version": "restv2.1", "format": "xml"}}, "wrong_form"),
        ({"events": ["envelope-completed"]}, "events_missing"),
    ],
)
async def test_each_weakness_has_a_code_words_and_a_remedy(change: dict[str, Any], code: str) -> None:
    (found,) = await look(WELL | change)
    assert (found.code, found.ref, found.repairable) == (code, "77", True)
    assert "'Ours'" in found.says


async def test_configuration_for_our_path_at_another_host_is_told_and_not_moved() -> None:
    """A copy of this installation must not take the original's messages away."""
    (found,) = await look(WELL | {"urlToPublishTo": OWN.replace("gateway", "old")})
    assert (found.code, found.repairable) == ("points_elsewhere", False)
    assert "old.example" in found.says


async def test_connection_without_a_key_is_told_that_everything_is_refused() -> None:
    own = msgspec.structs.replace(connection(), webhook_keys=())
    own = msgspec.structs.replace(
        own, credentials=msgspec.structs.replace(own.credentials, webhook_secret=None)
    )
    (found,) = await look(WELL, own=own)
    assert (found.code, found.repairable) == ("no_key", False)


async def test_failures_of_open_envelopes_are_told_and_those_of_ended_ones_and_of_others_are_not() -> None:
    failures = [
        {"configUrl": OWN, "envelopeId": REF.upper(), "error": "HTTP 500"},
        {"configUrl": OWN, "envelopeId": "ended-here", "error": "HTTP 500"},
        {"configUrl": "https://other.example", "envelopeId": "second", "error": "HTTP 500"},
    ]
    (found,) = await look(failures=failures, open_refs=(REF, "second"))
    assert (found.code, found.provider_refs, found.repairable) == ("undelivered", (REF,), True)


async def test_repair_writes_a_whole_configuration_once_however_many_weaknesses_it_has() -> None:
    weak = WELL | {"allowEnvelopePublish": "false", "includeHMAC": "false", "events": ["click-agreed"]}
    found = await look(weak)
    adapter = DocuSign()
    script = ScriptedExchange(
        adapter,
        [
            (LIST, json_answer({"configurations": [weak, WELL | {"connectId": "78"}]})),
            (Expected(method="PUT", path="/connect"), json_answer(WELL)),
        ],
    )
    assert await adapter.repair_webhooks(script, connection(), found) == found
    script.finish()
    body = json.loads(body_of(script.requests[-1]))
    wanted_data = {"version": "restv2.1", "format": "json", "includeData": ["recipients", "custom_fields"]}
    assert body == WELL | {"events": ["click-agreed", *SUBSCRIBED], "eventData": wanted_data}
    assert unknown_keys(body, "ConnectCustomConfiguration") == []


async def test_repair_of_another_weakness_does_not_switch_on_what_is_to_stay_off() -> None:
    weak = WELL | {"allowEnvelopePublish": "false", "includeHMAC": "false"}
    found = [one for one in await look(weak) if one.code != "inactive"]
    adapter = DocuSign()
    script = ScriptedExchange(
        adapter,
        [
            (LIST, json_answer({"configurations": [weak]})),
            (Expected(method="PUT", path="/connect"), json_answer(WELL)),
        ],
    )
    await adapter.repair_webhooks(script, connection(), found)
    body = json.loads(body_of(script.requests[-1]))
    assert (body["allowEnvelopePublish"], body["includeHMAC"]) == ("false", "true")


async def test_repair_asks_for_what_waits_in_the_retry_queue() -> None:
    finding = WebhookFinding(code="undelivered", says="x", provider_refs=(REF,), repairable=True)
    adapter = DocuSign()
    again = Expected(method="PUT", path="/connect/envelopes/retry_queue")
    script = ScriptedExchange(adapter, [(again, json_answer({"retryQueue": []}))])
    assert await adapter.repair_webhooks(script, connection(), (finding,)) == (finding,)
    assert json.loads(body_of(script.requests[0])) == {"envelopeIds": [REF]}


async def test_one_refused_repair_keeps_the_others_from_nothing() -> None:
    first, second = WELL | {"enableLog": "false"}, WELL | {"enableLog": "false", "connectId": "78"}
    found = await look(first, second)
    adapter = DocuSign()
    put = Expected(method="PUT", path="/connect")
    refused = Rejected(code="permission", provider_code="USER_LACKS_PERMISSIONS", detail="no", status=403)
    script = ScriptedExchange(
        adapter,
        [(LIST, json_answer({"configurations": [first, second]})), (put, refused), (put, json_answer({}))],
    )
    assert [one.ref for one in await adapter.repair_webhooks(script, connection(), found)] == ["78"]


async def test_account_that_lets_us_not_look_ends_the_operation() -> None:
    adapter = DocuSign()
    refused = json_answer({"errorCode": "USER_LACKS_PERMISSIONS", "message": "no"}, 400)
    script = ScriptedExchange(adapter, [(LIST, refused)])
    outcome = await finish_operation(adapter.check_webhooks(script, connection(), ()))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "permission"
    with pytest.raises(Interruption):
        await adapter.check_webhooks(ScriptedExchange(adapter, [(LIST, refused)]), connection(), ())
