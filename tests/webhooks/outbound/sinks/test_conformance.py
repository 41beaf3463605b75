"""What every sink does alike, each against a real server: deliver exactly, fail in words, never hang, come back."""

import asyncio
from uuid import uuid4

import pytest

from tests.webhooks.outbound.sinks.gate import Mood
from tests.webhooks.outbound.sinks.stands import BODY, HEADERS, Stand, make_message
from webhooks.outbound.sinks.senders import close_sinks


async def test_a_message_is_delivered_with_its_exact_bytes_and_headers(stand: Stand):
    answer = await stand.send()
    assert (answer.status // 100, answer.error) == (2, "")
    [taken] = await stand.taken()
    assert taken.body == BODY
    assert HEADERS.items() <= dict(taken.headers).items()


async def test_many_messages_at_once_are_all_delivered_once(stand: Stand):
    answers = await asyncio.gather(*(stand.send(number) for number in range(40)))
    assert {answer.status // 100 for answer in answers} == {2}
    ids = [taken.headers["webhook-id"] for taken in await stand.taken()]
    assert sorted(ids) == sorted(f"evt_{number}" for number in range(40))


async def test_a_connection_is_used_again(stand: Stand):
    for number in range(5):
        assert (await stand.send(number)).status
    assert stand.gate.connections == 1


async def test_a_receiver_that_is_away_is_a_failure_and_is_found_again(stand: Stand):
    await stand.gate.shut()
    answer = await stand.send()
    assert (answer.status, answer.slow) == (None, True)
    assert answer.error.startswith("no connection")
    await stand.gate.open()
    assert (await stand.send(2)).status
    assert [taken.headers["webhook-id"] for taken in await stand.taken()] == ["evt_2"]


async def test_a_connection_that_was_cut_between_is_replaced(stand: Stand):
    assert (await stand.send()).status
    await stand.gate.cut()
    await asyncio.sleep(0)  # the end of the connection reaches our side
    answers = [await stand.send(number) for number in (2, 3)]
    assert answers[-1].status
    assert stand.gate.connections >= 2


async def test_a_receiver_that_never_greets_is_given_up_after_the_whole_time(stand: Stand):
    stand.gate.mood = Mood.SILENT
    answer = await stand.send(timeout_s=0.3)
    assert (answer.status, answer.slow) == (None, True)
    assert answer.error == "no answer within 0.3 s"


async def test_a_receiver_that_falls_silent_is_given_up_and_its_connection_ended(stand: Stand):
    assert (await stand.send()).status
    stand.gate.mood = Mood.SILENT
    answer = await stand.send(2, timeout_s=0.3)
    assert (answer.status, answer.error) == (None, "no answer within 0.3 s")
    stand.gate.mood = Mood.OPEN
    assert (await stand.send(3)).status
    assert stand.gate.connections == 2


async def test_a_place_that_is_not_there_is_a_failure_in_words(stand: Stand):
    answer = await stand.send(**stand.wrong)
    assert answer.status not in range(200, 300)
    assert answer.error
    assert not answer.slow
    assert (await stand.send(2)).status


async def test_refused_credentials_are_a_failure_in_words_that_show_no_secret(stand: Stand):
    message = make_message(headers={**HEADERS, "X-Stranger": "yes"})
    answer = await stand.send(message=message, revision=2, **stand.stranger)
    assert answer.status in {None, 401}
    assert "401" in answer.error or "refused the credentials" in answer.error
    assert "a-wrong-password" not in answer.error
    assert (await stand.send(2, revision=3)).status


async def test_a_cancelled_message_leaves_nothing_that_breaks_the_next(stand: Stand):
    assert (await stand.send()).status
    stand.gate.mood = Mood.SILENT
    sending = asyncio.create_task(stand.send(2))
    await asyncio.sleep(0.05)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    stand.gate.mood = Mood.OPEN
    assert (await stand.send(3)).status


async def test_connections_of_a_former_revision_are_not_used_again(broker: Stand):
    assert (await broker.send()).status
    assert (await broker.send(2, revision=2)).status
    assert broker.gate.connections == 2
    await settled(lambda: broker.gate.open_connections == 1)


async def test_connections_of_one_endpoint_are_not_anothers(broker: Stand):
    assert (await broker.send()).status
    assert (await broker.send(2, endpoint_id=uuid4())).status
    assert broker.gate.connections == 2


async def test_an_idle_connection_ends_by_itself(broker: Stand):
    broker.sinks[broker.kind]._stock._idle_s = 0.05
    assert (await broker.send()).status
    await settled(lambda: broker.gate.open_connections == 0)
    assert (await broker.send(2)).status


async def test_nothing_is_sent_while_a_transaction_is_open(stand: Stand, store):
    async with store.hub.transaction():
        with pytest.raises(RuntimeError, match="transaction open"):
            await stand.send()
    assert await stand.taken() == []


async def test_closing_the_sinks_ends_every_connection(broker: Stand):
    assert (await broker.send()).status
    await close_sinks(broker.sinks)
    await settled(lambda: broker.gate.open_connections == 0)


async def settled(holds) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in other objects
            await asyncio.sleep(0.01)
