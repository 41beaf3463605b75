"""Sessions: what they are bound to, and everything that ends one."""

import asyncio
from datetime import timedelta

import pytest

from engine.ceremony.links import start_session
from engine.ceremony.sessions import (
    check_csrf,
    end_session,
    extend_session,
    find_session,
    note_consent,
    note_passed,
)
from engine.envelopes.visitor import Visitor
from normalizer.errors import TooManyTries
from normalizer.recipient import AuthenticationMethod
from tests.engine.access.gate import BEN, LAPTOP, PHONE, TENANT, Gate

MOVED = Visitor(ip_address="198.51.100.9", user_agent=LAPTOP.user_agent)


async def test_session_begins_with_the_link_passed_and_is_in_the_ledger(gate: Gate) -> None:
    session = await gate.session()
    assert session.passed == (AuthenticationMethod.EMAIL,)
    assert (session.consented, session.is_view_only, session.embedded) == (False, False, False)
    assert session.ends_at == gate.clock.now() + timedelta(minutes=30)
    assert session.last_at == gate.clock.now() + timedelta(hours=8)
    assert await gate.ledger() == ["ceremony_started"]


@pytest.mark.parametrize("part", ["handle", "secret"])
async def test_session_needs_both_handle_and_secret(gate: Gate, part: str) -> None:
    one, other = await gate.started(), await gate.started(recipient_id=BEN)
    given = {"handle": one.handle, "secret": one.secret} | {part: getattr(other, part)}
    assert await find_session(gate.engine, given["handle"], given["secret"], LAPTOP) is None
    assert await find_session(gate.engine, one.handle, "", LAPTOP) is None
    for nonsense in ("", "nobody", "\x00", "\ud800", "h" * 10_000):
        assert await find_session(gate.engine, nonsense, one.secret, LAPTOP) is None
        assert await find_session(gate.engine, one.handle, nonsense, LAPTOP) is None


async def test_session_ends_after_half_an_hour_without_a_request_and_not_before(gate: Gate) -> None:
    started = await gate.started()
    gate.clock.advance(1799)
    await gate.again(started)
    gate.clock.advance(1799)
    await gate.again(started)
    gate.clock.advance(1800)
    assert await find_session(gate.engine, started.handle, started.secret, LAPTOP) is None


async def test_requests_of_one_page_cost_one_write(gate: Gate) -> None:
    started = await gate.started()
    gate.clock.advance(60)
    await gate.again(started)
    gate.store.app.reset_counters()
    for _ in range(10):
        session = await gate.again(started)
    assert gate.store.app.statements == 0
    assert session.ends_at == gate.clock.now() + timedelta(minutes=30)


async def test_session_ends_after_eight_hours_however_busy(gate: Gate) -> None:
    started = await gate.started()
    for _ in range(23):
        gate.clock.advance(1250)
        session = await gate.again(started)
    assert session.ends_at == session.last_at
    gate.clock.advance(50)
    assert await find_session(gate.engine, started.handle, started.secret, LAPTOP) is None


async def test_extended_session_has_its_idle_time_again_but_no_more_than_the_last_moment(gate: Gate) -> None:
    session = await gate.session()
    gate.clock.advance(600)
    longer = await extend_session(gate.engine, session)
    assert longer.ends_at == gate.clock.now() + timedelta(minutes=30)
    gate.clock.advance(timedelta(hours=7, minutes=45))
    assert (await extend_session(gate.engine, session)).ends_at == session.last_at


async def test_another_user_agent_ends_the_session_for_good(gate: Gate) -> None:
    started = await gate.started()
    thief = Visitor(ip_address=LAPTOP.ip_address, user_agent="Other/1.0")
    assert await find_session(gate.engine, started.handle, started.secret, thief) is None
    assert await find_session(gate.engine, started.handle, started.secret, LAPTOP) is None


async def test_another_address_is_noted_and_the_session_goes_on(gate: Gate) -> None:
    started = await gate.started()
    await gate.again(started, MOVED)
    await gate.again(started, MOVED)
    row = await gate.store.hub.fetchrow("SELECT ip_address, ip_changes FROM ceremony_sessions")
    assert tuple(row) == (MOVED.ip_address, 1)


