"""What a provider does to us when it is not well: no envelope is made twice, none is lost, none is invented."""

import asyncio
from datetime import UTC, datetime

from adapters.kit.outcome import AuthFailed, Done, NotSent, Outcome, Rejected, Throttled, Unknown
from adapters.kit.port import Created, SendMode
from normalizer.envelope import Envelope
from normalizer.status import EnvelopeStatus
from tests.conformance.envelopes import contract
from tests.conformance.hand import Hand
from tests.conformance.sandbox_process import SandboxProcess
from tests.conformance.stage import Stage, open_stage

_S = EnvelopeStatus


async def test_create_whose_answer_never_came_is_unknown_and_found_exactly_once(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("timeout_after_accept", "create", seconds=5)
    outcome = await _create(stage, envelope, deadline_s=1.0)
    assert isinstance(outcome, Unknown)
    assert outcome.learned_ref == ""
    found = await stage.find(envelope.reference)
    assert len(found) == 1
    assert found[0].reference == envelope.reference
    assert found[0].provider_ref not in {"", None}


async def test_create_reset_after_it_was_taken_is_unknown_and_found_exactly_once(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("reset_after", "create")
    assert isinstance(await _create(stage, envelope), Unknown)
    assert len(await stage.find(envelope.reference)) == 1


async def test_create_reset_before_it_was_taken_is_unknown_and_not_found(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("reset_before", "create")
    assert isinstance(await _create(stage, envelope), Unknown)
    assert await stage.find(envelope.reference) == ()


async def test_create_answered_by_a_proxys_page_is_unknown_and_never_repeated(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("http_500_html", "create")
    assert isinstance(await _create(stage, envelope), Unknown)
    assert await stage.find(envelope.reference) == ()


async def test_unknown_create_is_settled_by_draft_look_up_and_send(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("reset_before", "create")
    assert isinstance(await _create(stage, envelope), Unknown)
    assert await stage.find(envelope.reference) == ()
    draft = await stage.create(envelope, SendMode.DRAFT)
    await stage.until_status(draft.provider_ref, _S.DRAFT)
    assert [each.provider_ref for each in await stage.find(envelope.reference)] == [draft.provider_ref]
    await stage.done("send_draft", draft.provider_ref)
    await stage.until_status(draft.provider_ref, _S.SENT)


async def test_read_answered_by_a_proxys_page_is_repeated(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    await stage.hand.break_next("http_500_html", "get", count=2)
    assert (await stage.done("get_envelope", ref)).status is _S.SENT


async def test_token_that_expires_before_the_create_costs_nothing_but_a_refresh(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("token_expired", "create")
    created = await stage.create(envelope)
    assert [each.provider_ref for each in await stage.find(envelope.reference)] == [created.provider_ref]


async def test_token_that_expires_in_the_middle_is_refreshed_once_for_all(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    await stage.hand.break_next("token_expired", "get")
    reports = await asyncio.gather(*(stage.outcome("get_envelope", ref) for _ in range(5)))
    assert all(isinstance(report, Done) for report in reports)


async def test_throttled_create_makes_nothing_and_says_how_long_to_wait(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.hand.break_next("http_429", "create", seconds=7)
    outcome = await _create(stage, envelope)
    assert isinstance(outcome, Throttled)
    assert outcome.retry_after_s > 0
    again = await _create(stage, envelope)
    assert isinstance(again, Throttled)  # nothing leaves before the time is over


async def test_provider_that_is_gone_is_not_sent(stage: Stage) -> None:
    envelope = contract(stage.blobs)
    await stage.done("check_credentials")
    await stage.executor.forget_tokens(stage.adapter, stage.connection)
    await stage.hand.break_next("reset_before", "oauth.token", count=9)
    await stage.hand.break_next("reset_before", "oauth_refresh", count=9)
    assert isinstance(await _create(stage, envelope), NotSent)
    await stage.hand.heal()
    assert await stage.find(envelope.reference) == ()


async def test_refused_credentials_need_a_person(stage: Stage, sandbox: SandboxProcess, hand: Hand) -> None:
    spoilt = hand.spoil_credentials(dict(sandbox.credentials))
    async with open_stage(stage.adapter, sandbox, hand, spoilt) as other:
        outcome = await other.outcome("check_credentials")
        assert isinstance(outcome, AuthFailed)
        assert isinstance(await _create(other, contract(other.blobs)), AuthFailed)


async def test_definite_refusal_is_rejected_with_the_providers_code(stage: Stage) -> None:
    ref = await stage.sent(contract(stage.blobs))
    await stage.done("void_envelope", ref, "Sent by mistake")
    outcome = await stage.outcome("send_draft", ref)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "state_conflict"


async def _create(stage: Stage, envelope: Envelope, *, deadline_s: float = 20.0) -> Outcome[Created]:
    return await stage.outcome(
        "create_envelope", envelope, SendMode.SEND, datetime.now(UTC), deadline_s=deadline_s
    )
