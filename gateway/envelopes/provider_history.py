"""The provider's own history of an envelope, beside our ledger and never mixed into it."""

from uuid import UUID

from gateway.envelopes.provider_call import call_provider, require_done
from gateway.envelopes.store import load_envelope
from gateway.services import Caller, Services
from normalizer.envelope import AuditRecord


async def read_provider_history(
    services: Services, caller: Caller, envelope_id: UUID
) -> tuple[AuditRecord, ...]:
    envelope = await load_envelope(services.database, caller.tenant_id, envelope_id)
    outcome = await call_provider(
        services,
        envelope,
        "audit_trail",
        lambda adapter, exchange, connection, ref: adapter.audit_trail(exchange, connection, ref),
    )
    return require_done(envelope.provider or "", outcome)
