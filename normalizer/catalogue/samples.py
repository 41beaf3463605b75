"""The people and things of the catalogue's examples, the same in every document that shows one."""

from datetime import UTC, datetime
from uuid import UUID

from msgspec import UNSET

from normalizer.catalogue.operational import (
    DeliveryExhaustedData,
    EndpointDisabledData,
    EndpointFailingData,
    EndpointRecoveredData,
)
from normalizer.catalogue.payloads import (
    EndpointTestData,
    EnvelopeData,
    EnvelopeSummary,
    RecipientData,
    RecipientSummary,
)
from normalizer.ids import Kind, print_id
from normalizer.recipient import Role
from normalizer.status import EnvelopeStatus, RecipientStatus


def _uuid(number: int) -> UUID:
    return UUID(f"01935d1e-0000-7000-8000-{number:012d}")


def _sample_id(kind: Kind, number: int) -> str:
    return print_id(kind, _uuid(number))


EVENT_ID = _sample_id(Kind.EVENT, 1)
TENANT = _uuid(2)
TENANT_ID = print_id(Kind.TENANT, TENANT)
ENVELOPE_ID = _sample_id(Kind.ENVELOPE, 3)
RECIPIENT_ID = _sample_id(Kind.RECIPIENT, 4)
ENDPOINT_ID = _sample_id(Kind.ENDPOINT, 5)
DELIVERY_ID = _sample_id(Kind.DELIVERY, 6)
FAILED_EVENT_ID = _sample_id(Kind.EVENT, 7)
ENVELOPE_CHAIN = f"env:{_uuid(3)}"
TENANT_CHAIN = f"tenant:{TENANT}"
LEDGER_SEQ = 6
LEDGER_HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MOMENT = "2026-11-01T12:30:15.678Z"
SEQUENCE = 42


def _envelope(status: EnvelopeStatus) -> EnvelopeSummary:
    is_placed = status is not EnvelopeStatus.DRAFT
    return EnvelopeSummary(
        id=ENVELOPE_ID,
        status=status,
        name="Purchase of a lathe",
        reference="PO-4711",
        provider="internal" if is_placed else "",
        sender_id="dms-user-7",
    )


def envelope_data(status: EnvelopeStatus, reason: str) -> EnvelopeData:
    return EnvelopeData(envelope=_envelope(status), reason=reason or UNSET)


def recipient_data(status: RecipientStatus, reason: str) -> RecipientData:
    recipient = RecipientSummary(
        id=RECIPIENT_ID,
        name="Ada Lovelace",
        email="ada@example.com",
        role=Role.SIGNER,
        routing_order=1,
        status=status,
    )
    return RecipientData(envelope=_envelope(EnvelopeStatus.SENT), recipient=recipient, reason=reason or UNSET)


ENDPOINT_TEST = EndpointTestData(
    endpoint_id=ENDPOINT_ID,
    description="A test of this endpoint; nothing has happened to an envelope.",
)

_FAILING_SINCE = datetime(2026, 11, 1, 11, 58, 2, tzinfo=UTC)
ENDPOINT_FAILING = EndpointFailingData(endpoint_id=ENDPOINT_ID, failures=5, failing_since=_FAILING_SINCE)
ENDPOINT_RECOVERED = EndpointRecoveredData(
    endpoint_id=ENDPOINT_ID,
    failing_since=_FAILING_SINCE,
    recovered_at=datetime(2026, 11, 1, 12, 30, 15, tzinfo=UTC),
)
ENDPOINT_DISABLED = EndpointDisabledData(
    endpoint_id=ENDPOINT_ID,
    reason="the endpoint said that it is gone",
    held=3,
    last_status=410,
    delivery_id=DELIVERY_ID,
)
DELIVERY_EXHAUSTED = DeliveryExhaustedData(
    delivery_id=DELIVERY_ID,
    endpoint_id=ENDPOINT_ID,
    event_id=FAILED_EVENT_ID,
    event_type="envelope.completed",
    sequence=41,
    envelope_id=ENVELOPE_ID,
    attempts=4,
    last_status=503,
)
