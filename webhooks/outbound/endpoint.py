"""A webhook endpoint as its tenant sees it, and what may be asked of it. Must never carry a secret, except in
`ShownOnce`, the answer to making one.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from config.secret import Secret
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    tenant_id: UUID
    id: UUID
    url: str
    description: str
    events: tuple[str, ...]
    active: bool
    disabled_reason: str
    retry_profile: RetryProfile
    retry_schedule: tuple[int, ...]
    timeout_seconds: int
    signature_profile: SignatureProfile
    max_in_flight: int
    next_sequence: int
    revision: int
    previous_until: datetime | None
    cutover_at: datetime | None
    created_at: datetime
    updated_at: datetime


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """`events` empty: all types. `secret`: the tenant's own, 24 bytes or more; None makes one."""

    url: str
    description: str = ""
    events: tuple[str, ...] = ()
    active: bool = True
    secret: Secret | None = None
    retry_profile: RetryProfile = RetryProfile.DESIGN
    retry_schedule: tuple[int, ...] = ()
    timeout_seconds: int = 30
    signature_profile: SignatureProfile = SignatureProfile.BOTH
    max_in_flight: int = 8


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves as it is."""

    url: str | None = None
    description: str | None = None
    events: tuple[str, ...] | None = None
    active: bool | None = None
    retry_profile: RetryProfile | None = None
    retry_schedule: tuple[int, ...] | None = None
    timeout_seconds: int | None = None
    signature_profile: SignatureProfile | None = None
    max_in_flight: int | None = None


class ShownOnce(msgspec.Struct, frozen=True):
    """An endpoint with its secret, in the text that signs the design's header and in the libraries' form."""

    endpoint: Endpoint
    secret: Secret
    standard_secret: Secret


class TestSent(msgspec.Struct, frozen=True):
    event_id: UUID
    delivery_id: UUID
    sequence: int
