"""Where a tenant may embed the signing ceremony and where it may lead back to: an administrator's lists."""

from uuid import UUID

from engine.ceremony.embedding import (
    EmbeddingLists,
    find_embedding_faults,
    load_embedding,
    save_embedding,
)
from gateway.services import Caller, Services
from gateway.tenants.facts import tenant_event
from gateway.tenants.tenants import read_tenant
from normalizer.errors import ValidationFailed
from normalizer.events import ResourceType
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType


async def read_embedding(services: Services, tenant_id: UUID) -> EmbeddingLists:
    """Raises NotFound."""
    await read_tenant(services, tenant_id)
    async with services.hub.transaction(tenant_id) as tx:
        return await load_embedding(tx, tenant_id)


async def set_embedding(
    services: Services, caller: Caller, tenant_id: UUID, lists: EmbeddingLists
) -> EmbeddingLists:
    """Both lists are these from now on. Raises NotFound, ValidationFailed for what is no exact https address."""
    faults = find_embedding_faults(lists, services.settings.countersign.loopback_allow_list)
    if faults:
        raise ValidationFailed("These lists cannot be set.", faults)
    await read_tenant(services, tenant_id)
    async with services.hub.transaction(tenant_id) as tx:
        await save_embedding(tx, tenant_id, lists)
        await services.recorder.record(
            tx,
            [
                tenant_event(
                    services,
                    caller,
                    LedgerType.TENANT_CHANGED,
                    tenant_id,
                    ResourceType.TENANT,
                    print_id(Kind.TENANT, tenant_id),
                    {
                        "changed": ("embedding",),
                        "origins": lists.origins,
                        "return_urls": len(lists.return_urls),
                    },
                )
            ],
        )
        await tx.commit()
        # The answer is what is kept: sorted, as it will be read.
    return await read_embedding(services, tenant_id)
