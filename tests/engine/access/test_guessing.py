"""However somebody guesses, in whatever order, from wherever: a right answer passes exactly when the rules, written
down here once more and much simpler, say that it may. So no sequence wins a try more than it is allowed.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from engine.ceremony.authenticate import answer, send_code
from engine.ceremony.sessions import Session
from normalizer.errors import TooManyTries
from tests.engine.access.gate import LAPTOP, PHONE, Gate
from tests.engine.access.proofs import another, code_sent
from tests.engine.access.test_answers import CODE, OTP, SECRET, with_code

MOVES = 150


@dataclass
class CodeRules:
    """Five tries of the newest code for ten minutes; three codes in 15 minutes, ten in a day."""

    sent: list[datetime] = field(default_factory=list)
    tries: int = 0
    used: bool = True

    def may_send(self, now: datetime) -> bool:
        lately = [one for one in self.sent if one > now - timedelta(minutes=15)]
        today = [one for one in self.sent if one > now - timedelta(days=1)]
        return len(lately) < 3 and len(today) < 10

    def is_open(self, now: datetime) -> bool:
        return not self.used and self.tries < 5 and now < self.sent[-1] + timedelta(minutes=10)


@dataclass
class LockRules:
    """Three tries, then a lock of half an hour that doubles up to a day; a success begins anew."""

    until: datetime
    failures: int = 0
    locks: int = 0

    def is_open(self, now: datetime) -> bool:
        return now >= self.until

    def fail(self, now: datetime) -> None:
        self.failures += 1
        if self.failures == 3:
            self.until = now + min(timedelta(minutes=30) * 2**self.locks, timedelta(days=1))
            self.failures, self.locks = 0, self.locks + 1


@pytest.mark.parametrize("seed", range(4))
async def test_guesses_at_codes_pass_only_as_the_rules_say(gate: Gate, seed: int) -> None:
    chance = random.Random(seed)
    gate.with_settings(failures_per_ip_hourly=10**6, code_sends_per_ip_hourly=10**6)
    await gate.methods(OTP)
    rules, now = CodeRules(), gate.clock.now
    session = await gate.session()
    passed = 0
    for _ in range(MOVES):
        move = chance.choices(["send", "wrong", "right", "wait", "session"], [3, 6, 2, 3, 1])[0]
        if move in {"wait", "session"}:
            gate.clock.advance(chance.choice([30, 120, 600, 900]) if move == "wait" else 0)
            session = await gate.session(chance.choice([LAPTOP, PHONE]))
        elif move == "send":
            session = await _send(gate, rules, session)
        elif rules.sent:
            code = await code_sent(gate)
            may = rules.is_open(now())
            rules.tries += 1
            given = code if move == "right" else another(code)
            result = await answer(gate.engine, session, OTP, {"answer": given}, LAPTOP)
            assert result.passed is (may and move == "right")
            if result.passed:
                rules.used, passed = True, passed + 1
                session = await gate.session()
    assert passed > 0


async def _send(gate: Gate, rules: CodeRules, session: Session) -> Session:
    now = gate.clock.now()
    may = rules.may_send(now)
    if may:
        await send_code(gate.engine, session, OTP, LAPTOP)
        rules.sent.append(now)
        rules.tries, rules.used = 0, False
    else:
        with pytest.raises(TooManyTries):
            await send_code(gate.engine, session, OTP, LAPTOP)
    return session


@pytest.mark.parametrize("seed", range(4))
async def test_guesses_at_an_access_code_pass_only_as_the_rules_say(gate: Gate, seed: int) -> None:
    chance = random.Random(seed)
    gate.with_settings(failures_per_ip_hourly=10**6)
    rules = LockRules(gate.clock.now())
    session = await with_code(gate)
    judged = 0
    for _ in range(MOVES // 2):
        move = chance.choices(["wrong", "right", "wait"], [6, 1, 3])[0]
        now = gate.clock.now()
        if move == "wait":
            gate.clock.advance(chance.choice([60, 1799, 1800, 7200]))
            session = await gate.session(chance.choice([LAPTOP, PHONE]))
            continue
        may = rules.is_open(now)
        given = SECRET if move == "right" else f"guess {judged}"
        result = await answer(gate.engine, session, CODE, {"answer": given}, LAPTOP)
        assert result.passed is (may and move == "right")
        judged += may
        if result.passed:
            rules = LockRules(now)
            session = await gate.session()
        elif may:
            rules.fail(now)
            assert (result.locked_until is not None) is (rules.failures == 0)
    assert judged > 3
