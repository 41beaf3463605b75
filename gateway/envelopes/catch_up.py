"""Asks providers about open envelopes from which nothing was heard for long: a webhook may have been lost.

A provider gives a message up in the end, and one that could not be told where to send its messages never sends
any. What is read has the effect that the message would have had. The older an envelope, the more rarely it is
asked about: an account's calls are counted. Must never ask more often than providers tolerate for one object.
"""

import asyncio
import logging
from uuid import UUID

from adapters.kit.outcome import Done
from gateway.envelopes.apply_report import apply_report
from gateway.envelopes.provider_call import call_provider
from gateway.envelopes.store import load_envelope, lock_envelope
from gateway.services import Services
from normalizer.events import SYSTEM, Source, SourceKind

logger = logging.getLogger("countersign.envelopes")

_AT_ONCE = 5
_SOURCE = Source(kind=SourceKind.RECONCILE)


async def catch_up_due(services: Services, at_most: int = 20) -> int:
    """Asks about what has been silent too long, over all tenants; how many there were."""
    after_s = services.settings.dispatch.catch_up_after_s
    rows = await services.hub.fetch("SELECT * FROM claim_silent($1, $2)", at_most, after_s)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask(tenant_id: UUID, envelope_id: UUID) -> None:
        async with gate:
            try:
                await catch_up(services, tenant_id, envelope_id)
            except Exception:  # one envelope must not keep the others from being asked about
                logger.exception("an envelope could not be caught up with")

    await asyncio.gather(*(ask(row["tenant_id"], row["envelope_id"]) for row in rows))
    return len(rows)


async def catch_up(services: Services, tenant_id: UUID, envelope_id: UUID) -> None:
    """One question, and what follows from the answer. Without an answer it is asked again another time."""
    envelope = await load_envelope(services.database, tenant_id, envelope_id)
    outcome = await call_provider(
        services,
        envelope,
        "get_envelope",
        lambda adapter, exchange, connection, ref: adapter.get_envelope(exchange, connection, ref),
    )
    if not isinstance(outcome, Done):
        return
    async with services.database.transaction(tenant_id) as tx:
        locked = await lock_envelope(tx, tenant_id, envelope_id)
        if locked.provider_ref != envelope.provider_ref or locked.status.is_terminal:
            return
        await apply_report(services, tx, locked, outcome.value, SYSTEM, _SOURCE)
        await tx.commit()
