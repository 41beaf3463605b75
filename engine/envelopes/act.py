"""What a recipient does in the ceremony: opens, proves who they are, finishes, declines, hands over.

Every function changes the locked envelope in the caller's transaction, tells the gateway and writes the letters;
the caller holds the lock, records the ceremony's own facts and commits. Whether it is legal is decided here, on
the locked state: two tabs and two recipients take turns. Must never let anybody act out of turn.
"""

from typing import Any
from uuid import UUID

from config.database import Transaction
from engine.engine import Engine
from engine.envelopes import hand_over
from engine.envelopes.ask import ask_due
from engine.envelopes.changes import change_envelope, change_recipient
from engine.envelopes.end import end_envelope
from engine.envelopes.letters import withdraw
from engine.envelopes.report import Happening, Word, happening, tell
from engine.envelopes.turn import may_act, whose_turn
from engine.envelopes.visitor import MOST_ADDRESS, MOST_AGENT, Visitor
from engine.model import EngineEnvelope, EngineRecipient, EngineStatus
from engine.notify.notice import NoticeKind
from normalizer.errors import InvalidTransition
from normalizer.recipient import AuthenticationMethod
from normalizer.status import RecipientStatus

SEAL = "seal"  # the job that is woken when everybody has finished
_UNOPENED = frozenset({RecipientStatus.SENT, RecipientStatus.BOUNCED})
_MOST_REASON = 1000


async def view_recipient(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient, who: Visitor
) -> EngineEnvelope:
    """The recipient has opened the documents; told once. A look at an ended envelope changes nothing."""
    envelope, told = await _open(engine, tx, envelope, recipient, who)
    await tell(engine, tx, envelope, told)
    return envelope


async def note_authentication(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    who: Visitor,
    method: AuthenticationMethod,
    *,
    passed: bool,
) -> None:
    """Tells the gateway that a method was passed, or a try at it failed. A failure stops nobody by itself."""
    word = Word.RECIPIENT_AUTHENTICATED if passed else Word.RECIPIENT_REFUSED
    status = None if passed else RecipientStatus.AUTH_FAILED
    fact = happening(
        engine, envelope, word, recipient, status=status, ip_address=who.ip_address, method=method
    )
    await tell(engine, tx, envelope, (fact,))


async def complete_recipient(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    who: Visitor,
    *,
    signed_name: str,
    meaning: str,
    geolocation: str,
    time_zone: str,
) -> EngineEnvelope:
    """The recipient has finished: the next are asked, or the documents are to be sealed. Whether every required
    field is filled is the caller's to know. Raises InvalidTransition out of turn and a second time.
    """
    check_turn(envelope, recipient, "finish")
    check_deadline(engine, envelope, "finish")
    envelope, opened = await _open(engine, tx, envelope, recipient, who)
    changes = _left_by(who) | {
        "status": RecipientStatus.COMPLETED,
        "completed_at": engine.clock.now(),
        "signed_name": signed_name[:200],
        "meaning": meaning[:200],
        "geolocation": geolocation[:60],
        "time_zone": time_zone[:60],
    }
    envelope = await change_recipient(tx, envelope, recipient.id, changes)
    finished = happening(
        engine,
        envelope,
        Word.RECIPIENT_FINISHED,
        recipient,
        status=RecipientStatus.COMPLETED,
        ip_address=who.ip_address,
    )
    if whose_turn(envelope.recipients):
        envelope, asked = await ask_due(engine, tx, envelope)
    else:
        envelope, asked = await _hand_to_sealing(engine, tx, envelope)
    await tell(engine, tx, envelope, (*opened, finished, *asked))
    return envelope


async def decline_recipient(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    who: Visitor,
    reason: str,
) -> EngineEnvelope:
    """One refusal ends the envelope for all. Raises InvalidTransition out of turn."""
    check_turn(envelope, recipient, "decline")
    check_deadline(engine, envelope, "decline")
    reason = reason.strip()[:_MOST_REASON]
    changes = _left_by(who) | {
        "status": RecipientStatus.DECLINED,
        "reason": reason,
        "completed_at": engine.clock.now(),
    }
    envelope = await change_recipient(tx, envelope, recipient.id, changes)
    declined = happening(
        engine,
        envelope,
        Word.RECIPIENT_DECLINED,
        recipient,
        status=RecipientStatus.DECLINED,
        reason=reason,
        ip_address=who.ip_address,
    )
    return await end_envelope(
        engine, tx, envelope, EngineStatus.DECLINED, reason=reason, by=recipient.name, first=(declined,)
    )


