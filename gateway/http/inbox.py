"""The inbox over HTTP: what providers posted, how it was proved, where it is and why; and what may be done about it.

Tenants read; administrators also replay, release, drop, and look into a body with everything personal masked.
"""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from gateway.http.admin import ADMIN, SYSTEM, tenant_of
from gateway.http.dependencies import TheCaller, TheServices
from gateway.http.inbox_views import (
    DropInput,
    InboxSummary,
    MessageDetail,
    MessageView,
    RefusalView,
    ReleaseInput,
    ReplayedMessagesView,
    ReplayInput,
    acceptable_of,
    filter_of,
    replay_filter_of,
    view_detail,
    view_message,
    view_refusal,
    view_summary,
)
from gateway.http.webhooks import READ, Limit
from gateway.services import SYSTEM_TENANT, Services
from gateway.tenants.open_message import open_message
from normalizer.ids import Kind, print_id, read_id
from webhooks.inbound.quarantine import QuarantineDesk
from webhooks.inbound.read import MessageFilter, list_messages, read_message
from webhooks.inbound.receive import Door
from webhooks.inbound.replay import MessageReplay
from webhooks.inbound.summary import list_refusals, summarize_inbox, what_came_of

Hours = Annotated[int, QueryParameter(ge=1, le=720)]


async def read_filter(
    wanted_state: Annotated[str, QueryParameter(name="state")] = "",  # Litestar keeps the bare word to itself
    connection_id: FromQuery[str] = "",
    provider_ref: FromQuery[str] = "",
    before: FromQuery[str] = "",
    limit: Limit = 100,
) -> MessageFilter:
    return filter_of(wanted_state, connection_id, provider_ref, before, limit)


_FILTERED: dict[str, Any] = {"dependencies": {"wanted": Provide(read_filter)}}


@get("/inbound", **READ, **_FILTERED)
async def find(
    services: TheServices,
    caller: TheCaller,
    wanted: NamedDependency[MessageFilter],
) -> list[MessageView]:
    """What providers posted about your envelopes, newest first. `state=trouble`: what needs somebody."""
    return [view_message(one) for one in await list_messages(services.database, caller.tenant_id, wanted)]


@get("/inbound/summary", **READ)
async def summary(services: TheServices, caller: TheCaller, hours: Hours = 24) -> InboxSummary:
    """How many messages are where, by connection."""
    return await _summary(services, caller.tenant_id, hours)


@get("/inbound/{message_id:str}", **READ)
async def read(services: TheServices, caller: TheCaller, message_id: FromPath[str]) -> MessageDetail:
    """One message: how it was proved, where it is, and what came of it."""
    return await _detail(services, caller.tenant_id, message_id)


@get("/tenants/{tenant_id:str}/inbox", **ADMIN, **_FILTERED)
async def admin_find(
    services: TheServices,
    tenant_id: FromPath[str],
    wanted: NamedDependency[MessageFilter],
) -> list[MessageView]:
    """A tenant's messages from providers, newest first. `state=trouble`: what needs somebody."""
    return [view_message(one) for one in await list_messages(services.database, tenant_of(tenant_id), wanted)]


@get("/tenants/{tenant_id:str}/inbox/summary", **ADMIN)
async def admin_summary(services: TheServices, tenant_id: FromPath[str], hours: Hours = 24) -> InboxSummary:
    """How many messages are where, by connection."""
    return await _summary(services, tenant_of(tenant_id), hours)


@get("/tenants/{tenant_id:str}/inbox/refusals", **ADMIN)
async def refusals(
    services: TheServices, tenant_id: FromPath[str], hours: Hours = 24, limit: Limit = 100
) -> list[RefusalView]:
    """Refused posts by minute, reason and network; `system` as the tenant: paths that lead to no connection."""
    since = services.clock.now() - timedelta(hours=hours)
    tenant = SYSTEM_TENANT if tenant_id == SYSTEM else tenant_of(tenant_id)
    found = await list_refusals(services.database, tenant, since, limit)
    return [view_refusal(one) for one in found]


