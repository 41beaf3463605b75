"""The portal's pages of replays: counted first, then started; how far each is; paused, resumed and cancelled."""

from typing import Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.params import FromPath

from gateway.console.access import spend_form
from gateway.console.frame import Trouble
from gateway.console.view import ReplayForm, ReplayPage, ReplaysPage
from gateway.http.dependencies import TheServices
from gateway.http.portal.door import Visit, enter, enter_to_change, trouble_of, with_query
from gateway.http.portal.endpoints import list_endpoints
from gateway.http.portal.entry import OPEN
from gateway.http.portal.replay_forms import NAMES, read_criteria, shown_criteria
from gateway.http.sign.answers import redirect
from gateway.tenants.api_keys import NotAllowed
from normalizer.errors import Conflict, NotFound, ValidationFailed
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import EventType
from webhooks.outbound.replay_job import OPEN as UNENDED
from webhooks.outbound.replay_job import ReplayJob, Selected

_PAGE = 50


@get("/s/{handle:str}/replays", **OPEN)
async def replays(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """The newest first."""
    visit = await enter(request, services, handle)
    before = visit.asked("before")
    found = await services.replay_jobs.list(
        visit.tenant_id,
        limit=_PAGE + 1,
        before=read_id(Kind.REPLAY, before) if before else None,
        endpoint_id=visit.session.endpoint_id,
    )
    older = found[_PAGE - 1] if len(found) > _PAGE else None
    page = ReplaysPage(
        frame=visit.frame("replays", is_live=visit.asked("live") == "yes"),
        rows=tuple(found[:_PAGE]),
        names=await _names(visit),
        next_url=with_query(f"{visit.base}/replays", before=print_id(Kind.REPLAY, older.id)) if older else "",
    )
    return visit.page(page)


@get("/s/{handle:str}/replays/new", **OPEN)
async def ask_new(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[str]:
    """What is to be sent again."""
    visit = await enter(request, services, handle)
    if not visit.session.may_change:
        raise NotAllowed("This session may only read.", remedy="Ask for a link with the scope manage.")
    values = shown_criteria() | {"exhausted": "yes"}
    values |= {name: visit.asked(name) for name in ("endpoint", "envelope", "type") if visit.asked(name)}
    return await _form(visit, values)


@post("/s/{handle:str}/replays/new", status_code=200, **OPEN)
async def count_or_start(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str]
) -> Response[Any]:
    """Counts what would be sent again; with the button that appears then, starts it."""
    visit = await enter_to_change(request, services, handle)
    caller = visit.session.caller
    values = {name: visit.form.get(name, "") for name in NAMES}
    try:
        wanted = read_criteria(visit.form, only=visit.session.endpoint_id)
        if not visit.form.get("start"):
            return await _form(visit, values, await services.replay_jobs.count(visit.tenant_id, wanted))
        if not await spend_form(services, visit.session, visit.form.get("form_id", "")):
            return redirect(with_query(f"{visit.base}/replays", done="sent_already"))
        started = await services.replay_jobs.start(visit.tenant_id, wanted, caller.actor, caller.source)
    except (ValidationFailed, Conflict, NotFound) as error:
        return await _form(visit, values, trouble=trouble_of(error))
    return redirect(with_query(_path(visit, started), done="replay_started", live="yes"))


@get("/s/{handle:str}/replays/{replay_id:str}", **OPEN)
async def replay(
    request: Request[Any, Any, Any], services: TheServices, handle: FromPath[str], replay_id: FromPath[str]
) -> Response[str]:
    """How far it is."""
    visit = await enter(request, services, handle)
    return visit.page(await _page(visit, replay_id))


@post("/s/{handle:str}/replays/{replay_id:str}/{what:str}", status_code=303, **OPEN)
async def move(
    request: Request[Any, Any, Any],
    services: TheServices,
    handle: FromPath[str],
    replay_id: FromPath[str],
    what: FromPath[str],
) -> Response[Any]:
    """Pauses, resumes or cancels it."""
    visit = await enter_to_change(request, services, handle)
    found, _ = await services.replay_jobs.read(visit.tenant_id, read_id(Kind.REPLAY, replay_id))
    _check(visit, found)
    jobs, caller = services.replay_jobs, visit.session.caller
    moves = {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}
    if what not in moves:
        raise NotFound("page", what)
    try:
        await moves[what](visit.tenant_id, found.id, caller.actor, caller.source)
    except Conflict as error:
        return visit.page(await _page(visit, replay_id, trouble_of(error)), status=409)
    return redirect(with_query(_path(visit, found), done=f"replay_{what}"))


async def _page(visit: Visit, printed: str, trouble: Trouble | None = None) -> ReplayPage:
    found, progress = await visit.services.replay_jobs.read(visit.tenant_id, read_id(Kind.REPLAY, printed))
    _check(visit, found)
    is_open = found.state in UNENDED
    has_more = is_open or progress.waiting > 0
    names, own = await _names(visit), found.criteria.endpoint_id
    return ReplayPage(
        frame=visit.frame(
            "replays", is_live=visit.asked("live") == "yes" if has_more else None, trouble=trouble
        ),
        replay=found,
        progress=progress,
        endpoint_name=names.get(own, "") if own else "",
        is_open=is_open,
    )


async def _form(
    visit: Visit,
    values: dict[str, str],
    selected: Selected | None = None,
    trouble: Trouble | None = None,
) -> Response[str]:
    page = ReplayForm(
        frame=visit.frame("replays", trouble=trouble),
        endpoints=tuple(await list_endpoints(visit)),
        values=values,
        event_types=tuple(one.value for one in EventType),
        selected=selected,
    )
    return visit.page(page, status=422 if trouble else 200)


async def _names(visit: Visit) -> dict[UUID, str]:
    return {one.id: one.url for one in await list_endpoints(visit)}


def _check(visit: Visit, found: ReplayJob) -> None:
    """Raises NotFound for a replay that is about more than the session may see."""
    if visit.session.endpoint_id not in {None, found.criteria.endpoint_id}:
        raise NotFound("replay", print_id(Kind.REPLAY, found.id))


def _path(visit: Visit, found: ReplayJob) -> str:
    return f"{visit.base}/replays/{print_id(Kind.REPLAY, found.id)}"
