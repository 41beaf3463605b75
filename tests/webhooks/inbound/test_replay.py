"""Replay: what failed or waits is taken up again; what had its effect never has it twice."""

from datetime import timedelta

import pytest

from normalizer.errors import Conflict, NotFound
from normalizer.events import SYSTEM, Source, SourceKind
from tests.webhooks.inbound.house import House, connect_message
from tests.webhooks.inbound.keeping import keep
from webhooks.inbound.message import MessageState
from webhooks.inbound.replay import MessageReplay, ReplayFilter

SOURCE = Source(kind=SourceKind.CLI)


def desk(house: House, rung: list[int] | None = None) -> MessageReplay:
    services = house.services
    wake = (lambda: None) if rung is None else (lambda: rung.append(1))
    return MessageReplay(services.database, services.recorder, services.ids, services.clock, wake)


async def test_done_message_is_replayed_without_a_second_effect(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    await keep(house, placed, connect_message("envelope-reminder-sent", ref))
    await house.processor.process_due()
    rung: list[int] = []
    (message,) = await house.messages()
    await desk(house, rung).replay_message(placed.tenant_id, message["id"], SYSTEM, SOURCE)
    assert rung == [1]
    assert await house.processor.process_due() == 1
    assert (await house.messages())[0]["state"] == "done"
    assert await house.ledger_types(ref) == ["envelope_reminded"]
    assert await house.ledger_types() == ["inbound_received", "inbound_replayed"]


async def test_dead_and_parked_messages_are_replayed_by_filter(house: House) -> None:
    placed, other = await house.docusign(), await house.docusign()
    refs = [await house.envelope(placed) for _ in range(3)]
    for ref in refs:
        await keep(house, placed, connect_message("envelope-sent", ref))
    await keep(house, other, b"foreign")
    await house.services.hub.execute("UPDATE inbox_messages SET state = 'dead', next_at = NULL, failures = 4")
    replayed = await desk(house).replay_messages(placed.tenant_id, ReplayFilter(), SYSTEM, SOURCE)
    assert (len(replayed.messages), replayed.is_complete) == (3, True)
    await house.processor.process_due()
    assert sorted(await house.states()) == ["dead", "done", "done", "done"]
    assert [(await house.status(ref))[0] for ref in refs] == ["sent"] * 3


@pytest.mark.parametrize(
    "wanted",
    [
        ReplayFilter(states=(MessageState.PARKED,)),
        ReplayFilter(states=(MessageState.RECEIVED, MessageState.PROCESSING)),
    ],
)
async def test_filter_that_matches_nothing_replays_nothing(house: House, wanted: ReplayFilter) -> None:
    placed = await house.docusign()
    await keep(house, placed, b"{}")
    replayed = await desk(house).replay_messages(placed.tenant_id, wanted, SYSTEM, SOURCE)
    assert replayed.messages == ()


async def test_filter_by_time_takes_what_came_then(house: House) -> None:
    placed = await house.docusign()
    await keep(house, placed, b"not json")
    await house.processor.process_due()
    now = house.services.clock.now()
    late = ReplayFilter(since=now + timedelta(hours=1))
    early = ReplayFilter(since=now - timedelta(hours=1), until=now + timedelta(hours=1))
    assert (await desk(house).replay_messages(placed.tenant_id, late, SYSTEM, SOURCE)).messages == ()
    assert len((await desk(house).replay_messages(placed.tenant_id, early, SYSTEM, SOURCE)).messages) == 1


async def test_waiting_and_foreign_messages_cannot_be_replayed(house: House) -> None:
    placed, other = await house.docusign(), await house.docusign()
    (kept,) = await keep(house, placed, b"{}")
    with pytest.raises(Conflict):
        await desk(house).replay_message(placed.tenant_id, kept.id, SYSTEM, SOURCE)
    await house.processor.process_due()
    with pytest.raises(NotFound):
        await desk(house).replay_message(other.tenant_id, kept.id, SYSTEM, SOURCE)


async def test_message_that_was_not_understood_has_its_effect_after_an_update(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    await keep(house, placed, connect_message("envelope-sent", ref))
    old = house.processor

    class OlderAdapter:
        def parse(self, _: bytes) -> tuple[()]:
            return ()

    old._adapters = {"docusign": OlderAdapter()}
    await old.process_due()
    assert (await house.status(ref))[0] == "processing"
    (message,) = await house.messages()
    await desk(house).replay_message(placed.tenant_id, message["id"], SYSTEM, SOURCE)
    await house.processor.process_due()
    assert (await house.status(ref))[0] == "sent"
