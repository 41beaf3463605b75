"""Whose turn it is. Pure: recipients in, recipients out.

The lowest routing order among those who have still to act has its turn, all of that order at once. A carbon
copy is informed when its order is reached, and nobody waits for it. Must never let two orders act at a time.
"""

from collections.abc import Sequence

from engine.model import EngineEnvelope, EngineRecipient


def whose_turn(recipients: Sequence[EngineRecipient]) -> tuple[EngineRecipient, ...]:
    """Those who may act now; () when everybody has finished."""
    waiting = [one for one in recipients if is_waited_for(one)]
    turn = min((one.routing_order for one in waiting), default=0)
    return tuple(one for one in waiting if one.routing_order == turn)


def copies_due(recipients: Sequence[EngineRecipient]) -> tuple[EngineRecipient, ...]:
    """The carbon copies whose order is reached, or passed, and who have not been told."""
    turn = whose_turn(recipients)
    reached = turn[0].routing_order if turn else None
    return tuple(
        one
        for one in recipients
        if not one.role.acts
        and not one.status.is_terminal
        and one.sent_at is None
        and (reached is None or one.routing_order <= reached)
    )


def is_waited_for(recipient: EngineRecipient) -> bool:
    return recipient.role.acts and not recipient.status.is_terminal


def may_act(envelope: EngineEnvelope, recipient: EngineRecipient) -> bool:
    """Whether the envelope is open and it is this recipient's turn in it, by what is stored now."""
    turn = whose_turn(envelope.recipients) if envelope.status.is_open else ()
    return any(one.id == recipient.id for one in turn)
