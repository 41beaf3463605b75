"""Codes by mail and text message: every limit, by an injected clock."""

import logging
import re
from datetime import timedelta

import pytest

from engine.ceremony.authenticate import AnswerResult, NotAsked, answer, next_method, send_code
from engine.ceremony.codes import masked_target
from engine.envelopes.visitor import Visitor
from engine.notify.notice import Channel, NoticeKind
from normalizer.errors import TooManyTries, UnsupportedFeature
from normalizer.recipient import AuthenticationMethod
from tests.engine.access.gate import BEN, LAPTOP, PHONE, TENANT, Gate
from tests.engine.access.proofs import another, code_sent, notices

SMS, OTP = AuthenticationMethod.SMS, AuthenticationMethod.EMAIL_OTP


@pytest.mark.parametrize(
    ("method", "channel", "address", "minutes", "facts"),
    [
        (OTP, Channel.EMAIL, "ada@client.example", "10", "email_verification"),
        (SMS, Channel.SMS, "+491701234567", "5", "sms_verification"),
    ],
)
async def test_right_code_passes_once_and_is_in_the_ledger(
    gate: Gate, method: AuthenticationMethod, channel: Channel, address: str, minutes: str, facts: str
) -> None:
    await gate.methods(method)
    started = await gate.started()
    session = await gate.again(started)
    assert next_method(session, await gate.recipient()) is method
    sent = await send_code(gate.engine, session, method, LAPTOP)
    (notice,) = await notices(gate, NoticeKind.CODE)
    assert (notice.channel, notice.address, notice.values["minutes"]) == (channel, address, minutes)
    assert sent.expires_at == gate.clock.now() + timedelta(minutes=int(minutes))
    code = notice.values["code"]
    assert re.fullmatch(r"\d{6}", code)
    typed = f" {code[:3]} {code[3:]} "
    assert await answer(gate.engine, session, method, {"answer": typed}, LAPTOP) == AnswerResult(passed=True)
    session = await gate.again(started)
    assert next_method(session, await gate.recipient()) is None
    assert await gate.ledger() == [
        "ceremony_started",
        f"{facts}_sent",
        f"{facts}_completed",
        "mfa_completed",
    ]
    assert b"recipient_authenticated" in gate.emitted[0]
    other = await gate.session()  # a new session: the code was used
    again = await answer(gate.engine, other, method, {"answer": code}, LAPTOP)
    assert again == AnswerResult(passed=False, tries_left=0)


@pytest.mark.parametrize(("method", "good_s"), [(OTP, 600), (SMS, 300)])
async def test_code_is_good_until_its_time_is_over(
    gate: Gate, method: AuthenticationMethod, good_s: int
) -> None:
    await gate.methods(method)
    session = await gate.session()
    await send_code(gate.engine, session, method, LAPTOP)
    first = await code_sent(gate)
    gate.clock.advance(good_s)
    assert not (await answer(gate.engine, session, method, {"answer": first}, LAPTOP)).passed
    await send_code(gate.engine, session, method, LAPTOP)
    gate.clock.advance(good_s - 1)
    result = await answer(gate.engine, session, method, {"answer": await code_sent(gate)}, LAPTOP)
    assert result.passed


async def test_code_has_five_tries_and_then_the_right_one_is_wrong_too(gate: Gate) -> None:
    await gate.methods(OTP)
    session = await gate.session()
    await send_code(gate.engine, session, OTP, LAPTOP)
    code = await code_sent(gate)
    left = [
        (await answer(gate.engine, session, OTP, {"answer": another(code)}, LAPTOP)).tries_left
        for _ in range(5)
    ]
    assert left == [4, 3, 2, 1, 0]
    assert await answer(gate.engine, session, OTP, {"answer": code}, LAPTOP) == AnswerResult(
        passed=False, tries_left=0
    )
    assert sum(b"recipient_refused" in one for one in gate.emitted) == 6


async def test_a_new_code_voids_the_one_before(gate: Gate) -> None:
    await gate.methods(OTP)
    session = await gate.session()
    await send_code(gate.engine, session, OTP, LAPTOP)
    first = await code_sent(gate)
    gate.clock.advance(1)
    await send_code(gate.engine, session, OTP, LAPTOP)
    second = await code_sent(gate)
    if first != second:  # one in a million
        assert not (await answer(gate.engine, session, OTP, {"answer": first}, LAPTOP)).passed
    assert (await answer(gate.engine, session, OTP, {"answer": second}, LAPTOP)).passed


