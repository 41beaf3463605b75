"""How a provider's webhook configuration is looked at and mended, where its API lets us."""

from typing import Any

import msgspec

from adapters.kit.port import WebhookAdministration, WebhookFinding
from config.secret import Secret
from tests.conformance.envelopes import contract, person
from tests.conformance.stage import Stage

ANN = "ann@people.example"


def administered(stage: Stage) -> Stage:
    """The connection has a key, as every one that is to receive signed messages."""
    assert isinstance(stage.adapter, WebhookAdministration)
    stage.connection = msgspec.structs.replace(stage.connection, webhook_keys=(Secret("a-key-of-the-tests"),))
    return stage


async def look(stage: Stage, *refs: str) -> tuple[WebhookFinding, ...]:
    found: tuple[WebhookFinding, ...] = await stage.done("check_webhooks", refs)
    return found


async def mend(stage: Stage, findings: Any) -> tuple[WebhookFinding, ...]:
    mended: tuple[WebhookFinding, ...] = await stage.done("repair_webhooks", findings)
    return mended


async def test_webhooks_of_a_fresh_envelope_are_found_well(stage: Stage) -> None:
    administered(stage)
    ref = await stage.sent(contract(stage.blobs))
    assert await look(stage, ref) == ()


async def test_webhook_that_is_switched_off_is_found_and_mended_and_brings_messages_again(
    stage: Stage,
) -> None:
    administered(stage)
    ref = await stage.sent(contract(stage.blobs, person("ann")))
    await stage.hand.break_webhooks(stage.connection.webhook_url, ref)
    (found,) = await look(stage, ref)
    assert (found.code, found.repairable, bool(found.ref)) == ("inactive", True, True)
    assert found.says.endswith(".")
    assert await mend(stage, (found,)) == (found,)
    assert await look(stage, ref) == ()
    before = len(stage.receiver.events_of(ref))
    await stage.hand.sign(ref, ANN)
    await stage.receiver.until(lambda: len(stage.receiver.events_of(ref)) > before)


async def test_repair_of_what_is_well_by_now_does_no_harm(stage: Stage) -> None:
    administered(stage)
    ref = await stage.sent(contract(stage.blobs))
    await stage.hand.break_webhooks(stage.connection.webhook_url, ref)
    found = await look(stage, ref)
    await mend(stage, found)
    assert await mend(stage, found) == found
    assert await look(stage, ref) == ()


async def test_look_at_webhooks_changes_nothing(stage: Stage) -> None:
    administered(stage)
    ref = await stage.sent(contract(stage.blobs))
    await stage.hand.break_webhooks(stage.connection.webhook_url, ref)
    assert await look(stage, ref) == await look(stage, ref) != ()


async def test_webhooks_that_lead_to_others_are_left_alone(stage: Stage) -> None:
    """Another system's registration at the same account, switched off: theirs."""
    administered(stage)
    ref = await stage.sent(contract(stage.blobs))
    await stage.hand.break_webhooks(stage.connection.webhook_url, ref)
    own = stage.connection
    stage.connection = msgspec.structs.replace(own, webhook_url=f"{own.webhook_url}/of-somebody-else")
    assert [one.code for one in await look(stage) if one.code == "inactive"] == []