@get("/tenants/{tenant_id:str}/inbox/{message_id:str}", **ADMIN)
async def admin_read(
    services: TheServices, tenant_id: FromPath[str], message_id: FromPath[str]
) -> MessageDetail:
    """One message: how it was proved, where it is, and what came of it."""
    return await _detail(services, tenant_of(tenant_id), message_id)


@get("/tenants/{tenant_id:str}/inbox/{message_id:str}/body", **ADMIN)
async def body(
    services: TheServices, caller: TheCaller, tenant_id: FromPath[str], message_id: FromPath[str]
) -> Response[bytes]:
    """A message's body with every personal value masked. That it was looked at goes into the ledger."""
    shown = await open_message(services, caller, tenant_of(tenant_id), read_id(Kind.MESSAGE, message_id))
    return Response(shown, media_type="application/json", headers={"cache-control": "no-store"})


@post("/tenants/{tenant_id:str}/inbox/replay", status_code=202, **ADMIN)
async def replay_filtered(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    data: JSONBody[ReplayInput],
) -> ReplayedMessagesView:
    """Take messages up again, a page at a time, oldest first. What had its effect does not have it twice."""
    wanted = replay_filter_of(data)
    replayed = await _replays(services, request).replay_messages(
        tenant_of(tenant_id), wanted, caller.actor, caller.source
    )
    return ReplayedMessagesView(
        tuple(print_id(Kind.MESSAGE, one) for one in replayed.messages), replayed.is_complete
    )


@post("/tenants/{tenant_id:str}/inbox/{message_id:str}/replay", status_code=202, **ADMIN)
async def replay_one(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    message_id: FromPath[str],
) -> MessageDetail:
    """Take one message up again."""
    tenant, own = tenant_of(tenant_id), read_id(Kind.MESSAGE, message_id)
    await _replays(services, request).replay_message(tenant, own, caller.actor, caller.source)
    return await _detail(services, tenant, message_id)


@post("/tenants/{tenant_id:str}/inbox/{message_id:str}/release", status_code=202, **ADMIN)
async def release(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    message_id: FromPath[str],
    data: JSONBody[ReleaseInput],
) -> MessageDetail:
    """Let the provider's own answer decide about a quarantined message: it is asked, and what it says has effect."""
    tenant, own = tenant_of(tenant_id), read_id(Kind.MESSAGE, message_id)
    await _quarantine(services, request).release(
        tenant, own, caller.actor, caller.source, reason=data.reason, accepting=acceptable_of(data.accept)
    )
    return await _detail(services, tenant, message_id)


@post("/tenants/{tenant_id:str}/inbox/{message_id:str}/drop", status_code=200, **ADMIN)
async def drop(
    request: Request[Any, Any, Any],
    services: TheServices,
    caller: TheCaller,
    tenant_id: FromPath[str],
    message_id: FromPath[str],
    data: JSONBody[DropInput],
) -> MessageDetail:
    """Give a message up: it is kept, and has no effect."""
    tenant, own = tenant_of(tenant_id), read_id(Kind.MESSAGE, message_id)
    await _quarantine(services, request).drop(tenant, own, caller.actor, caller.source, reason=data.reason)
    return await _detail(services, tenant, message_id)


def _replays(services: Services, request: Request[Any, Any, Any]) -> MessageReplay:
    door: Door = request.app.state.door
    return MessageReplay(services.database, services.recorder, services.ids, services.clock, door.wake)


def _quarantine(services: Services, request: Request[Any, Any, Any]) -> QuarantineDesk:
    door: Door = request.app.state.door
    return QuarantineDesk(services.database, services.recorder, services.ids, services.clock, door.wake)


async def _summary(services: Services, tenant_id: UUID, hours: int) -> InboxSummary:
    since = services.clock.now() - timedelta(hours=hours)
    return view_summary(since, await summarize_inbox(services.database, tenant_id, since))


async def _detail(services: Services, tenant_id: UUID, printed: str) -> MessageDetail:
    message = await read_message(services.database, tenant_id, read_id(Kind.MESSAGE, printed))
    return view_detail(
        message, await what_came_of(services.database, tenant_id, message.envelope_id, printed)
    )