async def test_code_is_bound_to_its_recipient_and_method(gate: Gate) -> None:
    await gate.methods(OTP, SMS)
    await gate.methods(OTP, recipient_id=BEN)
    ada, ben = await gate.session(), await gate.session(recipient_id=BEN)
    await send_code(gate.engine, ada, OTP, LAPTOP)
    code = await code_sent(gate)
    await gate.store.hub.execute("UPDATE ceremony_codes SET recipient_id = $1", BEN)
    assert not (await answer(gate.engine, ben, OTP, {"answer": code}, LAPTOP)).passed
    with pytest.raises(NotAsked):  # the second method before the first
        await send_code(gate.engine, ada, SMS, LAPTOP)
    with pytest.raises(NotAsked):
        await answer(gate.engine, ada, SMS, {"answer": code}, LAPTOP)


async def test_three_codes_in_a_quarter_of_an_hour_and_ten_in_a_day(gate: Gate) -> None:
    await gate.methods(OTP)
    sent_at = []
    for _ in range(3 * 96):
        session = await gate.session()  # another session has no more
        try:
            await send_code(gate.engine, session, OTP, LAPTOP)
        except TooManyTries as refused:
            gate.clock.advance(refused.retry_after_s)
        else:
            sent_at.append(gate.clock.now())
        if len(sent_at) == 11:
            break
    assert all(
        later - earlier >= timedelta(minutes=15) for earlier, later in zip(sent_at, sent_at[3:], strict=False)
    )
    assert sent_at[10] - sent_at[0] >= timedelta(days=1)
    assert sent_at[9] - sent_at[0] == timedelta(minutes=45)


async def test_codes_for_one_address_are_capped_over_recipients(gate: Gate) -> None:
    gate.with_settings(code_sends_per_ip_hourly=2)
    await gate.methods(OTP)
    await gate.methods(OTP, recipient_id=BEN)
    ada, ben = await gate.session(), await gate.session(recipient_id=BEN)
    await send_code(gate.engine, ada, OTP, LAPTOP)
    await send_code(gate.engine, ben, OTP, LAPTOP)
    with pytest.raises(TooManyTries):
        await send_code(gate.engine, ben, OTP, LAPTOP)
    await send_code(gate.engine, ben, OTP, PHONE)
    gate.clock.advance(3600)
    ben = await gate.session(recipient_id=BEN)
    await send_code(gate.engine, ben, OTP, LAPTOP)


async def test_text_messages_to_one_phone_are_capped_over_recipients(gate: Gate) -> None:
    gate.with_settings(code_sends_per_phone_daily=2)
    await gate.methods(SMS)
    await gate.methods(SMS, recipient_id=BEN)  # the same phone
    await send_code(gate.engine, await gate.session(), SMS, LAPTOP)
    await send_code(gate.engine, await gate.session(recipient_id=BEN), SMS, PHONE)
    with pytest.raises(TooManyTries):
        await send_code(gate.engine, await gate.session(), SMS, LAPTOP)
    await gate.set_recipient(phone_number="1709999999")
    await send_code(gate.engine, await gate.session(), SMS, LAPTOP)


async def test_codes_of_one_tenant_are_capped(gate: Gate) -> None:
    gate.with_settings(code_sends_per_tenant_hourly=1)
    await gate.methods(OTP)
    session = await gate.session()
    await send_code(gate.engine, session, OTP, LAPTOP)
    with pytest.raises(TooManyTries):
        await send_code(gate.engine, session, OTP, PHONE)


async def test_text_messages_stop_when_the_days_money_is_spent_and_mail_goes_on(gate: Gate) -> None:
    gate.with_settings(sms_daily_spend_cents=20)  # 9 cents to Germany
    await gate.methods(SMS)
    session = await gate.session()
    await send_code(gate.engine, session, SMS, LAPTOP)
    await send_code(gate.engine, session, SMS, LAPTOP)
    with pytest.raises(TooManyTries):
        await send_code(gate.engine, session, SMS, LAPTOP)
    await gate.methods(OTP)
    await send_code(gate.engine, session, OTP, LAPTOP)
    gate.clock.advance(timedelta(days=1))
    await gate.methods(SMS)
    await send_code(gate.engine, await gate.session(), SMS, LAPTOP)


