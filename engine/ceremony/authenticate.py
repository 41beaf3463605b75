"""Asks a recipient for one method of authentication after the other, and counts every try.

A try is counted under the envelope's lock before its answer counts: sessions, tabs and addresses share the limits.
What failed is told to the gateway and stands in the ledger; what was typed stands nowhere.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from config.database import Transaction
from engine.ceremony.access_code import is_access_code
from engine.ceremony.codes import CODE_METHODS, check_sends, put_code, take_sends, try_code
from engine.ceremony.evidence import ceremony_event
from engine.ceremony.knowledge import are_answers
from engine.ceremony.limits import (
    HOUR_S,
    NOBODY,
    Counter,
    address_subject,
    too_many,
    window_start,
)
from engine.ceremony.lockout import clear_failures, find_lock, locked_event, note_failure
from engine.ceremony.sessions import Session, lock_passed, note_passed
from engine.engine import Engine
from engine.envelopes.act import note_authentication
from engine.envelopes.visitor import Visitor
from engine.model import EngineEnvelope, EngineRecipient
from engine.record import record
from engine.store import load_envelope, lock_envelope
from normalizer.errors import Conflict, TooManyTries
from normalizer.events import Event, ResourceType
from normalizer.recipient import AuthenticationMethod
from normalizer.vocabulary import LedgerType

_M = AuthenticationMethod
_HASHED = frozenset({_M.ACCESS_CODE, _M.KNOWLEDGE})
_SENT = {_M.SMS: LedgerType.SMS_CODE_SENT, _M.EMAIL_OTP: LedgerType.EMAIL_CODE_SENT}
_ACCEPTED = {_M.SMS: LedgerType.SMS_CODE_ACCEPTED, _M.EMAIL_OTP: LedgerType.EMAIL_CODE_ACCEPTED}


class NotAsked(Conflict):
    """The method is not the one that is asked for now: another tab was quicker, or the order is another."""

    code = "method_not_asked"
    remedy = "Load the page again: it shows the step that is next."

    def __init__(self) -> None:
        super().__init__("This way of authentication is not asked for now.")


class SentCode(msgspec.Struct, frozen=True):
    """`expires_at`: until when the code is good."""

    expires_at: datetime


class AnswerResult(msgspec.Struct, frozen=True, kw_only=True):
    """`tries_left` of the code or before the lock; `locked_until` set: the recipient is locked."""

    passed: bool
    tries_left: int | None = None
    locked_until: datetime | None = None


class Verdict(StrEnum):
    """How a try ended, whatever the method."""

    RIGHT = "right"
    WRONG = "wrong"
    OPEN = "open"  # the identity provider has not decided yet


def next_method(session: Session, recipient: EngineRecipient) -> AuthenticationMethod | None:
    """The first of the recipient's methods that this session has not passed; None when all are."""
    return next((one for one in recipient.authentication if one not in session.passed), None)


async def find_locked(engine: Engine, session: Session) -> datetime | None:
    """Until when the session's recipient is locked; None when not."""
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope = await load_envelope(tx, session.tenant_id, session.engine_id)
        return await find_lock(engine, tx, envelope, envelope.recipient(session.recipient_id))


async def send_code(
    engine: Engine, session: Session, method: AuthenticationMethod, visitor: Visitor
) -> SentCode:
    """A fresh code is on its way; the ones before are void. Raises TooManyTries, NotAsked when the method is not
    next, UnsupportedFeature for a country without codes. A locked recipient gets none: TooManyTries.
    """
    if method not in CODE_METHODS:
        raise NotAsked
    async with engine.database.transaction(session.tenant_id) as tx:
        # First what is the recipient's own: who asks too often must not use up what others share.
        envelope = await load_envelope(tx, session.tenant_id, session.engine_id)
        recipient = envelope.recipient(session.recipient_id)
        await _check_may_send(engine, tx, envelope, recipient, session, method)
    await take_sends(engine, session.tenant_id, recipient, method, visitor)
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope = await lock_envelope(tx, session.tenant_id, session.engine_id)
        recipient = envelope.recipient(session.recipient_id)
        await _check_may_send(engine, tx, envelope, recipient, session, method)
        expires_at = await put_code(engine, tx, envelope, recipient, method)
        await record(engine, tx, [_event(engine, envelope, recipient, visitor, _SENT[method], method)])
        await tx.commit()
    return SentCode(expires_at)


async def answer(
    engine: Engine,
    session: Session,
    method: AuthenticationMethod,
    answers: Mapping[str, str],
    visitor: Visitor,
) -> AnswerResult:
    """`answers`: `answer`, or `answer_0`.. for questions. Raises NotAsked when the method is not next,
    TooManyTries when the visitor's address has failed too often.
    """
    await check_address(engine, visitor)
    hashed = Verdict.WRONG
    if method in _HASHED:
        locked_until = await find_locked(engine, session)
        if locked_until is not None:
            return AnswerResult(passed=False, tries_left=0, locked_until=locked_until)
        # Hashing takes its time: nobody else of the envelope waits for it. It counts under the lock.
        hashed = await _judge_hashed(engine, session, method, answers)
    async with engine.database.transaction(session.tenant_id) as tx:
        envelope = await lock_envelope(tx, session.tenant_id, session.engine_id)
        recipient = envelope.recipient(session.recipient_id)
        passed = await lock_passed(engine, tx, session)
        if method in passed:  # another tab of this session was quicker, with the right answer
            return AnswerResult(passed=True)
        if method is not _next(passed, recipient):
            raise NotAsked
        locked_until = await find_lock(engine, tx, envelope, recipient)
        if locked_until is not None:
            return AnswerResult(passed=False, tries_left=0, locked_until=locked_until)
        verdict, code_tries = hashed, None
        if method not in _HASHED:
            verdict, code_tries = await _judge_code(engine, tx, envelope, recipient, method, answers)
        result = await settle(
            engine, tx, envelope, recipient, session, method, visitor, verdict, code_tries=code_tries
        )
        await tx.commit()
    if not result.passed:
        await count_address(engine, visitor)
    return result


