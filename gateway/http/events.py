"""The pull feeds over HTTP: a tenant's events in one contiguous order, and what one endpoint was to get."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import MediaType, Response, get
from litestar.params import FromPath, FromQuery, QueryParameter

from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.openapi import problems
from gateway.services import Services
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.feed import (
    EndpointPage,
    FeedFilter,
    FeedPage,
    OwedEvent,
    read_endpoint_feed,
    read_feed,
    vet_types,
)
from webhooks.outbound.read import DeliveryState

LONGEST_WAIT_S = 20.0
_LARGEST = 2**53 - 1

_OPT = {"scope": Scope.WEBHOOKS_READ}
Cursor = Annotated[int, QueryParameter(ge=0, le=_LARGEST, description="`next` of the page before; 0: all.")]
Limit = Annotated[int, QueryParameter(ge=1, le=500)]
Wait = Annotated[
    float,
    QueryParameter(
        ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for an event when there is none now."
    ),
]


class LedgerView(msgspec.Struct, frozen=True):
    """The entry of the audit trail that records the same fact."""

    chain: str
    seq: int
    hash: str


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's body; `data` is described by `GET /event-types/{type}`."""

    id: str
    type: str
    timestamp: datetime
    tenant_id: str
    sequence: int
    api_version: str
    data: dict[str, Any]
    ledger: LedgerView | None = None


class FeedView(msgspec.Struct, frozen=True, kw_only=True):
    """`events` have the form of webhook bodies, with the feed's number as `sequence`. `next` is the cursor of the
    page after it, also when a filter left nothing. `lag`: committed events without a number yet, at most 10,000
    are counted. `has_more` false and `lag` 0: everything that was committed has been told. `oldest`: the first
    number that is still kept.
    """

    events: tuple[EventView, ...]
    next: int
    has_more: bool
    lag: int
    oldest: int


class OwedView(msgspec.Struct, frozen=True, kw_only=True):
    """`body`: what every attempt sends; null when it is no longer kept."""

    sequence: int
    delivery_id: str
    state: DeliveryState
    attempts: int
    possibly_delivered: bool
    last_status: int | None
    finished_at: datetime | None
    body: EventView | None


class EndpointFeedView(msgspec.Struct, frozen=True, kw_only=True):
    """Every number after the cursor up to `next` is in `events` or in a range of `removed`: those had ended and are
    no longer kept. `lag`: committed events that this endpoint may get and that have no number yet.
    """

    events: tuple[OwedView, ...]
    removed: tuple[tuple[int, int], ...]
    next: int
    has_more: bool
    lag: int


@get("/events", opt=_OPT, responses=problems(404, 410))
async def feed(
    services: TheServices,
    caller: TheCaller,
    after: Cursor = 0,
    limit: Limit = 100,
    types: FromQuery[str] = "",
    envelope_id: FromQuery[str] = "",
    wait_s: Wait = 0.0,
) -> Response[FeedView]:
    """Your events in order, without a gap. `types` is a list with commas; with `wait_s` it waits for news."""
    wanted = FeedFilter(
        after=after,
        limit=limit,
        types=vet_types([name for name in types.split(",") if name]),
        envelope_id=read_id(Kind.ENVELOPE, envelope_id) if envelope_id else None,
    )
    page = await _awaited(services, caller.tenant_id, wanted, wait_s)
    return _respond(
        events=list(map(msgspec.Raw, page.bodies)),
        next=page.next,
        has_more=page.has_more,
        lag=page.lag,
        oldest=page.oldest,
    )


@get("/webhooks/{endpoint_id:str}/events", opt=_OPT, responses=problems(404))
async def endpoint_feed(
    services: TheServices,
    caller: TheCaller,
    endpoint_id: FromPath[str],
    after: Cursor = 0,
    limit: Limit = 100,
) -> Response[EndpointFeedView]:
    """What an endpoint was to get, in its own numbers, with the bodies and what became of each."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    page: EndpointPage = await read_endpoint_feed(
        services.database, caller.tenant_id, own, after=after, limit=limit
    )
    return _respond(
        events=[_owed(event) for event in page.events],
        removed=page.removed,
        next=page.next,
        has_more=page.has_more,
        lag=page.lag,
    )


async def _awaited(services: Services, tenant_id: Any, wanted: FeedFilter, wait_s: float) -> FeedPage:
    """The first page that tells something, or the last one before the time is over."""
    deadline = services.clock.monotonic() + wait_s
    page = await read_feed(services.database, tenant_id, wanted)
    while not page.bodies and not page.has_more:
        left_s = deadline - services.clock.monotonic()
        if not await services.feeds.wait_past(tenant_id, page.next, left_s):
            break
        wanted = msgspec.structs.replace(wanted, after=page.next)
        page = await read_feed(services.database, tenant_id, wanted)
    return page


def _owed(event: OwedEvent) -> dict[str, Any]:
    return {
        "sequence": event.sequence,
        "delivery_id": print_id(Kind.DELIVERY, event.delivery_id),
        "state": event.state,
        "attempts": event.attempts,
        "possibly_delivered": event.possibly_delivered,
        "last_status": event.last_status,
        "finished_at": event.finished_at,
        "body": None if event.body is None else msgspec.Raw(event.body),
    }


def _respond(**members: Any) -> Response[Any]:
    """The bodies go in as the bytes they are."""
    return Response(msgspec.json.encode(members), media_type=MediaType.JSON)