@pytest.mark.parametrize("country", ["882", "7", "", "4", "490"])
async def test_no_text_message_goes_to_a_country_that_is_not_listed(gate: Gate, country: str) -> None:
    await gate.methods(SMS)
    await gate.set_recipient(phone_country_code=country)
    with pytest.raises(UnsupportedFeature):
        await send_code(gate.engine, await gate.session(), SMS, LAPTOP)
    assert await notices(gate, NoticeKind.CODE) == []


async def test_who_asks_too_often_does_not_use_up_what_others_share(gate: Gate) -> None:
    gate.with_settings(code_sends_per_tenant_hourly=4)
    await gate.methods(OTP)
    await gate.methods(OTP, recipient_id=BEN)
    session = await gate.session()
    for _ in range(10):
        try:
            await send_code(gate.engine, session, OTP, LAPTOP)
        except TooManyTries:
            continue
    await send_code(gate.engine, await gate.session(recipient_id=BEN), OTP, LAPTOP)


async def test_failures_from_one_address_close_it_to_right_codes_too(gate: Gate) -> None:
    gate.with_settings(failures_per_ip_hourly=2)
    await gate.methods(OTP)
    session = await gate.session()
    await send_code(gate.engine, session, OTP, LAPTOP)
    code = await code_sent(gate)
    for _ in range(2):
        await answer(gate.engine, session, OTP, {"answer": another(code)}, LAPTOP)
    with pytest.raises(TooManyTries):
        await answer(gate.engine, session, OTP, {"answer": code}, LAPTOP)
    elsewhere = Visitor(ip_address="198.51.100.1", user_agent=LAPTOP.user_agent)
    assert (await answer(gate.engine, session, OTP, {"answer": code}, elsewhere)).passed


async def test_two_tabs_share_tries_and_one_passes_for_its_own_session_only(gate: Gate) -> None:
    await gate.methods(OTP)
    one, two = await gate.session(), await gate.session()
    await send_code(gate.engine, one, OTP, LAPTOP)
    code = await code_sent(gate)
    await answer(gate.engine, two, OTP, {"answer": another(code)}, LAPTOP)
    third = await answer(gate.engine, one, OTP, {"answer": another(code)}, LAPTOP)
    assert third.tries_left == 3
    assert (await answer(gate.engine, one, OTP, {"answer": code}, LAPTOP)).passed
    assert not (await answer(gate.engine, two, OTP, {"answer": code}, LAPTOP)).passed
    assert (await answer(gate.engine, one, OTP, {"answer": "000000"}, LAPTOP)).passed  # it is, already


@pytest.mark.parametrize("typed", ["", " ", "12345", "1234567", "٠١٢٣٤٥", "\x00", "\ud800", "a" * 10_000])
async def test_nonsense_is_a_wrong_code_and_nothing_else(gate: Gate, typed: str) -> None:
    await gate.methods(OTP)
    session = await gate.session()
    await send_code(gate.engine, session, OTP, LAPTOP)
    assert not (await answer(gate.engine, session, OTP, {"answer": typed}, LAPTOP)).passed


async def test_codes_stand_nowhere_but_in_the_sealed_notice(
    gate: Gate, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    await gate.methods(OTP, SMS)
    session = await gate.session()
    codes = []
    for method in (OTP, SMS):
        await send_code(gate.engine, session, method, LAPTOP)
        codes.append(await code_sent(gate))
        await answer(gate.engine, session, method, {"answer": another(codes[-1])}, LAPTOP)
        assert (await answer(gate.engine, session, method, {"answer": codes[-1]}, LAPTOP)).passed
    everything = [caplog.text, *capsys.readouterr(), repr(session), *(one.decode() for one in gate.emitted)]
    for table in (
        "ledger_entries",
        "ceremony_codes",
        "ceremony_sessions",
        "ceremony_counters",
        "engine_notices",
    ):
        rows = await gate.store.hub.fetch(
            f"SELECT t::text AS text FROM {table} t WHERE tenant_id = $1", TENANT
        )
        everything += [re.sub(r"\\x[0-9a-f]+", "", row["text"]) for row in rows]
    for code in codes:
        assert not [text for text in everything if re.search(rf"(?<![0-9a-f.-]){code}(?![0-9a-f-])", text)]


async def test_targets_are_masked(gate: Gate) -> None:
    recipient = await gate.recipient()
    assert masked_target(recipient, SMS) == "••• ••67"
    assert masked_target(recipient, OTP) == "a•••@client.example"
