"""What concerns an endpoint's keys and filter, over HTTP: signatures to compare with, public keys, filters to try."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, JSONBody

from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.webhooks import READ, WRITE, EndpointView, view_endpoint
from normalizer.errors import Finding
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.endpoint_keys import Generation, SignatureTest
from webhooks.outbound.filter_check import try_filter, try_on_last_events
from webhooks.outbound.filter_hints import find_filter_hints
from webhooks.outbound.key_ring import read_public_keys
from webhooks.outbound.sign import print_public_key

CACHED_S = 300


class SignatureInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`body`: the text whose UTF-8 bytes are signed. `timestamp`: seconds since 1970, now unless said otherwise."""

    body: Annotated[str, msgspec.Meta(max_length=65_536)]
    id: Annotated[str, msgspec.Meta(max_length=255)] = "evt_test"
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=999_999_999_999)] | None = None


class GenerationView(msgspec.Struct, frozen=True):
    """`v1` and `v1a` are entries of webhook-signature, `x_signature` is the value of X-Signature-Signature."""

    v1: str
    v1a: str | None
    x_signature: str


class SignatureView(msgspec.Struct, frozen=True):
    """`headers`: what a delivery at this moment carries. `previous`: while a rotation overlaps."""

    id: str
    timestamp: int
    headers: dict[str, str]
    current: GenerationView
    previous: GenerationView | None


class KeyView(msgspec.Struct, frozen=True, omit_defaults=True):
    """`until`: when the key stops to be used."""

    key: str
    status: str
    algorithm: str = ""
    until: datetime | None = None


class KeysView(msgspec.Struct, frozen=True):
    endpoint_id: str
    keys: tuple[KeyView, ...]


class EventInput(msgspec.Struct, frozen=True):
    """A webhook's body, or its type and data alone."""

    type: Annotated[str, msgspec.Meta(max_length=128)]
    data: dict[str, Any] = {}


class FilterInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without an event the filter is tried on your last twenty."""

    filter: dict[str, Any]
    event: EventInput | None = None


class FilterResult(msgspec.Struct, frozen=True):
    """`why`: what stood in the event's way. `event_id` and `occurred_at` are null for a given event."""

    event_id: str | None
    type: str
    occurred_at: datetime | None
    matches: bool
    why: tuple[str, ...]


class FilterView(msgspec.Struct, frozen=True):
    """`warnings`: what the filter asks about and no signature event has, so that nothing would ever pass."""

    tried: int
    matched: int
    results: tuple[FilterResult, ...]
    warnings: tuple[Finding, ...]


@post("/webhooks/{endpoint_id:str}/activate-secret", status_code=200, **WRITE)
async def activate(services: TheServices, caller: TheCaller, endpoint_id: FromPath[str]) -> EndpointView:
    """Let X-Signature-Signature change over to the new secret now, before its time."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    return view_endpoint(
        await services.endpoints.activate_secret(caller.tenant_id, own, caller.actor, caller.source)
    )


@post("/webhooks/{endpoint_id:str}/test-signature", status_code=200, **WRITE)
async def test_signature(
    services: TheServices, caller: TheCaller, endpoint_id: FromPath[str], data: JSONBody[SignatureInput]
) -> SignatureView:
    """What the endpoint's keys make of a body, to compare with your own code. Nothing is sent."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    made = await services.endpoints.test_signature(
        caller.tenant_id, own, data.body.encode(), message=data.id, timestamp=data.timestamp
    )
    return _signatures(made)


@post("/webhooks/filter-check", status_code=200, **READ)
async def check_filter(services: TheServices, caller: TheCaller, data: JSONBody[FilterInput]) -> FilterView:
    """Whether events pass a filter, and why not, in words. Changes nothing."""
    if data.event is not None:
        said = try_filter(data.filter, data.event.type, data.event.data)
        results = [FilterResult(None, data.event.type, None, said.matches, said.why)]
    else:
        results = [
            FilterResult(
                print_id(Kind.EVENT, one.event_id),
                one.type,
                one.occurred_at,
                one.explanation.matches,
                one.explanation.why,
            )
            for one in await try_on_last_events(services.database, caller.tenant_id, data.filter)
        ]
    matched, hints = sum(one.matches for one in results), find_filter_hints(data.filter, ())
    return FilterView(len(results), matched, tuple(results), hints)


@get("/.well-known/countersign/webhook-keys/{endpoint_id:str}", opt={"open": True}, include_in_schema=False)
async def public_keys(services: TheServices, endpoint_id: FromPath[str]) -> Response[KeysView]:
    """The Ed25519 keys that verify an endpoint's v1a signatures. Open to everybody; they may be kept 300 s."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    found = await read_public_keys(services.hub, own, now=services.clock.now())
    keys = []
    if found.current is not None:
        keys.append(KeyView(print_public_key(found.current), "current", "ed25519"))
    if found.previous is not None:
        keys.append(KeyView(print_public_key(found.previous), "previous", "ed25519", found.previous_until))
    keys += [KeyView(print_public_key(key), "previous", "ed25519", until) for key, until in found.older]
    headers = {"cache-control": f"public, max-age={CACHED_S}", "access-control-allow-origin": "*"}
    return Response(KeysView(print_id(Kind.ENDPOINT, own), tuple(keys)), headers=headers)


def _signatures(made: SignatureTest) -> SignatureView:
    return SignatureView(
        made.message,
        made.timestamp,
        dict(made.headers),
        _generation(made.current),
        None if made.previous is None else _generation(made.previous),
    )


def _generation(made: Generation) -> GenerationView:
    return GenerationView(made.v1, made.v1a, made.design)