async def settle(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    session: Session,
    method: AuthenticationMethod,
    visitor: Visitor,
    verdict: Verdict,
    *,
    code_tries: int | None = None,
) -> AnswerResult:
    """Writes what a try led to, in the caller's transaction: the session's level, counters, ledger, report."""
    if verdict is Verdict.OPEN:
        return AnswerResult(passed=False)
    is_right = verdict is Verdict.RIGHT
    await note_authentication(engine, tx, envelope, recipient, visitor, method, passed=is_right)
    if is_right:
        await clear_failures(tx, envelope, recipient, method)
        after = await note_passed(tx, session, method)
        await record(engine, tx, _accepted(engine, envelope, recipient, visitor, method, after))
        return AnswerResult(passed=True)
    if method in CODE_METHODS:
        return AnswerResult(passed=False, tries_left=code_tries)
    failed = await note_failure(engine, tx, envelope, recipient, method)
    if failed.locked_until is not None:
        event = locked_event(engine, envelope, recipient, visitor, method, failed.locked_until)
        await record(engine, tx, [event])
    return AnswerResult(passed=False, tries_left=failed.tries_left, locked_until=failed.locked_until)


async def check_address(engine: Engine, visitor: Visitor) -> None:
    """Raises TooManyTries when failures from this address have used up the hour."""
    failures = await engine.hub.fetchval(
        "SELECT amount FROM ceremony_counters WHERE tenant_id = $1 AND kind = $2 AND subject = $3 AND starts_at = $4",
        NOBODY,
        Counter.FAILURE.value,
        address_subject(engine, visitor.ip_address),
        window_start(engine.clock.now(), HOUR_S),
    )
    if (failures or 0) >= engine.settings.access.failures_per_ip_hourly:
        raise too_many(engine, HOUR_S)


async def count_address(engine: Engine, visitor: Visitor) -> None:
    most = engine.settings.access.failures_per_ip_hourly
    await engine.hub.fetchval(
        "SELECT take_allowance($1, $2, $3, $4, 1, $5)",
        NOBODY,
        Counter.FAILURE.value,
        address_subject(engine, visitor.ip_address),
        window_start(engine.clock.now(), HOUR_S),
        most,
    )


async def _judge_hashed(
    engine: Engine, session: Session, method: AuthenticationMethod, answers: Mapping[str, str]
) -> Verdict:
    envelope = await load_envelope(engine.database, session.tenant_id, session.engine_id)
    recipient = envelope.recipient(session.recipient_id)
    if method is _M.KNOWLEDGE:
        is_right = await are_answers(engine, engine.database, session.tenant_id, recipient, answers)
    else:
        given = answers.get("answer", "")
        is_right = await is_access_code(engine, engine.database, session.tenant_id, recipient, given)
    return Verdict.RIGHT if is_right else Verdict.WRONG


async def _judge_code(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    method: AuthenticationMethod,
    answers: Mapping[str, str],
) -> tuple[Verdict, int]:
    """The verdict, and the tries that the code has left. Raises NotAsked where nothing is typed."""
    if method not in CODE_METHODS:
        raise NotAsked
    tried = await try_code(engine, tx, envelope, recipient, method, answers.get("answer", ""))
    return (Verdict.RIGHT if tried.is_right else Verdict.WRONG), tried.tries_left


async def _check_may_send(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    session: Session,
    method: AuthenticationMethod,
) -> None:
    if method is not _next(await lock_passed(engine, tx, session), recipient):
        raise NotAsked
    locked_until = await find_lock(engine, tx, envelope, recipient)
    if locked_until is not None:
        raise TooManyTries(max(1, round((locked_until - engine.clock.now()).total_seconds())))
    await check_sends(engine, tx, envelope, recipient, method)


def _next(
    passed: tuple[AuthenticationMethod, ...], recipient: EngineRecipient
) -> AuthenticationMethod | None:
    return next((one for one in recipient.authentication if one not in passed), None)


def _accepted(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    method: AuthenticationMethod,
    after: Session,
) -> list[Event]:
    kinds = [_ACCEPTED[method]] if method in _ACCEPTED else []
    if next_method(after, recipient) is None:
        kinds.append(LedgerType.AUTHENTICATION_COMPLETED)
    return [_event(engine, envelope, recipient, visitor, kind, method) for kind in kinds]


def _event(
    engine: Engine,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    visitor: Visitor,
    kind: LedgerType,
    method: AuthenticationMethod,
) -> Event:
    resource = (ResourceType.RECIPIENT, recipient.id)
    facts = {"method": method.value}
    if kind is LedgerType.AUTHENTICATION_COMPLETED:
        facts = {"methods": ", ".join(recipient.authentication)}
    return ceremony_event(engine, envelope, recipient, visitor, kind, resource, facts=facts)
