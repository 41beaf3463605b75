"""One look at one envelope at its provider, no more often than the provider tolerates it.

An interval is used up by an answer that had its effect, and by nothing else: a provider that was away, throttled or
never reached is asked again, and so is one whose answer was lost with our own store or process.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.kit.outcome import Done, Outcome, Rejected
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.provider_call import call_provider
from gateway.services import Services
from gateway.tenants.open_connection import open_connection
from normalizer.envelope import EnvelopeReport


@asynccontextmanager
async def look(services: Services, envelope: StoredEnvelope) -> AsyncIterator[Outcome[EnvelopeReport] | None]:
    """What the provider answers, or None: it may not be asked yet, or the envelope is at no provider.

    The body does what follows from the answer. If it raises, the look did not count.
    """
    ref = envelope.provider_ref
    if envelope.connection_id is None or ref is None:
        yield None
        return
    opened = await open_connection(
        services, envelope.tenant_id, envelope.connection_id, envelope.connection_version
    )
    adapter, connection = opened.adapter, opened.connection
    if not await services.executor.begin_poll(adapter, connection, ref):
        yield None
        return
    counts = False
    try:
        outcome = await call_provider(
            services,
            envelope,
            "get_envelope",
            lambda adapter, exchange, connection, ref: adapter.get_envelope(exchange, connection, ref),
        )
        yield outcome
        counts = isinstance(outcome, Done | Rejected)
    finally:
        await services.executor.end_poll(adapter, connection, ref, counts=counts)
