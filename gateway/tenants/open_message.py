"""Opens a kept message for an administrator, with everything personal masked; that it was opened is recorded.

Must never hand out the bytes themselves, nor a header: signatures and people's data are in them.
"""

from uuid import UUID

from config.vault import Place
from gateway.services import Caller, Services
from normalizer.errors import Conflict, NotFound, PayloadMalformed
from normalizer.ids import Kind, print_id
from normalizer.vocabulary import LedgerType
from webhooks.inbound.facts import message_event
from webhooks.inbound.masked import mask_body
from webhooks.inbound.message import TABLE


async def open_message(services: Services, caller: Caller, tenant_id: UUID, message_id: UUID) -> bytes:
    """Indented JSON. Raises NotFound; Conflict for a body that is no JSON."""
    async with services.database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(
            "SELECT body, connection_id FROM inbox_messages WHERE tenant_id = $1 AND id = $2",
            tenant_id,
            message_id,
        )
        if row is None:
            raise NotFound("message", print_id(Kind.MESSAGE, message_id))
        plain = await services.vault.decrypt(tx, tenant_id, Place(TABLE, "body", message_id), row["body"])
        try:
            shown = mask_body(plain)
        except PayloadMalformed as error:
            raise Conflict(error.detail, remedy="Its digest and size are shown with the message.") from error
        event = message_event(
            LedgerType.INBOUND_OPENED,
            services.ids.new(),
            services.clock.now(),
            tenant_id=tenant_id,
            message_id=message_id,
            source=caller.source,
            actor=caller.actor,
            facts={"connection_id": print_id(Kind.CONNECTION, row["connection_id"])},
        )
        await services.recorder.record(tx, [event])
        await tx.commit()
    return shown
