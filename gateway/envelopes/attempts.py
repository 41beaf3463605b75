"""The tries of one dispatch at its provider: which of them may still surface, and what each left behind."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from adapters.kit.port import SendMode
from gateway.envelopes.model import StoredEnvelope
from gateway.services import Services

# Ends that are no answer about the envelope: such a try does not count against the number of tries.
_NOTHING_SENT = frozenset({"notsent", "throttled", "authfailed"})


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`outcome` None: it runs, or its process died. `provider_ref`: what the provider called it, if known.
    `orphan` set: what it left at the provider does not count.
    """

    epoch: int
    connection_id: UUID
    mode: SendMode
    outcome: str | None
    provider_ref: str | None
    orphan: str | None

    @property
    def reached_provider(self) -> bool:
        return self.outcome not in _NOTHING_SENT


async def load_attempts(services: Services, envelope: StoredEnvelope) -> tuple[Attempt, ...]:
    """In the order in which they were made."""
    async with services.database.transaction(envelope.tenant_id) as tx:
        rows = await tx.driver.fetch(
            "SELECT epoch, connection_id, mode, outcome, provider_ref, orphan FROM dispatch_attempts"
            " WHERE tenant_id = $1 AND envelope_id = $2 ORDER BY epoch",
            envelope.tenant_id,
            envelope.id,
        )
    return tuple(msgspec.convert(dict(row), Attempt) for row in rows)


def open_attempts(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The tries that belong to the question that is open now: the last direct one and every retry after it.

    Tries before it ended definitely; what they left is an orphan, with contents that may have changed since.
    """
    start = max((n for n, one in enumerate(attempts) if one.mode is SendMode.SEND), default=0)
    return tuple(attempts[start:])
