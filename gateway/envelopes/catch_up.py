"""Asks providers about open envelopes from which nothing was heard for long: a webhook may have been lost.

A provider gives a message up in the end, one that could not be told where to send its messages never sends any, and
not every provider's list says all (sweep_changes.py). What is read has the effect that the message would have had.
The older an envelope, the more rarely it is asked about: an account's calls are counted. Must never ask more often
than providers tolerate for one object.
"""

import asyncio
import logging
from uuid import UUID

from adapters.kit.outcome import Done, Rejected
from gateway.envelopes.drift import Drift, DriftKind, FoundBy, apply_seen, note_stranger
from gateway.envelopes.look import look
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.store import load_envelope
from gateway.services import Services
from gateway.tenants.open_connection import open_connection

logger = logging.getLogger("countersign.envelopes")

_AT_ONCE = 5


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
    if envelope.connection_id is None or envelope.provider_ref is None:
        return
    opened = await open_connection(services, tenant_id, envelope.connection_id, envelope.connection_version)
    async with look(services, envelope) as outcome:
        if isinstance(outcome, Done):
            await apply_seen(
                services,
                tenant_id,
                envelope_id,
                outcome.value,
                FoundBy.READ,
                expects_webhooks=bool(opened.connection.webhook_url),
            )
        elif isinstance(outcome, Rejected) and outcome.code == "not_found":
            await _note_gone(services, envelope)


async def _note_gone(services: Services, envelope: StoredEnvelope) -> None:
    assert envelope.connection_id is not None  # noqa: S101 - it has a provider's id
    found = Drift(
        connection_id=envelope.connection_id,
        envelope_id=envelope.id,
        provider_ref=envelope.provider_ref or "",
        kind=DriftKind.GONE,
        ours=str(envelope.status),
        theirs="",
        found_by=FoundBy.READ,
    )
    await note_stranger(services, envelope.tenant_id, found)