async def test_another_address_ends_the_session_when_the_setting_says_so(gate: Gate) -> None:
    gate.with_settings(bind_ip=True)
    started = await gate.started()
    assert await find_session(gate.engine, started.handle, started.secret, MOVED) is None
    assert await find_session(gate.engine, started.handle, started.secret, LAPTOP) is None


async def test_a_change_of_the_envelope_that_must_be_shown_anew_ends_the_session(gate: Gate) -> None:
    started = await gate.started()
    await gate.set_envelope(version=2)
    assert await find_session(gate.engine, started.handle, started.secret, LAPTOP) is None


async def test_session_of_who_handed_over_or_whose_tenant_is_off_is_over(gate: Gate) -> None:
    ada, ben = await gate.started(), await gate.started(recipient_id=BEN)
    await gate.set_recipient(status="reassigned")
    assert await find_session(gate.engine, ada.handle, ada.secret, LAPTOP) is None
    await gate.store.hub.execute("UPDATE tenants SET active = false WHERE id = $1", TENANT)
    assert await find_session(gate.engine, ben.handle, ben.secret, LAPTOP) is None


@pytest.mark.parametrize("status", ["sealing", "completed", "declined", "expired", "voided"])
async def test_session_of_an_envelope_that_has_ended_may_look_only(gate: Gate, status: str) -> None:
    started = await gate.started()
    await gate.set_envelope(status=status)
    assert (await gate.again(started)).is_view_only


async def test_session_that_was_left_is_over_and_the_other_tab_goes_on(gate: Gate) -> None:
    token = await gate.link()
    one = await start_session(gate.engine, await gate.found(token), LAPTOP)
    two = await start_session(gate.engine, await gate.found(token), LAPTOP)
    await end_session(gate.engine, await gate.again(one))
    assert await find_session(gate.engine, one.handle, one.secret, LAPTOP) is None
    assert (await gate.again(two)).recipient_id == (await gate.recipient()).id


async def test_csrf_token_is_the_sessions_own(gate: Gate) -> None:
    started = await gate.started()
    other = await gate.session(PHONE)
    session = await gate.again(started)
    assert check_csrf(session, started.csrf)
    assert not check_csrf(session, other.csrf)
    assert not check_csrf(session, "")
    assert not check_csrf(session, "\ud800")


async def test_what_was_passed_and_agreed_to_stays_with_the_session(gate: Gate) -> None:
    started = await gate.started()
    session = await gate.again(started)
    async with gate.store.app.transaction(TENANT) as tx:
        session = await note_passed(tx, session, AuthenticationMethod.SMS)
        session = await note_passed(tx, session, AuthenticationMethod.SMS)
        session = await note_consent(tx, session, consented=True)
        await tx.commit()
    again = await gate.again(started)
    assert again == session
    assert again.passed == (AuthenticationMethod.EMAIL, AuthenticationMethod.SMS)
    assert again.consented


async def test_sessions_begun_by_one_recipient_are_limited_by_the_hour(gate: Gate) -> None:
    gate.with_settings(session_starts_hourly=2)
    await gate.started()
    await gate.started(PHONE)
    with pytest.raises(TooManyTries):
        await gate.started()
    await gate.started(recipient_id=BEN)
    gate.clock.advance(3600)
    await gate.started()


async def test_embedded_link_clicked_in_two_tabs_at_once_opens_one_session(gate: Gate) -> None:
    token = await gate.link()
    await gate.store.hub.execute("UPDATE ceremony_links SET embedded = true")
    link = await gate.found(token)
    clicks = await asyncio.gather(
        *(start_session(gate.engine, link, LAPTOP) for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(one).__name__ for one in clicks) == ["NotFound"] * 4 + ["StartedSession"]


async def test_secrets_do_not_show_in_reprs(gate: Gate) -> None:
    started = await gate.started()
    session = await gate.again(started)
    assert started.secret not in repr(started)
    assert started.csrf not in repr(started) + repr(session)
