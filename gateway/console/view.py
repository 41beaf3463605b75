"""What each page of the portal is about: one struct per template, plain values only."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from config.secret import Secret
from gateway.console.frame import Frame
from normalizer.errors import Finding
from webhooks.outbound.endpoint import Endpoint
from webhooks.outbound.event_deliveries import AtEndpoint
from webhooks.outbound.health import EndpointHealth
from webhooks.outbound.read import Attempt, Delivery
from webhooks.outbound.replay_job import ReplayJob, ReplayProgress, Selected


class StartPage(msgspec.Struct, frozen=True, kw_only=True):
    """Behind the button is the session; the link has changed nothing so far."""

    frame: Frame
    post_url: str


class PlainPage(msgspec.Struct, frozen=True, kw_only=True):
    """`kind`: key under "plain."."""

    frame: Frame
    kind: str


class EndpointRow(msgspec.Struct, frozen=True, kw_only=True):
    """`state`: key under "endpoint_state."; `tone` colours it."""

    endpoint: Endpoint
    state: str
    tone: str
    health: EndpointHealth


class EndpointsPage(msgspec.Struct, frozen=True, kw_only=True):
    frame: Frame
    rows: tuple[EndpointRow, ...]


class EndpointPage(msgspec.Struct, frozen=True, kw_only=True):
    """`hints`: what the filter asks about and no event has."""

    frame: Frame
    hints: tuple[Finding, ...]
    row: EndpointRow
    recent: tuple[Delivery, ...]


class EndpointForm(msgspec.Struct, frozen=True, kw_only=True):
    """`endpoint` None: a new one. `values`: what the form shows, by its names; `checked`: the ticked event types.
    `check`: what came of trying the filter, with `hints` of what it asks about and no event has.
    """

    frame: Frame
    endpoint: Endpoint | None
    values: Mapping[str, str]
    checked: frozenset[str]
    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    check: str = ""
    hints: tuple[Finding, ...] = ()


class SwitchPage(msgspec.Struct, frozen=True, kw_only=True):
    """`what`: disable, enable or delete; `waiting`: deliveries that it is about, counted up to a limit."""

    frame: Frame
    row: EndpointRow
    what: str
    waiting: int
    is_more: bool


class SecretPage(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` and `standard_secret` are shown this once. `signing`: how many secrets sign at present. `older_public`:
    the public keys from before the previous one, each with its end.
    """

    frame: Frame
    endpoint: Endpoint
    signing: int
    has_previous: bool
    may_activate: bool
    public_key: str
    previous_public_key: str = ""
    older_public: tuple[tuple[str, datetime], ...] = ()
    is_new: bool = False
    secret: Secret | None = None
    standard_secret: Secret | None = None


class DeliveriesPage(msgspec.Struct, frozen=True, kw_only=True):
    """`wanted`: the filter as it was asked for; `next_url` "": there are no older ones."""

    frame: Frame
    rows: tuple[Delivery, ...]
    endpoints: tuple[Endpoint, ...]
    wanted: Mapping[str, str]
    is_filtered: bool
    event_types: tuple[str, ...]
    next_url: str


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """`headers` are made of what is stored: of the endpoint as it is now. `changed_since`: it was changed after the
    attempt, so its own headers may have been others.
    """

    number: int
    attempt: Attempt
    response: str
    headers: tuple[tuple[str, str], ...]
    changed_since: bool


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """`body` is what every attempt sent, byte for byte; `endpoint` None: it is deleted. `elsewhere`: what became of
    the same event at the tenant's other endpoints.
    """

    frame: Frame
    delivery: Delivery
    endpoint: Endpoint | None
    body: str
    body_bytes: int
    body_sha256: str
    attempts: tuple[AttemptView, ...]
    may_replay: bool
    elsewhere: tuple[tuple[Endpoint, AtEndpoint], ...] = ()


class EventsPage(msgspec.Struct, frozen=True, kw_only=True):
    """`groups`: a word under "event_group.", and its types with their meanings."""

    frame: Frame
    groups: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    frame: Frame
    type: str
    meaning: str
    sent_when: str
    version: str
    example: str
    thin_example: str
    schema: str
    thin_schema: str


class VerifyPage(msgspec.Struct, frozen=True, kw_only=True):
    """`verdict`: "", good or bad; `reasons`: keys under "verify_reason."."""

    frame: Frame
    endpoints: tuple[Endpoint, ...]
    endpoint_id: str
    headers: str
    body: str
    verdict: str = ""
    reasons: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


class ReplaysPage(msgspec.Struct, frozen=True, kw_only=True):
    """`names`: endpoints' addresses by id; one that is not there is deleted. `next_url` "": there are no older
    ones.
    """

    frame: Frame
    rows: tuple[ReplayJob, ...]
    names: Mapping[UUID, str]
    next_url: str


class ReplayForm(msgspec.Struct, frozen=True, kw_only=True):
    """`selected` None: nothing was counted yet, so nothing can be started."""

    frame: Frame
    endpoints: tuple[Endpoint, ...]
    values: Mapping[str, str]
    event_types: tuple[str, ...]
    selected: Selected | None = None


class ReplayPage(msgspec.Struct, frozen=True, kw_only=True):
    frame: Frame
    replay: ReplayJob
    progress: ReplayProgress
    endpoint_name: str
    is_open: bool
