"""Kept messages take effect once, whatever order, number or trouble they come in."""

import asyncio
from collections import Counter
from uuid import UUID

import pytest

from adapters.kit.outcome import NotSent, Throttled, Unknown
from config.errors import StoreUnavailable
from config.settings import Settings
from config.settings_inbox import InboxSettings
from gateway.jobs.inbox import make_processor
from normalizer.status import EnvelopeStatus
from tests.webhooks.inbound.house import DAY, House, LaterClock, connect_message, notification, open_house
from tests.webhooks.inbound.keeping import keep
from webhooks.inbound.ports import Effect, Happened
from webhooks.inbound.read import MessageFilter, MessageState, list_messages, read_message
from webhooks.inbound.settle import settle_tried
from webhooks.inbound.store import claim_messages, finish_messages, wake_parked
from webhooks.record import Recorder

NESTED = b'{"event":"envelope-sent","data":{"envelopeId":"e","odd":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"


async def test_signed_post_moves_the_envelope_and_is_recorded_with_its_digest(gateway: House) -> None:
    placed = await gateway.docusign()
    ref = await gateway.envelope(placed)
    await gateway.deliver(placed, connect_message("envelope-sent", ref))
    assert await gateway.processor.process_due() == 1
    assert await gateway.status(ref) == ("sent", "pending")
    (message,) = await gateway.messages()
    assert (message["state"], message["events"], message["effects"]) == ("done", 1, 1)
    assert await gateway.ledger_types(ref) == ["envelope_sent"]
    body = await gateway.services.hub.fetchval(
        "SELECT body FROM ledger_entries WHERE event_type = 'envelope_sent'"
    )
    assert message["body_sha256"].hex() in bytes(body).decode("latin-1")


