"""Clears away what an ended try left behind at a provider: a draft that nobody will ever sign.

A draft is discarded; a twin that went out against all care is voided, so that nobody signs the same thing
twice. Until that has worked the row stays marked and the sweep tries again. Must never touch the envelope
that counts.
"""

import logging

import msgspec

from adapters.kit.outcome import Done, Rejected
from config.errors import StoreUnavailable
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.provider_call import call_provider
from gateway.envelopes.store import load_envelope
from gateway.services import Services
from normalizer.status import EnvelopeStatus

logger = logging.getLogger("countersign.envelopes")

_LEASE_S = 600.0
_REASON = "Superseded: the same envelope was sent by another try."


async def discard_orphans(services: Services, at_most: int = 20) -> int:
    """Tries every orphan that is due, over all tenants; how many there were."""
    rows = await services.hub.fetch("SELECT * FROM claim_orphans($1, $2)", at_most, _LEASE_S)
    for row in rows:
        try:
            envelope = await load_envelope(services.database, row["tenant_id"], row["envelope_id"])
            pinned = msgspec.structs.replace(envelope, connection_id=row["connection_id"])
            await discard_orphan(services, pinned, row["epoch"], row["provider_ref"])
        except StoreUnavailable:
            raise
        except Exception:  # one orphan must not keep the others at their providers; its lease ends
            logger.exception("an orphan could not be looked at")
    return len(rows)


async def discard_orphan(services: Services, envelope: StoredEnvelope, epoch: int, provider_ref: str) -> None:
    """Clears one away, on the connection that the envelope names; nothing is raised when it does not work."""
    try:
        is_gone = await clear_away(services, envelope, provider_ref)
    except Exception:  # a courtesy: whatever fails here must not fail what it follows; the sweep comes again
        logger.exception("what a try left at the provider could not be cleared away")
        return
    if not is_gone:
        return
    async with services.database.transaction(envelope.tenant_id) as tx:
        await tx.driver.execute(
            "UPDATE dispatch_attempts SET orphan = 'cleared'"
            " WHERE tenant_id = $1 AND envelope_id = $2 AND epoch = $3",
            envelope.tenant_id,
            envelope.id,
            epoch,
        )
        await tx.commit()


async def clear_away(services: Services, envelope: StoredEnvelope, provider_ref: str) -> bool:
    """Whether it is gone now: discarded, voided, or ended by itself."""
    orphan = msgspec.structs.replace(envelope, provider_ref=provider_ref, connection_version=None)
    seen = await call_provider(
        services,
        orphan,
        "get_envelope",
        lambda adapter, exchange, connection, ref: adapter.get_envelope(exchange, connection, ref),
    )
    if not isinstance(seen, Done):
        return isinstance(seen, Rejected) and seen.code == "not_found"
    if seen.value.status.is_terminal:
        return True
    if seen.value.status is EnvelopeStatus.DRAFT:
        discarded = await call_provider(
            services,
            orphan,
            "discard_draft",
            lambda adapter, exchange, connection, ref: adapter.discard_draft(exchange, connection, ref),
        )
        return isinstance(discarded, Done)
    logger.error("a twin of an envelope was sent; it is voided")
    voided = await call_provider(
        services,
        orphan,
        "void_envelope",
        lambda adapter, exchange, connection, ref: adapter.void_envelope(exchange, connection, ref, _REASON),
    )
    return isinstance(voided, Done)
