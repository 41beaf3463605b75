"""A person decides about what contradicts: released, the provider's own answer has the effect; dropped, nothing has."""

import json

import pytest

from normalizer.errors import Conflict, NotFound
from normalizer.events import SYSTEM, Source, SourceKind
from normalizer.status import EnvelopeStatus
from tests.webhooks.inbound.house import House, Placed, connect_message
from tests.webhooks.inbound.keeping import keep
from webhooks.inbound.quarantine import QuarantineDesk
from webhooks.inbound.read import explain, read_message
from webhooks.inbound.replay import MessageReplay, ReplayFilter

SOURCE = Source(kind=SourceKind.CLI)
ODD = {"envelopeDocuments": [{"documentId": "1", "name": "Another.pdf", "type": "content"}]}


def desk(house: House) -> QuarantineDesk:
    services = house.services
    return QuarantineDesk(services.database, services.recorder, services.ids, services.clock, lambda: None)


def replays(house: House) -> MessageReplay:
    services = house.services
    return MessageReplay(services.database, services.recorder, services.ids, services.clock, lambda: None)


async def quarantined(house: House, event: str = "envelope-completed") -> tuple[Placed, str]:
    placed = await house.docusign()
    ref = await house.envelope(placed, "docusign", None, "Contract.pdf")
    await keep(house, placed, connect_message(event, ref, summary=ODD))
    await house.processor.process_due()
    assert await house.states() == ["quarantined"]
    return placed, ref


@pytest.mark.parametrize("says", [EnvelopeStatus.COMPLETED, EnvelopeStatus.SENT, EnvelopeStatus.DECLINED])
async def test_released_message_has_the_effect_of_the_providers_answer_only(
    house: House, says: EnvelopeStatus
) -> None:
    placed, ref = await quarantined(house)
    house.connect.says = says
    (message,) = await house.messages()
    await desk(house).release(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="looked at it")
    await house.processor.process_due()
    assert (await house.states(), house.connect.asked) == (["done"], 1)
    assert (await house.status(ref))[0] == str(says)
    assert await house.ledger_types() == ["inbound_received", "inbound_quarantined", "inbound_released"]
    (entry,) = await house.bodies("inbound_released")
    assert (entry["data"]["reason"], entry["data"]["accepted"]) == ("looked at it", [])


async def test_released_message_waits_while_the_provider_is_away(house: House) -> None:
    placed, ref = await quarantined(house)
    house.connect.says = None
    (message,) = await house.messages()
    await desk(house).release(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="looked at it")
    await house.processor.process_due()
    assert (await house.states(), await house.status(ref)) == (["received"], ("processing", "pending"))


async def test_released_message_of_which_the_provider_knows_nothing_is_held_back_again(house: House) -> None:
    placed, ref = await quarantined(house)
    house.connect.is_unknown = True
    (message,) = await house.messages()
    await desk(house).release(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="looked at it")
    await house.processor.process_due()
    assert (await house.states(), await house.status(ref)) == (["quarantined"], ("processing", "pending"))
    await desk(house).drop(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="of no use")
    assert await house.states() == ["dropped"]


async def test_accepted_difference_holds_back_no_further_message_and_another_one_does(house: House) -> None:
    placed, ref = await quarantined(house, "envelope-sent")
    house.connect.says = EnvelopeStatus.SENT
    (message,) = await house.messages()
    await desk(house).release(
        placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="renamed there", accepting=("document_name",)
    )
    await keep(house, placed, connect_message("envelope-completed", ref, summary=ODD))
    await house.processor.process_due()
    assert await house.states() == ["done", "done"]
    assert (await house.status(ref))[0] == "completed"
    two = {"envelopeDocuments": [*ODD["envelopeDocuments"], *ODD["envelopeDocuments"]]}
    await keep(house, placed, connect_message("envelope-purge", ref, summary=two))
    await house.processor.process_due()
    assert (await house.states())[-1] == "quarantined"


