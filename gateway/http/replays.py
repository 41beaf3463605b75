"""Completeness over HTTP: what became of every sequence of an endpoint, and replays as jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from config.database import Transaction
from gateway.claims import Claim, advance_claim
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.webhooks import READ, WRITE, Limit
from gateway.services import Caller, Services
from normalizer.ids import Kind, print_id, read_id
from webhooks.outbound.gaps import Numbers, Ranges, find_missing, report_gaps
from webhooks.outbound.read import DeliveryState
from webhooks.outbound.replay_job import REPLAYABLE, ReplayCriteria, ReplayJob, ReplayProgress, ReplayState

_ALL = "all"


class ReplayInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`endpoint_id`: one of yours, or `all` that are switched on. `from` and `to` are times at which deliveries
    were made, `from` included and `to` not. `sequences`: ranges `[first, last]`, both included. `dry_run`:
    only count.
    """

    endpoint_id: Annotated[str, msgspec.Meta(max_length=40)]
    states: tuple[DeliveryState, ...] = (DeliveryState.EXHAUSTED,)
    event_types: Annotated[tuple[str, ...], msgspec.Meta(max_length=100)] = ()
    envelope_id: Annotated[str, msgspec.Meta(max_length=40)] = ""
    created_from: datetime | None = msgspec.field(default=None, name="from")
    created_before: datetime | None = msgspec.field(default=None, name="to")
    sequences: tuple[tuple[int, int], ...] = ()
    rate_per_second: float | None = None
    dry_run: bool = False

    def criteria(self) -> ReplayCriteria:
        return ReplayCriteria(
            endpoint_id=None if self.endpoint_id == _ALL else read_id(Kind.ENDPOINT, self.endpoint_id),
            states=tuple(dict.fromkeys(self.states)),
            event_types=self.event_types,
            envelope_id=read_id(Kind.ENVELOPE, self.envelope_id) if self.envelope_id else None,
            created_from=self.created_from,
            created_before=self.created_before,
            sequences=self.sequences,
            rate_per_second=self.rate_per_second,
        )


