"""The portal's pages of endpoints: the list, one of them, its settings, on and off, a test event."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from gateway.console.access import spend_form
from gateway.console.catalogue import say
from gateway.console.frame import Trouble
from gateway.console.view import EndpointForm, EndpointPage, EndpointRow, EndpointsPage, SwitchPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.door import Visit, enter, enter_to_change, trouble_of, with_query
from gateway.http.portal.endpoint_forms import (
    event_groups,
    read_change,
    read_filter,
    read_new,
    shown_values,
    ticked_events,
    typed_values,
)
from gateway.http.portal.entry import OPEN
from gateway.http.portal.secrets import secret_page
from gateway.http.sign.answers import redirect
from gateway.tenants.api_keys import NotAllowed
from normalizer.errors import Conflict, Finding, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.endpoint import Endpoint, EndpointChange
from webhooks.outbound.filter_check import try_on_last_events
from webhooks.outbound.filter_hints import find_filter_hints
from webhooks.outbound.health import BreakerState, EndpointHealth, read_health, read_healths
from webhooks.outbound.read import DeliveryFilter, DeliveryState, list_deliveries

_MOST_ENDPOINTS = 500
_RECENT = 8
_COUNTED = 100
_WAITING = (DeliveryState.PENDING, DeliveryState.LEASED, DeliveryState.HELD)


@get("/s/{handle:str}/endpoints", **OPEN)
async def endpoints(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """All of them, with their health at a glance."""
    visit = await enter(request, services, handle)
    found = await list_endpoints(visit)
    healths = await read_healths(services.database, visit.tenant_id, [one.id for one in found])
    # One that was deleted since the list was read has no health any more.
    rows = tuple(_row(one, healths[one.id]) for one in found if one.id in healths)
    return visit.page(EndpointsPage(frame=visit.frame("endpoints"), rows=rows))


@get("/s/{handle:str}/endpoints/new", **OPEN)
async def ask_new(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """The form for one more."""
    visit = await enter(request, services, handle)
    _require_adding(visit)
    return _form(visit, None, shown_values(None), frozenset())


@post("/s/{handle:str}/endpoints/new", status_code=200, **OPEN)
async def create(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """Makes it, and shows its secret this once."""
    visit = await enter_to_change(request, services, handle)
    _require_adding(visit)
    caller = visit.session.caller
    if visit.form.get("check"):
        return await _checked(visit, None)
    try:
        new = read_new(visit.form)
        if not await spend_form(services, visit.session, visit.form.get("form_id", "")):
            return redirect(with_query(f"{visit.base}/endpoints", done="sent_already"))
        shown = await services.endpoints.create(visit.tenant_id, new, caller.actor, caller.source)
    except (ValidationFailed, Conflict) as error:
        return _form(visit, None, typed_values(visit.form), ticked_events(visit.form), trouble_of(error))
    return await secret_page(visit, shown.endpoint, shown=shown, is_new=True)


@get("/s/{handle:str}/endpoints/{endpoint_id:str}", **OPEN)
async def endpoint(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[str]:
    """How it fares, and what came last."""
    visit = await enter(request, services, handle)
    found = await find_endpoint(visit, endpoint_id)
    is_live = visit.asked("live") == "yes"
    return visit.page(await _endpoint_page(visit, found, is_live=is_live))


@get("/s/{handle:str}/endpoints/{endpoint_id:str}/settings", **OPEN)
async def ask_settings(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[str]:
    """Its settings in a form."""
    visit = await enter(request, services, handle)
    found = await find_endpoint(visit, endpoint_id)
    return _form(visit, found, shown_values(found), frozenset(found.events))


@post("/s/{handle:str}/endpoints/{endpoint_id:str}/settings", status_code=200, **OPEN)
async def change(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[Any]:
    """What the form says, from now on."""
    visit = await enter_to_change(request, services, handle)
    found = await find_endpoint(visit, endpoint_id)
    caller = visit.session.caller
    if visit.form.get("check"):
        return await _checked(visit, found)
    try:
        wanted = read_change(visit.form, found)
        await services.endpoints.change(visit.tenant_id, found.id, wanted, caller.actor, caller.source)
    except (ValidationFailed, Conflict) as error:
        return _form(visit, found, typed_values(visit.form), ticked_events(visit.form), trouble_of(error))
    return redirect(with_query(path_of(visit, found), done="saved"))


@get("/s/{handle:str}/endpoints/{endpoint_id:str}/{what:str}", **OPEN)
async def ask_switch(
    request: Request[Any, Any, Any],
    services: TheServices,
    handle: FromPath[str],
    endpoint_id: FromPath[str],
    what: FromPath[str],
) -> Response[str]:
    """What disabling, enabling or deleting will do, in words and numbers, before it is done."""
    visit = await enter(request, services, handle)
    found = await find_endpoint(visit, endpoint_id)
    _require_switch(visit, what)
    wanted = DeliveryFilter(states=_WAITING, endpoint_id=found.id, limit=_COUNTED + 1)
    waiting = len(await list_deliveries(services.database, visit.tenant_id, wanted))
    page = SwitchPage(
        frame=visit.frame("endpoints"),
        row=await endpoint_row(visit, found),
        what=what,
        waiting=min(waiting, _COUNTED),
        is_more=waiting > _COUNTED,
    )
    return visit.page(page)


@post("/s/{handle:str}/endpoints/{endpoint_id:str}/{what:str}", status_code=303, **OPEN)
async def switch(
    request: Request[Any, Any, Any],
    services: TheServices,
    handle: FromPath[str],
    endpoint_id: FromPath[str],
    what: FromPath[str],
) -> Response[Any]:
    """Disables, enables or deletes it."""
    visit = await enter_to_change(request, services, handle)
    found = await find_endpoint(visit, endpoint_id)
    _require_switch(visit, what)
    caller = visit.session.caller
    if what == "delete":
        await services.endpoints.delete(visit.tenant_id, found.id, caller.actor, caller.source)
        return redirect(with_query(f"{visit.base}/endpoints", done="deleted"))
    wanted = EndpointChange(active=what == "enable")
    await services.endpoints.change(visit.tenant_id, found.id, wanted, caller.actor, caller.source)
    return redirect(with_query(path_of(visit, found), done=f"{what}d"))


@post("/s/{handle:str}/endpoints/{endpoint_id:str}/test", status_code=303, **OPEN)
async def test(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], endpoint_id: FromPath[str]
) -> Response[Any]:
    """Sends a test event, and leads to its delivery."""
    visit = await enter_to_change(request, services, handle)
    found = await find_endpoint(visit, endpoint_id)
    caller = visit.session.caller
    if not await spend_form(services, visit.session, visit.form.get("form_id", "")):
        return redirect(with_query(path_of(visit, found), done="sent_already"))
    try:
        sent = await services.endpoints.send_test(visit.tenant_id, found.id, caller.actor, caller.source)
    except Conflict as error:
        return visit.page(await _endpoint_page(visit, found, trouble=trouble_of(error)), status=409)
    own = print_id(Kind.DELIVERY, sent.delivery_id)
    return redirect(with_query(f"{visit.base}/deliveries/{own}", done="tested", live="yes"))


async def find_endpoint(visit: Visit, printed: str) -> Endpoint:
    """Raises NotFound, also for another one than the link was made for."""
    own = read_id(Kind.ENDPOINT, printed)
    visit.check_endpoint(own)
    return await visit.services.endpoints.read(visit.tenant_id, own)


async def list_endpoints(visit: Visit) -> list[Endpoint]:
    """Those that the session may see."""
    only: UUID | None = visit.session.endpoint_id
    if only is not None:
        return [await visit.services.endpoints.read(visit.tenant_id, only)]
    return await visit.services.endpoints.list(visit.tenant_id, limit=_MOST_ENDPOINTS)


async def endpoint_row(visit: Visit, found: Endpoint) -> EndpointRow:
    return _row(found, await read_health(visit.services.database, visit.tenant_id, found.id))


def _row(found: Endpoint, health: EndpointHealth) -> EndpointRow:
    state, tone = _state_of(health)
    return EndpointRow(endpoint=found, state=state, tone=tone, health=health)


def path_of(visit: Visit, found: Endpoint) -> str:
    return f"{visit.base}/endpoints/{print_id(Kind.ENDPOINT, found.id)}"


def _state_of(health: EndpointHealth) -> tuple[str, str]:
    """A key under "endpoint_state." and its tone."""
    if not health.active:
        return "off", "quiet"
    if health.breaker is BreakerState.OPEN:
        return "paused", "bad"
    if health.breaker is BreakerState.HALF_OPEN:
        return "probing", "warn"
    if health.failing_since is not None:
        return "failing", "warn"
    return ("healthy", "good") if health.last_success_at is not None else ("idle", "quiet")


async def _endpoint_page(
    visit: Visit, found: Endpoint, *, is_live: bool = False, trouble: Trouble | None = None
) -> EndpointPage:
    wanted = DeliveryFilter(endpoint_id=found.id, limit=_RECENT)
    recent = await list_deliveries(visit.services.database, visit.tenant_id, wanted)
    return EndpointPage(
        frame=visit.frame("endpoints", is_live=is_live, trouble=trouble),
        row=await endpoint_row(visit, found),
        recent=tuple(recent),
        hints=find_filter_hints(found.filter, found.events),
    )


def _form(
    visit: Visit,
    found: Endpoint | None,
    values: dict[str, str],
    checked: frozenset[str],
    trouble: Trouble | None = None,
    check: str = "",
    hints: tuple[Finding, ...] = (),
) -> Response[str]:
    page = EndpointForm(
        check=check,
        hints=hints,
        frame=visit.frame("endpoints", trouble=trouble),
        endpoint=found,
        values=values,
        checked=checked,
        groups=event_groups(),
    )
    return visit.page(page, status=422 if trouble else 200)


async def _checked(visit: Visit, found: Endpoint | None) -> Response[str]:
    """The form as it was typed, with what its filter makes of the last events. Nothing is saved."""
    typed, ticked, language = typed_values(visit.form), ticked_events(visit.form), visit.session.language
    try:
        wanted = read_filter(visit.form)
        if wanted is None:
            return _form(visit, found, typed, ticked, check=say(language, "form.filter_empty"))
        tried = await try_on_last_events(visit.services.database, visit.tenant_id, wanted)
    except ValidationFailed as error:
        return _form(visit, found, typed, ticked, trouble_of(error))
    passed = sum(one.explanation.matches for one in tried)
    key = "form.filter_result" if tried else "form.filter_none"
    said = say(language, key, {"matched": passed, "tried": len(tried)})
    return _form(visit, found, typed, ticked, check=said, hints=find_filter_hints(wanted, sorted(ticked)))


def _require_adding(visit: Visit) -> None:
    """Raises NotAllowed."""
    if not (visit.session.may_change and visit.session.endpoint_id is None):
        raise NotAllowed("This session may not add or delete endpoints.")


def _require_switch(visit: Visit, what: str) -> None:
    """Raises NotFound for anything else than the three, NotAllowed."""
    if what not in {"disable", "enable", "delete"}:
        raise NotFound("page", what)
    if what == "delete":
        _require_adding(visit)
    elif not visit.session.may_change:
        raise NotAllowed("This session may only read.")
