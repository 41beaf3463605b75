"""A webhook's bytes: made of the stored event and the delivery row only, so every attempt sends the same.

Must never read a clock, a setting or the endpoint: what may differ between two attempts is not in the body.
Source: Standard Webhooks 1.0.0, payload structure; the design documents (the payload is the wire's bytes).
"""

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from normalizer.ids import Kind, print_id

API_VERSION = "2026-11-01"


@lru_cache(maxsize=4096)
def _printed_tenant(tenant_id: UUID) -> str:
    return print_id(Kind.TENANT, tenant_id)


def message_id(event_id: UUID) -> str:
    """What webhook-id and the body's `id` say: the event's id, the same for every retry and endpoint."""
    return print_id(Kind.EVENT, event_id)


def compose_body(
    *, message: str, type_: str, occurred_at: datetime, tenant_id: UUID, sequence: int, data: bytes
) -> bytes:
    """`data` is the stored JSON object and goes in as it is. Types and ids need no escaping."""
    moment = occurred_at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6]
    head = (
        f'{{"id":"{message}","type":"{type_}","timestamp":"{moment}Z",'
        f'"tenant_id":"{_printed_tenant(tenant_id)}","sequence":{sequence},'
        f'"api_version":"{API_VERSION}","data":'
    )
    return b"".join((head.encode(), data, b"}"))
