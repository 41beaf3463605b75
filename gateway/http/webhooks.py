"""Tenants' webhook endpoints over HTTP: what they ask for, secrets, test events."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from config.secret import Secret
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.tenants.scopes import Scope
from normalizer.errors import Finding
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.endpoint import (
    Configuration,
    ConfigurationChange,
    Endpoint,
    EndpointChange,
    NewEndpoint,
    OAuth,
    Ordering,
    Payload,
    ShownOnce,
)
from webhooks.outbound.filter_hints import find_filter_hints
from webhooks.outbound.schedule import RetryProfile
from webhooks.outbound.sign import SignatureProfile, print_public_key
from webhooks.outbound.sinks.target import SinkKind

READ: dict[str, Any] = {"opt": {"scope": Scope.WEBHOOKS_READ}, "responses": problems(404)}
WRITE: dict[str, Any] = {"opt": {"scope": Scope.WEBHOOKS_WRITE}, "responses": problems(404, 409)}
_SECRETS = ("secret", "client_key", "oauth_secret", "sink_secret")
Url = Annotated[str, msgspec.Meta(max_length=2048)]
Description = Annotated[str, msgspec.Meta(max_length=500)]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]


class EndpointInput(Configuration, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`events` empty: all types. `secret`: your own, 24 bytes or more; without one we make it."""

    url: Url
    description: Description = ""
    secret: str = ""
    sensitive_headers: Mapping[str, str] = {}
    client_key: str = ""
    oauth_secret: str = ""
    sink_secret: str = ""


