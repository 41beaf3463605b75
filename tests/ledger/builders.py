"""Events with defaults."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import msgspec

from normalizer.events import Actor, ActorType, Event, ResourceType, Source, SourceKind
from normalizer.vocabulary import LedgerType

TENANT = UUID("0190a000-0000-7000-8000-000000000001")
OTHER = UUID("0190a000-0000-7000-8000-000000000002")
ENVELOPE = UUID("0190a000-0000-7000-8000-0000000000e1")
ANN = Actor(
    type=ActorType.USER,
    id="u-17",
    credential_id="key_1",
    name="Ann Example",
    email="Ann@Example.com",
    ip_address="192.0.2.7",
    user_agent="DMS/1",
)
API = Source(kind=SourceKind.API, request_id="req-1")


def make_event(**changes: object) -> Event:
    event = Event(
        id=uuid4(),
        type=LedgerType.DOCUMENT_UPLOADED,
        tenant_id=TENANT,
        envelope_id=ENVELOPE,
        resource_type=ResourceType.ENVELOPE,
        resource_id=str(ENVELOPE),
        occurred_at=datetime.now(UTC),
        actor=ANN,
        source=API,
        facts={"pages": 3, "sha256": "ab" * 32},
    )
    return msgspec.structs.replace(event, **changes)


def make_announced(**changes: object) -> Event:
    return make_event(
        **{
            "type": LedgerType.ENVELOPE_SENT,
            "announcement": {"envelope_id": str(ENVELOPE), "status": "sent"},
            **changes,
        }
    )
