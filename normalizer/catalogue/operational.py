"""The `data` of events about deliveries themselves, full and thin; see payloads.py for those about envelopes.

They go only to endpoints that name them, and never to the endpoint that they are about.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from normalizer.catalogue.payloads import DeliveryId, EndpointId, EnvelopeId, EventId, Path

Failures = Annotated[int, Meta(ge=1, description="Failures in a row, of any of its deliveries.")]
FailingSince = Annotated[datetime, Meta(description="When the first of these failures was.")]
LastStatus = Annotated[
    int | None, Meta(description="The HTTP status of the last answer; null when none came.")
]


class EndpointFailingData(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: EndpointId
    failures: Failures
    failing_since: FailingSince


class EndpointRecoveredData(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: EndpointId
    failing_since: Annotated[datetime, Meta(description="Since when it had been failing.")]
    recovered_at: Annotated[datetime, Meta(description="Its first success.")]


class EndpointDisabledData(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: EndpointId
    reason: Annotated[str, Meta(description="Why it was switched off, in words.")]
    held: Annotated[int, Meta(ge=0, description="Deliveries that wait until it is switched on.")]
    failures: Failures | UnsetType = UNSET
    failing_since: FailingSince | UnsetType = UNSET
    last_status: LastStatus | UnsetType = UNSET
    delivery_id: (
        Annotated[DeliveryId, Meta(description="The delivery whose answer said that the endpoint is gone.")]
        | UnsetType
    ) = UNSET


class DeliveryExhaustedData(msgspec.Struct, frozen=True, kw_only=True):
    delivery_id: DeliveryId
    endpoint_id: EndpointId
    event_id: EventId
    event_type: Annotated[str, Meta(description="The type of the event it carried.")]
    sequence: Annotated[int, Meta(ge=1, description="Its number at the endpoint.")]
    envelope_id: EnvelopeId | UnsetType = UNSET
    attempts: Annotated[int, Meta(ge=0, description="Attempts that were made.")] | UnsetType = UNSET
    last_status: LastStatus | UnsetType = UNSET
    leases_lost: (
        Annotated[int, Meta(ge=1, description="Deliverers that died while they sent it.")] | UnsetType
    ) = UNSET


class ThinEndpointDisabledData(msgspec.Struct, frozen=True, kw_only=True):
    endpoint_id: EndpointId
    url: Path
    delivery_id: DeliveryId | UnsetType = UNSET


class ThinDeliveryData(msgspec.Struct, frozen=True, kw_only=True):
    delivery_id: DeliveryId
    endpoint_id: EndpointId
    event_id: EventId
    url: Path
    envelope_id: EnvelopeId | UnsetType = UNSET
