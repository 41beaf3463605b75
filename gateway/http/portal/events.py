"""The portal's event catalogue: every type, when it is sent, its schemas and an example."""

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from gateway.console.view import EventPage, EventsPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.door import enter
from gateway.http.portal.endpoint_forms import event_groups
from gateway.http.portal.entry import OPEN
from normalizer.catalogue.schemas import FULL, THIN, data_schema, example_body
from normalizer.catalogue.table import CATALOGUE
from normalizer.errors import NotFound
from normalizer.vocabulary import EventType


@get("/s/{handle:str}/events", **OPEN)
async def events(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """All types by what they are about."""
    visit = await enter(request, services, handle)
    return visit.page(EventsPage(frame=visit.frame("events"), groups=event_groups()))


@get("/s/{handle:str}/events/{event_type:str}", **OPEN)
async def event(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], event_type: FromPath[str]
) -> Response[str]:
    """One type with its schemas and examples, full and thin."""
    visit = await enter(request, services, handle)
    if event_type not in CATALOGUE:
        raise NotFound("event type", event_type)
    entry = CATALOGUE[EventType(event_type)]
    version = max(entry.forms)
    page = EventPage(
        frame=visit.frame("events"),
        type=event_type,
        meaning=entry.description,
        sent_when=entry.sent_when,
        version=version,
        example=_pretty(example_body(entry.type, FULL, version)),
        thin_example=_pretty(example_body(entry.type, THIN, version)),
        schema=_pretty(data_schema(entry.type, FULL, version)),
        thin_schema=_pretty(data_schema(entry.type, THIN, version)),
    )
    return visit.page(page)


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
