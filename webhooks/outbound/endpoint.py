"""A webhook endpoint as its tenant sees it, and what may be asked of it. Must never carry a secret, except in
`ShownOnce`, the answer to making one.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from config.secret import Secret
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile
from webhooks.outbound.sinks.target import SinkKind


class Payload(StrEnum):
    """What the body's `data` holds: everything, or ids and where to read."""

    FULL = "full"
    THIN = "thin"


class Ordering(StrEnum):
    """What an exhausted delivery means for the later ones of its envelope: they go on, they wait, or there was
    no order to begin with.
    """

    SKIP = "skip"
    HOLD = "hold"
    NONE = "none"


class OAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Client credentials of OAuth 2.0, without their secret."""

    token_url: str
    client_id: str
    scope: str = ""
    audience: str = ""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant decides about an endpoint and may read again; its names are columns. `events` empty: all types;
    `filter` None: every event of these types. `sink_target` belongs to a sink that is not HTTP.
    """

    url: str
    description: str = ""
    events: tuple[str, ...] = ()
    active: bool = True
    retry_profile: RetryProfile = RetryProfile.DESIGN
    retry_schedule: tuple[int, ...] = ()
    timeout_seconds: int = 30
    signature_profile: SignatureProfile = SignatureProfile.BOTH
    max_in_flight: int = 8
    filter: Mapping[str, object] | None = None
    payload: Payload = Payload.FULL
    headers: Mapping[str, str] = {}
    rate_per_second: float | None = None
    ordering: Ordering = Ordering.SKIP
    alert_email: str = ""
    client_certificate: str = ""
    server_ca: str = ""
    oauth: OAuth | None = None
    sink: SinkKind = SinkKind.HTTP
    sink_target: str = ""


class NewEndpoint(Configuration, frozen=True, kw_only=True):
    """`secret`: the tenant's own, 24 bytes or more; None makes one.

    `client_key` belongs to `client_certificate`, `oauth_secret` to `oauth`, and `sink_secret` ("user:password") to a
    sink that is not HTTP.
    """

    secret: Secret | None = None
    sensitive_headers: Mapping[str, Secret] = {}
    client_key: Secret | None = None
    oauth_secret: Secret | None = None
    sink_secret: Secret | None = None


class ConfigurationChange(msgspec.Struct, frozen=True, kw_only=True):
    """UNSET leaves as it is and None clears; where there is nothing to clear, None leaves, too. `headers` changes
    those that it names, and None removes one (RFC 7396).
    """

    url: str | None = None
    description: str | None = None
    events: tuple[str, ...] | None = None
    active: bool | None = None
    retry_profile: RetryProfile | None = None
    retry_schedule: tuple[int, ...] | None = None
    timeout_seconds: int | None = None
    signature_profile: SignatureProfile | None = None
    max_in_flight: int | None = None
    payload: Payload | None = None
    ordering: Ordering | None = None
    sink: SinkKind | None = None
    filter: Mapping[str, object] | UnsetType | None = UNSET
    headers: Mapping[str, str | None] | UnsetType | None = UNSET
    rate_per_second: float | UnsetType | None = UNSET
    alert_email: str | UnsetType | None = UNSET
    client_certificate: str | UnsetType | None = UNSET
    server_ca: str | UnsetType | None = UNSET
    oauth: OAuth | UnsetType | None = UNSET
    sink_target: str | UnsetType | None = UNSET


class EndpointChange(ConfigurationChange, frozen=True, kw_only=True):
    """`sensitive_headers` as `headers`: a sensitive value cannot be read, so nobody should have to give the others
    again.
    """

    sensitive_headers: Mapping[str, Secret | None] | UnsetType | None = UNSET
    client_key: Secret | UnsetType | None = UNSET
    oauth_secret: Secret | UnsetType | None = UNSET
    sink_secret: Secret | UnsetType | None = UNSET


class Endpoint(Configuration, frozen=True, kw_only=True):
    """`verify_key`: the Ed25519 public key that v1a is verified with, None until the next rotation of an endpoint
    that is older than v1a.
    """

    tenant_id: UUID
    id: UUID
    disabled_reason: str
    sensitive_header_names: tuple[str, ...]
    verify_key: bytes | None
    previous_verify_key: bytes | None
    next_sequence: int
    revision: int
    previous_until: datetime | None
    cutover_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ShownOnce(msgspec.Struct, frozen=True):
    """An endpoint with its secret, in the text that signs the design's header and in the libraries' form."""

    endpoint: Endpoint
    secret: Secret
    standard_secret: Secret


class TestSent(msgspec.Struct, frozen=True):
    event_id: UUID
    delivery_id: UUID
    sequence: int
