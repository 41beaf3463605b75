"""Calls the provider that an envelope is pinned to, outside any transaction, and names what came of it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from adapters.kit.exchange import Exchange
from adapters.kit.outcome import Done, Outcome
from adapters.kit.port import Adapter, Connection
from gateway.envelopes.model import StoredEnvelope
from gateway.envelopes.problems import refusal_error
from gateway.services import Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.open_connection import open_connection
from normalizer.errors import InvalidTransition

T = TypeVar("T")
Operation = Callable[[Adapter, Exchange, Connection, str], Awaitable[T]]


async def call_provider(
    services: Services, envelope: StoredEnvelope, name: str, operation: Operation[T]
) -> Outcome[T]:
    """Runs `operation(adapter, exchange, connection, provider_ref)` on the pinned connection.

    Raises InvalidTransition while the envelope is at no provider yet.
    """
    if envelope.connection_id is None or envelope.provider_ref is None:
        raise InvalidTransition(
            envelope.status, name, f"The envelope is {envelope.status} and at no provider yet."
        )
    opened = await open_connection(
        services, envelope.tenant_id, envelope.connection_id, envelope.connection_version
    )
    adapter, connection, ref = opened.adapter, opened.connection, envelope.provider_ref
    return await services.executor.run(
        adapter,
        connection,
        name,
        lambda exchange: operation(adapter, exchange, connection, ref),
        blobs=TenantBlobs(services.blobs, envelope.tenant_id),
    )


def require_done(provider: str, outcome: Outcome[T]) -> T:
    """The value, or the error that a waiting caller gets."""
    if isinstance(outcome, Done):
        return outcome.value
    raise refusal_error(provider, outcome)