async def test_difference_of_one_envelope_is_not_accepted_for_another(house: House) -> None:
    placed, _ = await quarantined(house, "envelope-sent")
    (message,) = await house.messages()
    await desk(house).release(
        placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="renamed", accepting=("document_name",)
    )
    other = await house.envelope(placed, "docusign", None, "Contract.pdf")
    await keep(house, placed, connect_message("envelope-sent", other, summary=ODD))
    await house.processor.process_due()
    assert (await house.states())[-1] == "quarantined"


async def test_dropped_message_is_kept_and_never_has_an_effect(house: House) -> None:
    placed, ref = await quarantined(house)
    (message,) = await house.messages()
    await desk(house).drop(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="forged")
    await house.due_now()
    assert await house.processor.process_due() == 0
    kept = await read_message(house.services.database, placed.tenant_id, message["id"])
    assert "An administrator gave it up." in explain(kept)
    assert (await house.status(ref))[0] == "processing"
    (entry,) = await house.bodies("inbound_dropped")
    assert (entry["data"]["previous_state"], entry["data"]["reason"]) == ("quarantined", "forged")


async def test_bytes_that_come_again_leave_quarantined_and_dropped_messages_where_they_are(
    house: House,
) -> None:
    placed, ref = await quarantined(house)
    body = connect_message("envelope-completed", ref, summary=ODD)
    await keep(house, placed, body)
    assert await house.processor.process_due() == 0
    (message,) = await house.messages()
    assert (message["state"], message["duplicates"]) == ("quarantined", 1)
    await desk(house).drop(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="forged")
    await keep(house, placed, body)
    assert await house.processor.process_due() == 0
    assert (await house.messages())[0]["state"] == "dropped"


async def test_quarantined_message_is_not_replayed_past_the_decision(house: House) -> None:
    placed, _ = await quarantined(house)
    (message,) = await house.messages()
    with pytest.raises(Conflict, match="quarantined"):
        await replays(house).replay_message(placed.tenant_id, message["id"], SYSTEM, SOURCE)
    everything = ReplayFilter(states=("quarantined", "parked"))  # type: ignore[arg-type]  # as a caller might
    replayed = await replays(house).replay_messages(placed.tenant_id, everything, SYSTEM, SOURCE)
    assert replayed.messages == ()


async def test_dropped_message_that_is_replayed_is_compared_again(house: House) -> None:
    placed, _ = await quarantined(house)
    (message,) = await house.messages()
    await desk(house).drop(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="by mistake")
    await replays(house).replay_message(placed.tenant_id, message["id"], SYSTEM, SOURCE)
    await house.processor.process_due()
    assert await house.states() == ["quarantined"]


async def test_message_of_another_account_is_released_to_the_providers_answer(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    await keep(house, placed, connect_message("envelope-completed", ref, account="another"))
    await house.processor.process_due()
    (message,) = await house.messages()
    assert (message["state"], json.loads(message["findings"])[0]["code"]) == ("quarantined", "account")
    house.connect.says = EnvelopeStatus.DELIVERED
    await desk(house).release(placed.tenant_id, message["id"], SYSTEM, SOURCE, reason="moved accounts")
    await house.processor.process_due()
    assert (await house.status(ref))[0] == "delivered"


async def test_only_quarantined_messages_are_released_and_only_ones_own(house: House) -> None:
    placed, ref = await quarantined(house)
    stranger = await house.tenant()
    await keep(house, placed, connect_message("envelope-sent", ref))
    await house.processor.process_due()
    odd, done = await house.messages()
    for decide in (desk(house).release, desk(house).drop):
        with pytest.raises(Conflict, match="done"):
            await decide(placed.tenant_id, done["id"], SYSTEM, SOURCE, reason="x")
        with pytest.raises(NotFound):
            await decide(stranger, odd["id"], SYSTEM, SOURCE, reason="x")
    assert await house.states() == ["quarantined", "done"]
