"""Notes that a connection's credentials were of use, or that the provider refuses them: told once, when it begins."""

import logging
from uuid import UUID

from gateway.services import Services
from normalizer.events import SYSTEM, Event, ResourceType, Source, SourceKind
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType

logger = logging.getLogger("countersign.connections")


async def note_use(services: Services, tenant_id: UUID, connection_id: UUID, *, refused: str = "") -> None:
    """`refused`: what the provider said; empty when the credentials worked."""
    async with services.hub.transaction() as tx:
        has_begun = await tx.driver.fetchval(
            "SELECT keep_use($1, $2, $3)", tenant_id, connection_id, bool(refused)
        )
        if has_begun:
            printed = print_id(Kind.CONNECTION, connection_id)
            event = Event(
                id=services.ids.new(),
                type=LedgerType.CONNECTION_REFUSED,
                tenant_id=tenant_id,
                envelope_id=None,
                resource_type=ResourceType.CONNECTION,
                resource_id=printed,
                occurred_at=services.clock.now(),
                actor=SYSTEM,
                source=Source(kind=SourceKind.JOB),
                facts={"problem": refused[:500]},
            )
            await services.recorder.record(tx, [event])
            logger.warning("connection.refused", extra={"wide": {"connection_id": printed}})
        await tx.commit()
