"""The catalogue of webhook events over HTTP: when each is sent, the schemas of its `data`, and examples."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import get
from litestar.params import FromPath

from gateway.http.openapi import problems
from gateway.tenants.scopes import Scope
from normalizer.canonical import Json
from normalizer.catalogue.schemas import FULL, THIN, data_schema, example_body
from normalizer.catalogue.table import CATALOGUE, Entry
from normalizer.errors import NotFound
from normalizer.vocabulary import EventType
from webhooks.outbound.event_names import suggest

_OPT = {"scope": Scope.WEBHOOKS_READ}


class EventTypeLine(msgspec.Struct, frozen=True, kw_only=True):
    """`operational`: it tells of deliveries, and goes to those endpoints only that name it."""

    type: EventType
    description: str
    sent_when: str
    operational: bool
    api_versions: tuple[str, ...]


class FormView(msgspec.Struct, frozen=True, kw_only=True):
    """`schema`: JSON Schema 2020-12 of the body's `data`. `example`: a whole body."""

    schema: Mapping[str, Any]
    example: Mapping[str, Any]


class VersionView(msgspec.Struct, frozen=True):
    """What an endpoint gets by its setting `payload`."""

    full: FormView
    thin: FormView


class EventTypeView(EventTypeLine, frozen=True, kw_only=True):
    """`versions`: by api_version."""

    versions: Mapping[str, VersionView]


@get("/event-types", opt=_OPT, responses=problems())
async def find() -> list[EventTypeLine]:
    """Every event type: what it tells, and when it is sent."""
    return [EventTypeLine(**_line(entry)) for entry in CATALOGUE.values()]


@get("/event-types/{event_type:str}", opt=_OPT, responses=problems(404))
async def read(event_type: FromPath[str]) -> EventTypeView:
    """One event type with the schemas of its `data`, full and thin, and examples."""
    if event_type not in CATALOGUE:
        raise NotFound("event type", event_type, remedy=suggest(event_type))
    entry = CATALOGUE[EventType(event_type)]
    versions = {
        version: VersionView(_form(entry.type, FULL, version), _form(entry.type, THIN, version))
        for version in entry.forms
    }
    return EventTypeView(**_line(entry), versions=versions)


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "type": entry.type,
        "description": entry.description,
        "sent_when": entry.sent_when,
        "operational": entry.type.is_operational,
        "api_versions": tuple(entry.forms),
    }


def _form(type_: EventType, payload: str, version: str) -> FormView:
    schema: Mapping[str, Json] = data_schema(type_, payload, version)
    return FormView(schema=schema, example=example_body(type_, payload, version))