class EndpointPatch(ConfigurationChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays, and null clears. In `headers` and `sensitive_headers` the named ones change and
    null removes one. A secret goes to another server only when it is given again.
    """

    url: Url | None = None
    description: Description | None = None
    sensitive_headers: dict[str, str | None] | UnsetType | None = UNSET
    client_key: str | UnsetType | None = UNSET
    oauth_secret: str | UnsetType | None = UNSET
    sink_secret: str | UnsetType | None = UNSET


class RotateInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Both secrets sign for `overlap_hours`; the design's header changes over after `cutover_hours`."""

    secret: str = ""
    overlap_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] = 24.0
    cutover_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] | None = None


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` and `standard_secret` are there in the answer that made the secret, and never again.

    `secret` signs X-Signature-Signature as it stands; `standard_secret` is the form that Standard Webhooks
    libraries take. They differ only for a secret of your own without the prefix whsec_. `verify_key` is public:
    it verifies v1a. Of sensitive headers only the names are shown. `warnings`: what the filter asks about and no
    event of this endpoint's has, so that nothing would ever pass.
    """

    id: str
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
    filter: dict[str, Any] | None
    payload: Payload
    headers: dict[str, str]
    sensitive_header_names: tuple[str, ...]
    rate_per_second: float | None
    ordering: Ordering
    alert_email: str
    client_certificate: str
    server_ca: str
    oauth: OAuth | None
    sink: SinkKind
    sink_target: str
    verify_key: str | None
    previous_verify_key: str | None
    next_sequence: int
    previous_until: datetime | None
    cutover_at: datetime | None
    created_at: datetime
    updated_at: datetime
    warnings: tuple[Finding, ...] = ()
    secret: str | None = None
    standard_secret: str | None = None


class TestSentView(msgspec.Struct, frozen=True):
    event_id: str
    delivery_id: str
    sequence: int


@post("/webhooks", status_code=201, **WRITE)
async def create(services: TheServices, caller: TheCaller, data: JSONBody[EndpointInput]) -> EndpointView:
    """Register an endpoint. The secret is shown this once."""
    given = msgspec.structs.asdict(data)
    for name in _SECRETS:
        given[name] = Secret(given[name]) if given[name] else None
    given["sensitive_headers"] = {name: Secret(value) for name, value in data.sensitive_headers.items()}
    shown = await services.endpoints.create(
        caller.tenant_id, NewEndpoint(**given), caller.actor, caller.source
    )
    return _shown(shown)


@get("/webhooks", **READ)
async def find(
    services: TheServices, caller: TheCaller, after: FromQuery[str] = "", limit: Limit = 100
) -> list[EndpointView]:
    """Your endpoints; `after` is the last id of the page before."""
    last = read_id(Kind.ENDPOINT, after) if after else None
    return [
        view_endpoint(one) for one in await services.endpoints.list(caller.tenant_id, limit=limit, after=last)
    ]


@get("/webhooks/{endpoint_id:str}", **READ)
async def read(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> EndpointView:
    """One endpoint."""
    return view_endpoint(await services.endpoints.read(caller.tenant_id, read_id(Kind.ENDPOINT, endpoint_id)))


@patch("/webhooks/{endpoint_id:str}", **WRITE)
async def change(
    services: TheServices, caller: TheCaller, endpoint_id: FromPath[str], data: JSONBody[EndpointPatch]
) -> EndpointView:
    """Change an endpoint. Switched off it holds its deliveries; switched on it sends them, in their order."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    wanted = _change(data)
    return view_endpoint(
        await services.endpoints.change(caller.tenant_id, own, wanted, caller.actor, caller.source)
    )


@delete("/webhooks/{endpoint_id:str}", **WRITE)
async def remove(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> None:
    """Delete an endpoint; what waits for it is cancelled, what was delivered stays readable."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    await services.endpoints.delete(caller.tenant_id, own, caller.actor, caller.source)


@post("/webhooks/{endpoint_id:str}/rotate-secret", status_code=200, **WRITE)
async def rotate(
    services: TheServices, caller: TheCaller, endpoint_id: FromPath[str], data: JSONBody[RotateInput]
) -> EndpointView:
    """Give the endpoint a new secret; both sign during the overlap."""
    shown = await services.endpoints.rotate_secret(
        caller.tenant_id,
        read_id(Kind.ENDPOINT, endpoint_id),
        caller.actor,
        caller.source,
        secret=Secret(data.secret) if data.secret else None,
        overlap=timedelta(hours=data.overlap_hours),
        cutover=timedelta(hours=data.cutover_hours) if data.cutover_hours is not None else None,
    )
    return _shown(shown)


@post("/webhooks/{endpoint_id:str}/test", status_code=202, **WRITE)
async def test(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> TestSentView:
    """Send an endpoint.test event to this endpoint."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    sent = await services.endpoints.send_test(caller.tenant_id, own, caller.actor, caller.source)
    return TestSentView(
        print_id(Kind.EVENT, sent.event_id), print_id(Kind.DELIVERY, sent.delivery_id), sent.sequence
    )


def _change(data: EndpointPatch) -> EndpointChange:
    """Texts that are secrets become secrets; an empty one clears as null does."""
    given = msgspec.structs.asdict(data)
    for name in ("client_key", "oauth_secret", "sink_secret"):
        if given[name] is not UNSET:
            given[name] = Secret(given[name]) if given[name] else None
    if isinstance(data.sensitive_headers, dict):
        given["sensitive_headers"] = {
            name: None if value is None else Secret(value) for name, value in data.sensitive_headers.items()
        }
    return EndpointChange(**given)


def view_endpoint(endpoint: Endpoint) -> EndpointView:
    shown = {name: getattr(endpoint, name) for name in _SHOWN}
    for name in ("verify_key", "previous_verify_key"):
        shown[name] = None if shown[name] is None else print_public_key(shown[name])
    hints = find_filter_hints(endpoint.filter, endpoint.events)
    return EndpointView(id=print_id(Kind.ENDPOINT, endpoint.id), warnings=hints, **shown)


def _shown(shown: ShownOnce) -> EndpointView:
    return msgspec.structs.replace(
        view_endpoint(shown.endpoint),
        secret=shown.secret.reveal(),
        standard_secret=shown.standard_secret.reveal(),
    )


_SHOWN = tuple(
    name
    for name in EndpointView.__struct_fields__
    if name not in {"id", "warnings", "secret", "standard_secret"}
)
