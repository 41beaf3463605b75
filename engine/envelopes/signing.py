"""Makes the address by which an embedded recipient signs inside the caller's own page: once, within minutes."""

from collections.abc import Sequence
from uuid import UUID

from engine.ceremony.links import make_embedded_link
from engine.engine import Engine
from engine.envelopes.act import check_turn
from engine.envelopes.commit import commit_told
from engine.envelopes.resend import find_holder
from engine.store import lock_envelope
from normalizer.errors import ValidationFailed


async def make_signing_url(
    engine: Engine,
    tenant_id: UUID,
    engine_id: UUID,
    place: UUID,
    *,
    origins: Sequence[str],
    return_url: str,
) -> str:
    """Raises NotFound, InvalidTransition out of turn, ValidationFailed for somebody who is asked by mail."""
    async with engine.database.transaction(tenant_id) as tx:
        envelope = await lock_envelope(tx, tenant_id, engine_id)
        recipient = find_holder(envelope, place)
        check_turn(envelope, recipient, "sign")
        if not recipient.embedded:
            raise ValidationFailed("This recipient signs by the link in their mail.", code="not_embedded")
        url = await make_embedded_link(
            engine, tx, envelope, recipient, origins=origins, return_url=return_url
        )
        await commit_told(tx)
    return url
