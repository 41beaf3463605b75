"""What a delivery's attempts send: its bytes, made again from the stored event and the delivery row. Reads only.

MUST compose as the deliverer does (attempt.py): a reader compares these bytes with what arrived.
"""

from uuid import UUID

import msgspec

from config.database import Database
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id
from webhooks.outbound.compose import compose_body, message_id, refer_to_ledger


class SentMessage(msgspec.Struct, frozen=True):
    """`message`: what webhook-id says."""

    message: str
    type: str
    body: bytes


async def read_sent(database: Database, tenant_id: UUID, delivery_id: UUID) -> SentMessage:
    """Raises NotFound, also when the event behind a delivery has been removed after its retention."""
    async with database.transaction(tenant_id) as tx:
        row = await tx.driver.fetchrow(
            "SELECT d.event_id, d.sequence, d.payload, o.type, o.occurred_at, o.data, o.chain_id, o.ledger_seq,"
            " o.ledger_hash, o.api_version FROM deliveries d JOIN outbox_events o ON o.tenant_id = d.tenant_id"
            " AND o.id = d.event_id WHERE d.tenant_id = $1 AND d.id = $2",
            tenant_id,
            delivery_id,
        )
    if row is None:
        raise NotFound("delivery", print_id(Kind.DELIVERY, delivery_id))
    message = message_id(row["event_id"])
    body = compose_body(
        message=message,
        type_=row["type"],
        occurred_at=row["occurred_at"],
        tenant_id=tenant_id,
        sequence=row["sequence"],
        data=row["data"],
        payload=row["payload"],
        ledger=refer_to_ledger(row["chain_id"], row["ledger_seq"], row["ledger_hash"]),
        version=row["api_version"],
    )
    return SentMessage(message, row["type"], body)