class DryRunView(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay would send again; nothing was changed. `left_out`: of endpoints that are switched off."""

    dry_run: bool = True
    selected: int
    by_state: dict[str, int]
    by_type: dict[str, int]
    left_out: int


class ReplayView(msgspec.Struct, frozen=True, kw_only=True):
    """`selected` was counted when it was asked for, `requeued` is what was put back into the queue since.
    `reason`: why it stands still or has ended, when nobody asked for that. `progress` is there when one replay is
    read: how what was put back stands now (`waiting`: for or on its way; `cancelled` with its endpoint).
    """

    id: str
    endpoint_id: str
    states: tuple[DeliveryState, ...]
    event_types: tuple[str, ...]
    envelope_id: str | None
    created_from: datetime | None = msgspec.field(name="from")
    created_before: datetime | None = msgspec.field(name="to")
    sequences: Ranges
    rate_per_second: float | None
    state: ReplayState
    reason: str
    selected: int
    requeued: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    progress: ReplayProgress | None = None


class GapView(msgspec.Struct, frozen=True, kw_only=True):
    """Every sequence from `from` to `to` stands in exactly one list of ranges `[first, last]`: `delivered`,
    `pending` (waits or is on its way), `exhausted`, `held` (the endpoint is off), `cancelled`, `removed`
    (delivered, and its time of keeping is over), and `unknown`, which must be empty: `is_contiguous`. `next`:
    ask again from there, when not everything was looked at.
    """

    endpoint_id: str
    next_sequence: int
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")
    numbers: Numbers
    is_contiguous: bool
    next: int | None


class ReceivedInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`received`: the sequences that you have, as ranges `[first, last]`. `replay`: send again what can be."""

    received: tuple[tuple[int, int], ...]
    replay: bool = False
    rate_per_second: float | None = None


class MissingView(msgspec.Struct, frozen=True, kw_only=True):
    """What was given to the endpoint and is not among `received`, by where it is. `delivered`: it answered 2xx.
    `replayable`: what can be sent again; `replay`: the replay that does, when it was asked for.
    """

    endpoint_id: str
    next_sequence: int
    total: int
    missing: Numbers
    replayable: Ranges
    replay: ReplayView | None


@get("/webhooks/{endpoint_id:str}/gaps", **READ)
async def gaps(
    services: TheServices,
    caller: TheCaller,
    endpoint_id: FromPath[str],
    first: Annotated[int, QueryParameter(name="from")] = 1,
    last: Annotated[int | None, QueryParameter(name="to")] = None,
) -> GapView:
    """What became of every sequence of an endpoint, and that none is missing. 50,000 at a time."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    report = await report_gaps(services.database, caller.tenant_id, own, first=first, last=last)
    wanted = report.next_sequence - 1 if last is None else min(last, report.next_sequence - 1)
    return GapView(
        endpoint_id=endpoint_id,
        next_sequence=report.next_sequence,
        first=report.first,
        last=report.last,
        numbers=report.numbers,
        is_contiguous=report.is_contiguous,
        next=report.last + 1 if report.last < wanted else None,
    )


@post("/webhooks/{endpoint_id:str}/gaps", status_code=200, **WRITE)
async def compare(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    endpoint_id: FromPath[str],
    data: JSONBody[ReceivedInput],
) -> MissingView:
    """What you miss of an endpoint's sequences; with `replay`, sends exactly these again as a replay."""
    own = read_id(Kind.ENDPOINT, endpoint_id)
    async with services.database.transaction(caller.tenant_id) as tx:
        missing = await find_missing(tx, caller.tenant_id, own, data.received)
    started = await _resumed(request, services, caller)
    if started is None and data.replay and missing.replayable:
        wanted = ReplayCriteria(
            endpoint_id=own,
            states=REPLAYABLE,
            sequences=missing.replayable,
            rate_per_second=data.rate_per_second,
        )
        started = await _start(request, services, caller, wanted)
    return MissingView(
        endpoint_id=endpoint_id,
        next_sequence=missing.next_sequence,
        total=missing.total,
        missing=missing.numbers,
        replayable=missing.replayable,
        replay=_view(started) if started is not None else None,
    )


@post("/replays", status_code=202, **WRITE)
async def create(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    data: JSONBody[ReplayInput],
) -> Response[ReplayView | DryRunView]:
    """Send many deliveries again: the same bytes, ids and sequences, the current secret. A dry run answers 200
    with what would be sent.
    """
    wanted = data.criteria()
    if data.dry_run:
        counted = await services.replay_jobs.count(caller.tenant_id, wanted)
        plan = DryRunView(
            selected=counted.total, by_state=counted.by_state, by_type=counted.by_type, left_out=counted.off
        )
        return Response(plan, status_code=200)
    return Response(_view(await _start(request, services, caller, wanted)), status_code=202)


@get("/replays", **READ)
async def find(
    services: TheServices,
    caller: TheCaller,
    endpoint_id: FromQuery[str] = "",
    before: FromQuery[str] = "",
    is_open: Annotated[bool, QueryParameter(name="open")] = False,
    limit: Limit = 100,
) -> Sequence[ReplayView]:
    """Replays, the newest first; `before` is the last id of the page before, `open` leaves out what ended.
    `endpoint_id`: those of this endpoint alone.
    """
    found = await services.replay_jobs.list(
        caller.tenant_id,
        limit=limit,
        before=read_id(Kind.REPLAY, before) if before else None,
        only_open=is_open,
        endpoint_id=read_id(Kind.ENDPOINT, endpoint_id) if endpoint_id else None,
    )
    return [_view(one) for one in found]


@get("/replays/{replay_id:str}", **READ)
async def read(services: TheServices, caller: TheCaller, replay_id: FromPath[str]) -> ReplayView:
    """One replay with its progress."""
    own = read_id(Kind.REPLAY, replay_id)
    return _view(*await services.replay_jobs.read(caller.tenant_id, own))


@post("/replays/{replay_id:str}/pause", status_code=200, **WRITE)
async def pause(services: TheServices, caller: TheCaller, replay_id: FromPath[str]) -> ReplayView:
    """Let a replay stand; what it has put back goes on its way."""
    own = read_id(Kind.REPLAY, replay_id)
    return _view(await services.replay_jobs.pause(caller.tenant_id, own, caller.actor, caller.source))


@post("/replays/{replay_id:str}/resume", status_code=200, **WRITE)
async def resume(services: TheServices, caller: TheCaller, replay_id: FromPath[str]) -> ReplayView:
    """Let a replay go on where it stood."""
    own = read_id(Kind.REPLAY, replay_id)
    return _view(await services.replay_jobs.resume(caller.tenant_id, own, caller.actor, caller.source))


@post("/replays/{replay_id:str}/cancel", status_code=200, **WRITE)
async def cancel(services: TheServices, caller: TheCaller, replay_id: FromPath[str]) -> ReplayView:
    """End a replay; what it has put back goes on its way."""
    own = read_id(Kind.REPLAY, replay_id)
    return _view(await services.replay_jobs.cancel(caller.tenant_id, own, caller.actor, caller.source))


async def _start(
    request: Request[Any, Any, Any], services: Services, caller: Caller, wanted: ReplayCriteria
) -> ReplayJob:
    """A request that is repeated under its key gets the replay that it started."""
    claim: Claim | None = request.scope["state"].get("claim")
    before = await _resumed(request, services, caller)
    if before is not None:
        return before

    async def made(tx: Transaction, replay_id: UUID) -> None:
        await advance_claim(tx, claim, caller.tenant_id, replay_id)

    return await services.replay_jobs.start(caller.tenant_id, wanted, caller.actor, caller.source, made=made)


async def _resumed(request: Request[Any, Any, Any], services: Services, caller: Caller) -> ReplayJob | None:
    """What an earlier request with the same key has started."""
    claim: Claim | None = request.scope["state"].get("claim")
    if claim is None or claim.resource_id is None:
        return None
    return (await services.replay_jobs.read(caller.tenant_id, claim.resource_id))[0]


def _view(replay: ReplayJob, progress: ReplayProgress | None = None) -> ReplayView:
    wanted = replay.criteria
    return ReplayView(
        id=print_id(Kind.REPLAY, replay.id),
        endpoint_id=_ALL if wanted.endpoint_id is None else print_id(Kind.ENDPOINT, wanted.endpoint_id),
        states=wanted.states,
        event_types=wanted.event_types,
        envelope_id=print_id(Kind.ENVELOPE, wanted.envelope_id) if wanted.envelope_id else None,
        created_from=wanted.created_from,
        created_before=wanted.created_before,
        sequences=wanted.sequences,
        rate_per_second=wanted.rate_per_second,
        state=replay.state,
        reason=replay.reason,
        selected=replay.selected,
        requeued=replay.requeued,
        created_at=replay.created_at,
        updated_at=replay.updated_at,
        finished_at=replay.finished_at,
        progress=progress,
    )
