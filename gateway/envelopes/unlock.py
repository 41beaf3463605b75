"""Unlocks a recipient who failed to authenticate too often: at the sender's word, and recorded."""

from uuid import UUID

from adapters.kit.port import InProcess
from engine.ceremony.lockout import unlock_recipient
from engine.envelopes.lineage import holder_of
from engine.store import load_envelope as load_engine_envelope
from gateway.envelopes.store import load_envelope
from gateway.services import Caller, Services
from normalizer.errors import NotFound, UnsupportedFeature
from normalizer.ids import Kind, print_id


async def unlock(services: Services, caller: Caller, envelope_id: UUID, recipient_id: UUID) -> bool:
    """Whether there was a lock to end. Raises NotFound; UnsupportedFeature where the provider locks by itself."""
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    if envelope.recipient(recipient_id) is None:
        raise NotFound("recipient", print_id(Kind.RECIPIENT, recipient_id))
    provider = envelope.provider or ""
    if envelope.provider_ref is None:
        return False
    if not isinstance(services.adapters.get(provider), InProcess):
        raise UnsupportedFeature(provider, "unlocking a recipient")
    engine_id = UUID(envelope.provider_ref)
    held = await load_engine_envelope(services.database, caller.tenant_id, engine_id)
    try:
        holder = holder_of(held.recipients, recipient_id)
    except KeyError as error:
        raise NotFound("recipient", print_id(Kind.RECIPIENT, recipient_id)) from error
    return await unlock_recipient(
        services.engine, caller.tenant_id, engine_id, holder.id, caller.actor, caller.source
    )
