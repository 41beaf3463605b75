"""Unknown outcomes: whatever got lost on the way, one envelope of ours is sent once at the provider."""

import asyncio
from typing import Any

import pytest

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import Interruption, NotSent, Rejected, Unknown
from adapters.kit.port import Created
from gateway.envelopes.catch_up import catch_up_due
from gateway.envelopes.reconcile import MAX_ATTEMPTS, reconcile_due, reconcile_envelope
from gateway.envelopes.store import load_envelope
from normalizer.envelope import Envelope
from normalizer.ids import Kind, read_id
from normalizer.status import EnvelopeStatus
from tests.gateway.bodies import envelope
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.test_dispatch import deliver
from tests.gateway.world import Tenant, World

LOST = Unknown("the answer was lost")
INCOMPLETE = Rejected(code="draft_incomplete", provider_code="", detail="no fields", status=0)


async def made_and_lost(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
    """The provider did it; the answer never came, and neither did the id."""
    provider.hold(sent.reference, EnvelopeStatus.SENT)
    raise Interruption(LOST)


async def draft_and_lost(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
    """Stopped between the steps: a draft whose id we know."""
    await exchange.learned(provider.hold(sent.reference, EnvelopeStatus.DRAFT))
    raise Interruption(LOST)


async def start(acme: Tenant) -> dict[str, Any]:
    answer = await acme.post("/envelopes", envelope(send=True))
    assert answer.status_code == 202, answer.text
    return answer.json()


async def look(world: World, acme: Tenant, made: dict[str, Any], times: int = 1) -> dict[str, Any]:
    for _ in range(times):
        await reconcile_envelope(world.services, acme.id, read_id(Kind.ENVELOPE, made["id"]))
    return (await acme.get(f"/envelopes/{made['id']}")).json()


async def test_what_is_found_is_adopted_and_never_sent_again(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [made_and_lost]
    after = await look(world, acme, await start(acme))
    assert (after["status"], after["provider_ref"], after["last_error"]) == ("sent", "alpha-1", None)
    assert fake.calls == ["create send", "find"]
    types = await world.ledger_types(acme, after["id"])
    assert types[-3:] == ["dispatch_unknown", "dispatch_reconciled", "envelope_sent"]


async def test_a_retry_makes_a_draft_looks_up_and_then_sends(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [LOST]
    made = await start(acme)
    before = await look(world, acme, made, times=3)
    assert (before["status"], fake.calls.count("create draft")) == ("processing", 0)
    after = await look(world, acme, made)
    assert (after["status"], after["provider_ref"]) == ("sent", "alpha-1")
    # The last empty look-up, the draft, another look-up by both references, and only then the sending.
    assert fake.calls[-5:] == ["find", "create draft", "find", "find", "send_draft alpha-1"]
    assert fake.outgoing[-1].reference == f"{made['id']}_2"


async def test_a_late_twin_is_adopted_and_the_retrys_draft_cleared_away(world: World, acme: Tenant) -> None:
    """The search lagged for the whole quiet period; the look-up before sending sees the first try."""
    fake = world.fake("alpha")
    fake.answers = [made_and_lost]
    fake.hidden = {"alpha-1"}
    made = await start(acme)
    await look(world, acme, made, times=3)

    async def surfaces(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        provider.hidden = set()
        ref = provider.hold(sent.reference, EnvelopeStatus.DRAFT)
        await exchange.learned(ref)
        return Created(ref, provider.held[ref])

    fake.answers = [surfaces]
    after = await look(world, acme, made)
    assert (after["status"], after["provider_ref"]) == ("sent", "alpha-1")
    assert [one.provider_ref for one in fake.sent()] == ["alpha-1"]
    assert fake.held["alpha-2"].status is EnvelopeStatus.VOIDED


async def test_a_webhook_of_the_first_try_settles_while_a_retrys_draft_waits(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")

    async def draft_then_away(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        provider.find_failures = [NotSent("away")]
        return await draft_and_lost(provider, exchange, sent)

    fake.answers = [made_and_lost, draft_then_away]
    fake.hidden = {"alpha-1"}
    made = await start(acme)
    assert (await look(world, acme, made, times=4))["status"] == "processing"
    await deliver(world, acme, made, "alpha-1", reference=f"{made['id']}_1")
    after = (await acme.get(f"/envelopes/{made['id']}")).json()
    assert (after["status"], after["provider_ref"]) == ("sent", "alpha-1")
    await reconcile_due(world.services)
    assert [one.provider_ref for one in fake.sent()] == ["alpha-1"]
    assert fake.held["alpha-2"].status is EnvelopeStatus.VOIDED


async def test_a_twin_that_only_a_late_webhook_tells_of_is_voided(world: World, acme: Tenant) -> None:
    """The provider hid the first try for longer than the whole quiet period."""
    fake = world.fake("alpha")
    fake.answers = [made_and_lost]
    fake.hidden = {"alpha-1"}
    made = await start(acme)
    assert (await look(world, acme, made, times=4))["provider_ref"] == "alpha-2"
    await deliver(world, acme, made, "alpha-1", reference=f"{made['id']}_1")
    await reconcile_due(world.services)
    assert [one.provider_ref for one in fake.sent()] == ["alpha-2"]
    assert (await acme.get(f"/envelopes/{made['id']}")).json()["status"] == "sent"


async def test_an_id_that_was_learned_is_asked_for_although_the_search_lags(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    fake.answers = [draft_and_lost]
    fake.hidden = {"alpha-1"}
    after = await look(world, acme, await start(acme))
    assert (after["status"], after["provider_ref"]) == ("sent", "alpha-1")
    assert len(fake.held) == 1


async def test_a_provider_that_cannot_be_asked_ends_nothing_and_starts_nothing(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    fake.answers = [made_and_lost]
    made = await start(acme)
    fake.find_failures = [NotSent("away")] * 12
    after = await look(world, acme, made, times=12)
    assert (after["status"], fake.calls.count("create draft")) == ("processing", 0)
    assert (await look(world, acme, made))["status"] == "sent"


async def test_an_incomplete_draft_is_cleared_away_and_made_anew(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [draft_and_lost]
    fake.send_failures = [INCOMPLETE]
    made = await start(acme)
    await look(world, acme, made)
    assert fake.held["alpha-1"].status is EnvelopeStatus.VOIDED
    after = await look(world, acme, made, times=3)
    assert (after["status"], after["provider_ref"]) == ("sent", "alpha-2")


async def test_an_unanswered_sending_of_the_draft_is_looked_up_and_not_repeated(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    fake.answers = [draft_and_lost]
    original = fake.send_draft

    async def sent_and_lost(exchange: Any, connection: Any, ref: str) -> Any:
        await original(exchange, connection, ref)
        raise Interruption(LOST)

    fake.send_draft = sent_and_lost  # type: ignore[method-assign]
    made = await start(acme)
    assert (await look(world, acme, made))["status"] == "processing"
    assert (await look(world, acme, made))["status"] == "sent"
    assert sum(call.startswith("send_draft") for call in fake.calls) == 1


async def test_a_retry_that_cannot_be_sent_keeps_the_question_open(world: World, acme: Tenant) -> None:
    """The first try may still surface: the envelope must not become a draft that is sent directly."""
    fake = world.fake("alpha")
    fake.answers = [made_and_lost, NotSent("away")]
    fake.hidden = {"alpha-1"}
    made = await start(acme)
    assert (await look(world, acme, made, times=4))["status"] == "processing"
    fake.hidden = set()
    after = await look(world, acme, made)
    assert (after["status"], after["provider_ref"], len(fake.held)) == ("sent", "alpha-1", 1)


async def test_a_retry_that_is_refused_ends_the_envelope(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [LOST, Rejected(code="validation", provider_code="X", detail="no", status=400)]
    made = await start(acme)
    after = await look(world, acme, made, times=4)
    assert (after["status"], after["last_error"]["code"]) == ("failed", "provider_rejected")
    assert "envelope_failed" in await world.ledger_types(acme, made["id"])


async def test_after_the_last_try_without_an_answer_the_envelope_fails(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [LOST] * MAX_ATTEMPTS
    made = await start(acme)
    after = await look(world, acme, made, times=4 * MAX_ATTEMPTS)
    assert after["status"] == "failed"
    assert sum(call.startswith("create") for call in fake.calls) == MAX_ATTEMPTS
    assert fake.held == {}


async def test_drafts_of_an_earlier_refused_sending_are_never_sent(world: World, acme: Tenant) -> None:
    """The draft was edited since: what the provider still holds has the old contents."""
    fake = world.fake("alpha")

    async def refused_half_way(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        await exchange.learned(provider.hold(sent.reference, EnvelopeStatus.DRAFT))
        raise Interruption(Rejected(code="validation", provider_code="X", detail="no", status=400))

    fake.answers = [refused_half_way, LOST]

    async def cannot_now(*_: object) -> None:
        raise Interruption(NotSent("away"))

    fake.discard_draft = cannot_now  # type: ignore[assignment]
    refused = await acme.post("/envelopes", envelope(send=True))
    made = {"id": refused.json()["envelope_id"]}
    assert (await acme.post(f"/envelopes/{made['id']}/send")).status_code == 202
    await look(world, acme, made)
    assert not [call for call in fake.calls if call.startswith("send_draft")]


async def test_the_sweep_takes_up_what_a_dead_process_left_and_leaves_what_runs(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    hangs, ends = asyncio.Event(), asyncio.Event()

    async def hang(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        provider.hold(sent.reference, EnvelopeStatus.SENT)
        hangs.set()
        await ends.wait()
        raise Interruption(LOST)

    fake.answers = [hang]
    running = asyncio.create_task(acme.post("/envelopes?wait=0", envelope(send=True)))
    made = (await running).json()
    await hangs.wait()
    own = read_id(Kind.ENVELOPE, made["id"])
    await reconcile_envelope(world.services, acme.id, own)
    still = await load_envelope(world.services.database, acme.id, own)
    assert (still.dispatch_state, fake.calls) == ("creating", ["create send"])
    assert await reconcile_due(world.services) == 0
    await world.services.hub.execute("UPDATE envelopes SET dispatch_deadline = clock_timestamp()")
    assert await reconcile_due(world.services) == 1
    after = (await acme.get(f"/envelopes/{made['id']}")).json()
    assert (after["status"], len(fake.held)) == ("sent", 1)
    assert "dispatch_unknown" in await world.ledger_types(acme, made["id"])
    ends.set()  # otherwise the application would wait for it when it ends


async def test_several_sweeps_at_once_send_one_draft(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    fake.answers = [LOST]
    made = await start(acme)
    await look(world, acme, made, times=3)
    own = read_id(Kind.ENVELOPE, made["id"])
    await asyncio.gather(*(reconcile_envelope(world.services, acme.id, own) for _ in range(5)))
    await look(world, acme, made, times=2)
    await reconcile_due(world.services)
    assert len(fake.sent()) == 1


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_is_lost_one_envelope_is_sent_once(world: World, acme: Tenant, seed: int) -> None:
    import random

    fate = random.Random(seed)
    fake = world.fake("alpha")

    async def anything(provider: FakeProvider, exchange: Exchange, sent: Envelope) -> Created:
        mode = EnvelopeStatus.SENT if sent.reference.endswith("_1") else EnvelopeStatus.DRAFT
        match fate.randrange(4):
            case 0:
                raise Interruption(LOST)
            case 1:
                provider.hold(sent.reference, mode)
                raise Interruption(LOST)
            case 2:
                ref = provider.hold(sent.reference, mode)
                provider.hidden.add(ref)
                await exchange.learned(ref)
                raise Interruption(LOST)
            case _:
                provider.hold(sent.reference, EnvelopeStatus.DRAFT)
                raise Interruption(LOST)

    fake.answers = [anything] * 3
    made = await start(acme)
    for _ in range(30):
        if fate.random() < 0.3:
            fake.find_failures = [NotSent("away")]
        if fate.random() < 0.2:
            fake.send_failures = [Unknown("lost")]
        after = await look(world, acme, made)
        assert len(fake.sent()) <= 1
    await reconcile_due(world.services)
    assert after["status"] in {"sent", "failed"}
    assert len(fake.sent()) == (after["status"] == "sent")
    if after["status"] == "sent":
        assert fake.sent()[0].provider_ref == after["provider_ref"]


async def test_an_open_envelope_whose_webhook_was_lost_is_asked_about_after_a_silence(
    world: World, acme: Tenant
) -> None:
    fake = world.fake("alpha")
    made = (await acme.post("/envelopes", envelope(send=True))).json()
    fake._set(made["provider_ref"], EnvelopeStatus.COMPLETED)
    assert await catch_up_due(world.services) == 0, "it has only just been heard of"
    own = read_id(Kind.ENVELOPE, made["id"])
    await world.services.hub.execute(
        "UPDATE envelopes SET updated_at = updated_at - interval '2 hours' WHERE id = $1", own
    )
    assert await catch_up_due(world.services) == 1
    assert (await acme.get(f"/envelopes/{made['id']}")).json()["status"] == "completed"
    assert (await world.ledger_types(acme, made["id"]))[-1] == "envelope_completed"
    assert await catch_up_due(world.services) == 0
