"""Access codes and questions: three tries, a lock that ends, and a sender who may end it sooner."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from engine.ceremony.access_code import seal_access_code
from engine.ceremony.authenticate import (
    AnswerResult,
    NotAsked,
    answer,
    find_locked,
    next_method,
    send_code,
)
from engine.ceremony.knowledge import make_question, read_questions, seal_knowledge
from engine.ceremony.lockout import unlock_recipient
from engine.ceremony.sessions import Session
from engine.notify.notice import NoticeKind
from normalizer.errors import NotFound, TooManyTries
from normalizer.events import Actor, ActorType, Source, SourceKind
from normalizer.recipient import AccessCode, AuthenticationMethod
from tests.engine.access.gate import ADA, BEN, ENGINE_ID, LAPTOP, PHONE, TENANT, Gate
from tests.engine.access.proofs import notices

CODE, KNOWLEDGE, OTP = (
    AuthenticationMethod.ACCESS_CODE,
    AuthenticationMethod.KNOWLEDGE,
    AuthenticationMethod.EMAIL_OTP,
)
SECRET = "Swordfish 42"
SENDER = Actor(type=ActorType.USER, id="u-1", name="Sam")
API = Source(kind=SourceKind.API, request_id="req-1")


async def with_code(gate: Gate, *further: AuthenticationMethod, recipient_id=ADA) -> Session:
    async with gate.store.app.transaction(TENANT) as tx:
        sealed = await seal_access_code(gate.engine, tx, TENANT, recipient_id, AccessCode(f" {SECRET}"))
        await tx.commit()
    await gate.set_recipient(recipient_id, access_code=sealed)
    await gate.methods(CODE, *further, recipient_id=recipient_id)
    return await gate.session(recipient_id=recipient_id)


async def with_questions(gate: Gate, *first: AuthenticationMethod) -> Session:
    questions = [
        await make_question("Your  first street?", "Hauptstraße  5"),
        await make_question("Your sled?", "Rosebud"),
    ]
    async with gate.store.app.transaction(TENANT) as tx:
        sealed = await seal_knowledge(gate.engine, tx, TENANT, ADA, questions)
        await tx.commit()
    await gate.set_recipient(knowledge=sealed)
    await gate.methods(*first, KNOWLEDGE)
    return await gate.session()


async def guess(gate: Gate, session: Session, given: str = "wrong") -> AnswerResult:
    return await answer(gate.engine, session, CODE, {"answer": given}, LAPTOP)


@pytest.mark.parametrize("typed", [SECRET, f"  {SECRET}\t", "Swordfish 42", "Swordfish ４２"])
async def test_right_access_code_passes_as_it_was_told(gate: Gate, typed: str) -> None:
    session = await with_code(gate)
    assert (await guess(gate, session, typed)).passed
    assert await gate.ledger() == ["ceremony_started", "mfa_completed"]


@pytest.mark.parametrize("typed", ["", "swordfish 42", "Swordfish", "\x00", "\ud800", SECRET * 100])
async def test_wrong_access_code_does_not(gate: Gate, typed: str) -> None:
    session = await with_code(gate)
    assert await guess(gate, session, typed) == AnswerResult(passed=False, tries_left=2)


async def test_three_wrong_access_codes_lock_for_half_an_hour_and_the_sender_is_told(gate: Gate) -> None:
    session = await with_code(gate)
    left = [(await guess(gate, session)).tries_left for _ in range(2)]
    third = await guess(gate, session)
    until = gate.clock.now() + timedelta(minutes=30)
    assert (left, third) == ([2, 1], AnswerResult(passed=False, tries_left=0, locked_until=until))
    assert await guess(gate, session, SECRET) == AnswerResult(passed=False, tries_left=0, locked_until=until)
    assert await find_locked(gate.engine, session) == until
    (told,) = await notices(gate, NoticeKind.LOCKED)
    assert (told.address, told.values["by"]) == ("sam@acme.example", "Ada")
    assert (await gate.ledger()).count("recipient_locked") == 1
    gate.clock.advance(1799)
    assert not (await guess(gate, session, SECRET)).passed
    gate.clock.advance(1)
    session = await gate.session()
    assert (await guess(gate, session, SECRET)).passed


async def test_lock_holds_for_every_session_method_and_address_of_that_recipient_only(gate: Gate) -> None:
    session = await with_code(gate)
    for _ in range(3):
        await guess(gate, session)
    other = await gate.session(PHONE)
    assert (await answer(gate.engine, other, CODE, {"answer": SECRET}, PHONE)).locked_until is not None
    await gate.methods(OTP)
    with pytest.raises(TooManyTries):
        await send_code(gate.engine, other, OTP, PHONE)
    ben = await with_code(gate, recipient_id=BEN)
    assert (await guess(gate, ben, SECRET)).passed


async def test_each_lock_lasts_twice_as_long_up_to_a_day_and_none_for_ever(gate: Gate) -> None:
    await with_code(gate)
    lasted = []
    for _ in range(8):
        gate.with_settings(failures_per_ip_hourly=1000)
        session = await gate.session()
        for _ in range(3):
            result = await guess(gate, session)
        assert result.locked_until is not None
        lasted.append(result.locked_until - gate.clock.now())
        gate.clock.advance(lasted[-1])
    assert lasted[:3] == [timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2)]
    assert lasted[-2:] == [timedelta(days=1)] * 2
    assert (await guess(gate, await gate.session(), SECRET)).passed


async def test_sender_unlocks_and_the_recipient_is_told_and_has_three_tries_again(gate: Gate) -> None:
    session = await with_code(gate)
    for _ in range(3):
        await guess(gate, session)
    assert await unlock_recipient(gate.engine, TENANT, ENGINE_ID, ADA, SENDER, API)
    assert [one.address for one in await notices(gate, NoticeKind.UNLOCKED)] == ["ada@client.example"]
    assert (await gate.ledger())[-1] == "recipient_unlocked"
    session = await gate.session()
    assert (await guess(gate, session)).tries_left == 2
    assert (await guess(gate, session, SECRET)).passed


async def test_unlocking_who_is_not_locked_does_nothing_and_strangers_are_not_found(gate: Gate) -> None:
    await with_code(gate)
    before = await gate.ledger()
    assert not await unlock_recipient(gate.engine, TENANT, ENGINE_ID, ADA, SENDER, API)
    assert (await gate.ledger(), await notices(gate, NoticeKind.UNLOCKED)) == (before, [])
    with pytest.raises(NotFound):
        await unlock_recipient(gate.engine, TENANT, ENGINE_ID, uuid4(), SENDER, API)
    with pytest.raises(NotFound):
        await unlock_recipient(gate.engine, TENANT, uuid4(), ADA, SENDER, API)


async def test_fifty_guesses_at_once_have_three_tries(gate: Gate) -> None:
    gate.with_settings(failures_per_ip_hourly=1000)
    session = await with_code(gate)
    results = await asyncio.gather(*(guess(gate, session, f"guess {number}") for number in range(50)))
    assert sorted(one.tries_left for one in results if one.tries_left) == [1, 2]
    assert sum(b"recipient_refused" in one for one in gate.emitted) == 3
    assert not (await guess(gate, session, SECRET)).passed


async def test_access_code_of_one_recipient_is_worth_nothing_in_another_row(gate: Gate) -> None:
    await with_code(gate)
    sealed = (await gate.recipient()).access_code
    await gate.set_recipient(BEN, access_code=sealed)
    await gate.methods(CODE, recipient_id=BEN)
    session = await gate.session(recipient_id=BEN)
    with pytest.raises(Exception, match="does not belong"):
        await guess(gate, session, SECRET)


async def test_recipient_without_an_access_code_does_not_pass_with_none(gate: Gate) -> None:
    await gate.methods(CODE, KNOWLEDGE)
    session = await gate.session()
    assert not (await guess(gate, session, "")).passed
    with pytest.raises(NotAsked):
        await answer(gate.engine, session, KNOWLEDGE, {}, LAPTOP)


async def test_all_answers_must_be_right_and_spelling_does_not_decide(gate: Gate) -> None:
    session = await with_questions(gate)
    recipient = await gate.recipient()
    assert await read_questions(gate.engine, gate.store.app, TENANT, recipient) == (
        "Your first street?",
        "Your sled?",
    )
    half = {"answer_0": "Hauptstraße 5", "answer_1": "nothing"}
    assert await answer(gate.engine, session, KNOWLEDGE, half, LAPTOP) == AnswerResult(
        passed=False, tries_left=2
    )
    right = {"answer_0": " HAUPTSTRASSE 5 ", "answer_1": "rosebud"}
    assert (await answer(gate.engine, session, KNOWLEDGE, right, LAPTOP)).passed


async def test_a_passed_method_wins_no_tries_at_another(gate: Gate) -> None:
    await with_questions(gate, CODE)
    async with gate.store.app.transaction(TENANT) as tx:
        sealed = await seal_access_code(gate.engine, tx, TENANT, ADA, AccessCode(SECRET))
        await tx.commit()
    await gate.set_recipient(access_code=sealed)
    tries = 0
    for _ in range(5):
        session = await gate.session()
        if not (await guess(gate, session, SECRET)).passed:
            break
        result = await answer(gate.engine, session, KNOWLEDGE, {"answer_0": "?", "answer_1": "?"}, LAPTOP)
        tries += 1
    assert tries == 3
    assert result.locked_until is not None


async def test_methods_are_asked_in_order_and_each_is_kept_with_the_session(gate: Gate) -> None:
    await with_questions(gate, CODE)
    async with gate.store.app.transaction(TENANT) as tx:
        sealed = await seal_access_code(gate.engine, tx, TENANT, ADA, AccessCode(SECRET))
        await tx.commit()
    await gate.set_recipient(access_code=sealed)
    started = await gate.started()
    session = await gate.again(started)
    recipient = await gate.recipient()
    assert next_method(session, recipient) is CODE
    with pytest.raises(NotAsked):
        await answer(gate.engine, session, KNOWLEDGE, {}, LAPTOP)
    assert (await guess(gate, session, SECRET)).passed
    session = await gate.again(started)
    assert next_method(session, recipient) is KNOWLEDGE
    right = {"answer_0": "hauptstrasse 5", "answer_1": "Rosebud"}
    assert (await answer(gate.engine, session, KNOWLEDGE, right, LAPTOP)).passed
    assert next_method(await gate.again(started), recipient) is None
    assert (await gate.ledger()).count("mfa_completed") == 1


async def test_answers_of_a_session_that_was_left_count_for_nothing(gate: Gate) -> None:
    session = await with_code(gate)
    await gate.store.hub.execute("UPDATE ceremony_sessions SET ended_at = now()")
    with pytest.raises(NotAsked):
        await guess(gate, session, SECRET)


@pytest.mark.parametrize("word", [SECRET, "Rosebud", "Hauptstraße"])
async def test_secrets_lie_in_the_database_as_hashes_in_the_vault_only(gate: Gate, word: str) -> None:
    await with_code(gate)
    await with_questions(gate)
    stored = await gate.store.hub.fetchrow(
        "SELECT access_code, knowledge FROM engine_recipients WHERE id = $1", ADA
    )
    for ciphertext in stored:
        assert word.encode() not in ciphertext
        assert b"argon2" not in ciphertext
