"""Asks again those whose turn it is: with a new link, and the former one opens nothing any more."""

from collections.abc import Sequence
from uuid import UUID

from engine.engine import Engine
from engine.envelopes.act import check_turn
from engine.envelopes.changes import change_recipient
from engine.envelopes.commit import commit_told
from engine.envelopes.letters import invite
from engine.envelopes.lineage import holder_of
from engine.envelopes.turn import whose_turn
from engine.model import EngineEnvelope, EngineRecipient
from engine.store import lock_envelope
from normalizer.errors import InvalidTransition, NotFound
from normalizer.ids import Kind, print_id
from normalizer.status import RecipientStatus


async def resend(
    engine: Engine, tenant_id: UUID, engine_id: UUID, places: Sequence[UUID], note: str
) -> EngineEnvelope:
    """Everybody whose turn it is; with `places` (recipients' ids at the gateway), only those.

    Raises NotFound, InvalidTransition for an envelope that is not under way or a person out of turn.
    """
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        if not envelope.status.is_open:
            raise InvalidTransition(envelope.status, "resent")
        chosen = [find_holder(envelope, place) for place in places]
        for one in chosen:
            check_turn(envelope, one, "asked again")
        asked = tuple(chosen) or whose_turn(envelope.recipients)
        for one in asked:
            if one.status is RecipientStatus.BOUNCED:
                envelope = await change_recipient(tx, envelope, one.id, {"status": RecipientStatus.SENT})
        await invite(engine, tx, envelope, asked, note)
        await commit_told(tx)
    return envelope


def find_holder(envelope: EngineEnvelope, place: UUID) -> EngineRecipient:
    """Raises NotFound."""
    try:
        return holder_of(envelope.recipients, place)
    except KeyError as error:
        raise NotFound(Kind.RECIPIENT, print_id(Kind.RECIPIENT, place)) from error
