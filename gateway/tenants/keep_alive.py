"""Uses credentials that die of idleness before they do: a connection that nobody needs for weeks stays usable.

Source: docs/pitfalls.md row 44.
"""

import logging
from datetime import timedelta
from uuid import UUID

from adapters.kit.outcome import AuthFailed, Done
from adapters.kit.port import ExpiringGrant
from config.errors import StoreUnavailable
from gateway.envelopes.problems import refusal_error
from gateway.services import Services
from gateway.tenant_blobs import TenantBlobs
from gateway.tenants.open_connection import open_connection
from gateway.tenants.refused_credentials import note_use

logger = logging.getLogger("countersign.connections")


async def keep_alive_due(services: Services, at_most: int = 50) -> int:
    """Uses what has been idle for long, over all tenants; how many were used."""
    used = 0
    idle_s = timedelta(days=services.settings.sweep.keep_alive_days).total_seconds()
    for name, adapter in services.adapters.items():
        if not isinstance(adapter, ExpiringGrant):
            continue
        rows = await services.hub.fetch("SELECT * FROM claim_idle($1, $2, $3)", at_most, idle_s, name)
        for row in rows:
            try:
                used += await keep_alive(services, row["tenant_id"], row["connection_id"])
            except StoreUnavailable:
                raise
            except Exception:  # one connection must not let the others die
                logger.exception("a connection could not be kept alive")
    return used


async def keep_alive(services: Services, tenant_id: UUID, connection_id: UUID) -> bool:
    """False: its credentials do not die, or the provider could not be asked and is asked again tomorrow."""
    opened = await open_connection(services, tenant_id, connection_id)
    adapter, connection = opened.adapter, opened.connection
    if not isinstance(adapter, ExpiringGrant) or adapter.idle_limit(connection) is None:
        return False
    await services.executor.forget_tokens(
        opened.adapter, connection
    )  # a token at hand would spare the refresh
    outcome = await services.executor.run(
        opened.adapter,
        connection,
        "keep_alive",
        lambda exchange: opened.adapter.check_credentials(exchange, connection),
        blobs=TenantBlobs(services.blobs, tenant_id),
    )
    if isinstance(outcome, Done):
        await note_use(services, tenant_id, connection_id)
        return True
    if isinstance(outcome, AuthFailed):
        error = refusal_error(opened.adapter.name, outcome)
        await note_use(services, tenant_id, connection_id, refused=error.detail)
    return False