async def delegate_recipient(
    engine: Engine,
    tx: Transaction,
    envelope: EngineEnvelope,
    recipient: EngineRecipient,
    who: Visitor,
    *,
    name: str,
    email: str,
    reason: str,
) -> UUID:
    """The id of whoever stands in this place now: asked by letter, with a link of their own and the same proofs
    of identity. Raises InvalidTransition out of turn, ValidationFailed for a person who cannot take over.
    """
    check_turn(envelope, recipient, "delegate")
    check_deadline(engine, envelope, "delegate")
    hand_over.check_successor(envelope, recipient, name, email)
    envelope = await change_recipient(
        tx,
        envelope,
        recipient.id,
        _left_by(who)
        | {"status": RecipientStatus.REASSIGNED, "reason": reason, "completed_at": engine.clock.now()},
    )
    await withdraw(engine, tx, envelope, recipient)
    envelope, successor = await hand_over.put_successor(
        engine, tx, envelope, recipient, name=name, email=email, reason=reason
    )
    await hand_over.introduce(engine, tx, envelope, recipient, successor, NoticeKind.DELEGATED, reason)
    fact = happening(
        engine,
        envelope,
        Word.RECIPIENT_DELEGATED,
        recipient,
        reason=reason,
        ip_address=who.ip_address,
        successor=successor,
    )
    await tell(engine, tx, envelope, (fact,))
    return successor.id


def check_turn(envelope: EngineEnvelope, recipient: EngineRecipient, wanted: str) -> None:
    """Raises InvalidTransition unless this recipient may act now."""
    if may_act(envelope, recipient):
        return
    if not envelope.status.is_open:
        detail = f"The envelope is {envelope.status}; nobody acts in it any more."
        raise InvalidTransition(envelope.status, wanted, detail)
    current = next((one for one in envelope.recipients if one.id == recipient.id), recipient)
    detail = (
        f"This recipient is {current.status} already."
        if current.status.is_terminal
        else "It is not this recipient's turn."
    )
    raise InvalidTransition(current.status, wanted, detail)


def check_deadline(engine: Engine, envelope: EngineEnvelope, wanted: str) -> None:
    """Raises InvalidTransition after the deadline: the sweep that ends the envelope may come later."""
    if envelope.expires_at is not None and envelope.expires_at <= engine.clock.now():
        raise InvalidTransition(envelope.status, wanted, "The envelope's deadline is over.")


async def _open(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope, recipient: EngineRecipient, who: Visitor
) -> tuple[EngineEnvelope, tuple[Happening, ...]]:
    current = envelope.recipient(recipient.id)
    if not envelope.status.is_open or current.status not in _UNOPENED:
        return envelope, ()
    changes = _left_by(who) | {"status": RecipientStatus.DELIVERED, "delivered_at": engine.clock.now()}
    envelope = await change_recipient(tx, envelope, recipient.id, changes)
    fact = happening(
        engine,
        envelope,
        Word.RECIPIENT_VIEWED,
        current,
        status=RecipientStatus.DELIVERED,
        ip_address=who.ip_address,
    )
    return envelope, (fact,)


async def _hand_to_sealing(
    engine: Engine, tx: Transaction, envelope: EngineEnvelope
) -> tuple[EngineEnvelope, tuple[Happening, ...]]:
    """Late copies are asked with the completion: there is something to send them then."""
    changes = {
        "status": EngineStatus.SEALING,
        "seal_due_at": engine.clock.now(),
        "next_reminder_at": None,
        "warn_at": None,
    }
    envelope = await change_envelope(tx, envelope, changes)

    async def wake() -> None:
        engine.wake(SEAL)

    tx.on_commit(wake)
    return envelope, ()


def _left_by(who: Visitor) -> dict[str, Any]:
    return {"ip_address": who.ip_address[:MOST_ADDRESS], "user_agent": who.user_agent[:MOST_AGENT]}