async def test_redelivery_with_another_retry_count_has_its_effect_once(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    for retry in range(4):
        await keep(house, placed, connect_message("envelope-reminder-sent", ref, retry=retry))
        await house.processor.process_due()
    assert await house.states() == ["done"] * 4
    assert [message["effects"] for message in await house.messages()] == [1, 1, 1, 1]
    assert await house.ledger_types(ref) == ["envelope_reminded"]


async def test_two_happenings_of_a_kind_are_two_facts(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    for second in ("01", "02"):
        await keep(
            house,
            placed,
            connect_message("envelope-reminder-sent", ref, at=f"{DAY}T10:20:{second}.0000000Z"),
        )
    await house.processor.process_due()
    assert await house.ledger_types(ref) == ["envelope_reminded"] * 2


async def test_redeliveries_processed_at_once_by_several_workers_have_one_effect(house: House) -> None:
    placed = await house.docusign()
    ref = await house.envelope(placed)
    for retry in range(12):
        await keep(house, placed, connect_message("envelope-reminder-sent", ref, retry=retry))
    processors = [make_processor(house.services) for _ in range(4)]
    for processor in processors:
        processor._settings = InboxSettings(batch_size=3)
    await asyncio.gather(*(processor.process_due() for processor in processors))
    assert await house.states() == ["done"] * 12
    assert await house.ledger_types(ref) == ["envelope_reminded"]


async def test_message_of_an_unknown_envelope_is_parked_and_matched_when_it_is_known(house: House) -> None:
    placed = await house.docusign()
    ref = str(UUID(int=77))
    await keep(house, placed, connect_message("envelope-sent", ref))
    await house.processor.process_due()
    (parked,) = await list_messages(house.services.database, placed.tenant_id, MessageFilter())
    assert (parked.state, parked.provider_ref, parked.waits) == (MessageState.PARKED, ref, 1)
    assert "No envelope of this connection is known" in parked.explanation
    assert await wake_parked(house.services.hub) == 0
    await house.envelope(placed, ref=ref)
    assert await wake_parked(house.services.hub) == 1
    await house.processor.process_due()
    assert await house.status(ref) == ("sent", "pending")
    assert (await house.messages())[0]["state"] == "done"


async def test_parked_message_is_looked_for_by_the_schedule_and_then_kept(house: House) -> None:
    placed = await house.docusign()
    ref = str(UUID(int=78))
    await keep(house, placed, connect_message("envelope-sent", ref))
    for _ in range(6):
        await house.due_now()
        assert await house.processor.process_due() == 1
    await house.due_now()
    assert await house.processor.process_due() == 0
    (parked,) = await list_messages(house.services.database, placed.tenant_id, MessageFilter())
    assert (parked.state, parked.next_at) == (MessageState.PARKED, None)
    assert "kept until the envelope is known" in parked.explanation
    await house.envelope(placed, ref=ref)
    assert await wake_parked(house.services.hub) == 1


async def test_envelope_on_another_tenants_connection_is_not_touched(house: House) -> None:
    ours, theirs = await house.docusign(), await house.docusign()
    ref = await house.envelope(ours)
    await keep(house, theirs, connect_message("envelope-completed", ref))
    await house.processor.process_due()
    assert (await house.messages())[0]["state"] == "parked"
    assert await house.status(ref) == ("processing", "pending")


async def test_unprocessable_message_is_acknowledged_kept_and_recorded(gateway: House) -> None:
    placed = await gateway.docusign()
    bodies = (
        b"not json",
        b"<xml/>",
        b'{"event": 7}',
        b'{"event":"envelope-sent"}',
        b"\xff\xfe",
        b"[" * 5000,
        NESTED,
    )
    for body in bodies:
        assert await gateway.deliver(placed, body) == 200
    await gateway.processor.process_due()
    assert await gateway.states() == ["unprocessable"] * len(bodies)
    assert await gateway.ledger_types() == ["inbound_received", "inbound_unprocessable"] * len(bodies)
    kept = await list_messages(gateway.services.database, placed.tenant_id, MessageFilter())
    assert all("cannot be understood" in message.explanation for message in kept)


async def test_message_of_an_unknown_kind_is_done_without_an_effect(house: House) -> None:
    placed = await house.docusign()
    await keep(house, placed, b'{"event":"click-agreed","data":{}}')
    await house.processor.process_due()
    (message,) = await list_messages(house.services.database, placed.tenant_id, MessageFilter())
    assert (message.state, message.explanation) == (
        MessageState.DONE,
        "The message is of a kind that changes nothing here.",
    )


async def test_adobe_end_is_believed_only_after_the_provider_confirms_it(settings: Settings) -> None:
    clock = LaterClock()
    async with open_house(settings, clock=clock) as house:
        placed = await house.adobe_sign()
        ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
        house.adobe.says = EnvelopeStatus.SENT
        await keep(house, placed, notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED"))
        await house.processor.process_due()
        assert (await house.status(ref))[0] == "sent"
        house.adobe.says = EnvelopeStatus.COMPLETED
        again = notification("AGREEMENT_WORKFLOW_COMPLETED", ref, number=2, status="SIGNED")
        await keep(house, placed, again)
        await house.processor.process_due()
        # The provider tolerates one question about one agreement in ten minutes.
        assert ((await house.status(ref))[0], house.adobe.asked) == ("sent", 1)
        clock.shift = 601.0
        await house.polls_run_out()
        await house.due_now()
        await house.processor.process_due()
        assert ((await house.status(ref))[0], house.adobe.asked) == ("completed", 2)
        # Another message of the end that was confirmed: nothing is asked, and nothing waits for the next question.
        await keep(
            house, placed, notification("AGREEMENT_WORKFLOW_COMPLETED", ref, number=3, status="SIGNED")
        )
        await house.processor.process_due()
        assert {row["state"] for row in await house.messages()} == {"done"}
        assert house.adobe.asked == 2


async def test_question_without_an_answer_is_asked_again_at_once(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
    house.adobe.failures = [NotSent("the circuit is open"), Throttled(1.0), Unknown("no answer")]
    await keep(house, placed, notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED"))
    for tries in range(1, 5):
        assert (await house.status(ref))[0] == "processing"
        await house.due_now()
        await house.processor.process_due()
        assert house.adobe.asked == tries
    assert (await house.status(ref))[0] == "completed"


async def test_plan_of_the_account_says_how_soon_an_agreement_may_be_asked_about_again(
    settings: Settings,
) -> None:
    clock = LaterClock()
    async with open_house(settings, clock=clock) as house:
        placed = await house.adobe_sign()
        await house.change(placed, poll_interval_s=20)
        ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
        house.adobe.says = EnvelopeStatus.SENT
        for number in range(1, 3):
            await keep(
                house,
                placed,
                notification("AGREEMENT_WORKFLOW_COMPLETED", ref, number=number, status="SIGNED"),
            )
            await house.processor.process_due()
        assert house.adobe.asked == 1
        marks = await house.services.redis.keys("countersign:polled:*")
        assert 0 < await house.services.redis.pttl(marks[0]) <= 20_000
        clock.shift = 21.0
        await house.polls_run_out()
        await house.due_now()
        await house.processor.process_due()
        assert house.adobe.asked == 2


async def test_answer_that_was_lost_with_the_store_is_asked_for_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
    await keep(house, placed, notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED"))

    async def crash(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record", crash)
        with pytest.raises(StoreUnavailable):
            await house.processor.process_batch()
    assert ((await house.status(ref))[0], house.adobe.asked) == ("processing", 1)
    await house.due_now()
    await house.processor.process_due()
    assert ((await house.status(ref))[0], house.adobe.asked) == ("completed", 2)


async def test_end_that_cannot_be_confirmed_waits_and_is_never_given_up(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
    await keep(house, placed, notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED"))

    async def unconfirmed(*_: object) -> Happened:
        return Happened(Effect.UNCONFIRMED)

    away = house.processor
    away._apply = unconfirmed
    for _ in range(8):
        await house.due_now()
        assert await away.process_due() == 1
    message = await read_message(house.services.database, placed.tenant_id, (await house.messages())[0]["id"])
    assert (message.state, message.waits) == (MessageState.RECEIVED, 8)
    assert message.next_at is not None
    assert "asked 8 times" in message.explanation
    await house.due_now()
    await house.processor.process_due()
    assert (await house.status(ref))[0] == "completed"


async def test_redelivered_end_is_not_confirmed_again(house: House) -> None:
    placed = await house.adobe_sign()
    ref = await house.envelope(placed, "adobe_sign", "CBJ-1")
    for spaces in range(3):
        body = notification("AGREEMENT_WORKFLOW_COMPLETED", ref, status="SIGNED") + b" " * spaces
        await keep(house, placed, body)
        await house.processor.process_due()
    assert house.adobe.asked == 1
    assert await house.states() == ["done"] * 3


async def test_failing_message_is_tried_four_times_then_kept_as_dead_and_others_go_on(house: House) -> None:
    placed = await house.docusign()
    ref, good = await house.envelope(placed), await house.envelope(placed)
    await keep(house, placed, connect_message("envelope-sent", ref))
    processor = house.processor
    apply = processor._apply

    async def failing(tenant, connection, event, *rest):
        if event.provider_ref == ref:
            raise ValueError("ada@example.com is in the text")
        return await apply(tenant, connection, event, *rest)

    processor._apply = failing
    await keep(house, placed, connect_message("envelope-sent", good))
    seen = []
    for _ in range(4):
        await house.due_now()
        await processor.process_due()
        seen.append((await house.messages())[0]["state"])
    assert seen == ["received", "received", "received", "dead"]
    dead, other = await house.messages()
    assert (dead["next_at"], dead["failures"], other["state"]) == (None, 4, "done")
    assert dead["error"] == "Processing failed 4 times; the last time with ValueError."


async def test_providers_retry_takes_a_dead_message_up_again(gateway: House) -> None:
    placed = await gateway.docusign()
    ref = await gateway.envelope(placed)
    body = connect_message("envelope-sent", ref)
    await gateway.deliver(placed, body)
    await gateway.services.hub.execute(
        "UPDATE inbox_messages SET state = 'dead', failures = 4, next_at = NULL"
    )
    assert await gateway.deliver(placed, body) == 200
    await gateway.processor.process_due()
    assert (await gateway.messages())[0]["state"] == "done"
    assert (await gateway.status(ref))[0] == "sent"


async def test_lost_worker_loses_nothing_and_its_late_finish_changes_nothing(house: House) -> None:
    placed = await house.docusign()
    refs = [await house.envelope(placed) for _ in range(3)]
    for ref in refs:
        await keep(house, placed, connect_message("envelope-sent", ref))
    hub, claim = house.services.hub, house.services.ids.new()
    held = await claim_messages(hub, claim, most=50, most_bytes=1 << 20, lease_s=60, batches=5)
    assert len(held) == 3
    assert await house.processor.process_due() == 0
    await hub.execute("UPDATE inbox_messages SET next_at = now() - interval '1 second'")
    assert await house.processor.process_batch() == 1  # alone, in case it was what killed the worker
    await house.processor.process_due()
    assert await house.states() == ["done"] * 3
    late = [settle_tried(message, (), (), ()) for message in held]
    assert await finish_messages(hub, claim, late) == 0


async def test_message_that_kills_its_workers_is_dead_after_its_tries(house: House) -> None:
    placed = await house.docusign()
    await keep(house, placed, connect_message("envelope-sent", await house.envelope(placed)))
    hub = house.services.hub
    for _ in range(4):
        assert await claim_messages(
            hub, house.services.ids.new(), most=5, most_bytes=1 << 20, lease_s=60, batches=5
        )
        await hub.execute("UPDATE inbox_messages SET next_at = now() - interval '1 second'")
    await house.processor.process_due()
    (message,) = await house.messages()
    assert message["state"] == "dead"
    assert message["error"].startswith("The worker was lost while it processed the message.")


async def test_claims_stop_at_the_batches_in_flight_and_at_the_bytes(house: House) -> None:
    placed = await house.docusign()
    for number in range(6):
        await keep(house, placed, b" " * (1000 + number))
    hub, ids = house.services.hub, house.services.ids

    async def claim(batches: int) -> int:
        return len(
            await claim_messages(hub, ids.new(), most=50, most_bytes=2100, lease_s=60, batches=batches)
        )

    assert await claim(1) == 2
    assert await claim(1) == 0
    assert await claim(2) == 2


async def test_lost_store_counts_against_no_message(house: House) -> None:
    placed = await house.docusign()
    await keep(house, placed, connect_message("envelope-sent", await house.envelope(placed)))

    async def away(*_: object) -> Happened:
        raise StoreUnavailable("away")

    processor = house.processor
    apply, processor._apply = processor._apply, away
    with pytest.raises(StoreUnavailable):
        await processor.process_batch()
    (message,) = await house.messages()
    assert (message["state"], message["failures"]) == ("received", 0)
    processor._apply = apply
    assert await processor.process_batch() == 1


async def test_posts_that_race_with_the_processing_are_all_applied_once(gateway: House) -> None:
    placed = await gateway.docusign()
    refs = [await gateway.envelope(placed) for _ in range(8)]
    bodies = [
        connect_message(event, ref, retry=retry)
        for ref in refs
        for event in ("envelope-sent", "envelope-delivered", "envelope-completed")
        for retry in range(2)
    ]
    stop = asyncio.Event()

    async def work() -> None:
        while not stop.is_set():
            await gateway.processor.process_due()
            await asyncio.sleep(0.01)

    working = [asyncio.create_task(work()) for _ in range(2)]
    assert set(await asyncio.gather(*(gateway.deliver(placed, body) for body in bodies))) == {200}
    stop.set()
    await asyncio.gather(*working)
    await gateway.processor.process_due()
    assert Counter(await gateway.states()) == {"done": len(bodies)}
    for ref in refs:
        assert (await gateway.status(ref))[0] == "completed"
        types = await gateway.ledger_types(ref)
        assert len(types) == len(set(types))
