"""`countersign replay inbound | deliveries`: takes up again what was kept. Nothing has its effect twice."""

import argparse
import asyncio
from uuid import UUID

from config.errors import ConfigError
from gateway.cli.callers import cli_caller, named_tenant
from gateway.cli.printing import print_rows
from gateway.cli.stores import with_services
from gateway.services import Services
from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id, read_id
from webhooks.inbound.replay import MessageReplay, ReplayFilter


def inbound(options: argparse.Namespace) -> int:
    """Named messages, or everything of a tenant that was parked, not understood or given up."""
    if bool(options.tenant) == bool(options.messages):
        raise ConfigError("name either messages (msg_...) or --tenant ten_...")
    named = [read_id(Kind.MESSAGE, one) for one in options.messages]
    tenant_id = named_tenant(options.tenant) if options.tenant else None

    async def work(services: Services) -> list[UUID]:
        return await _replay_inbound(services, named, tenant_id)

    rows: list[dict[str, object]] = [
        {"message": print_id(Kind.MESSAGE, one)} for one in asyncio.run(with_services(work))
    ]
    print_rows(rows, as_json=options.json, nothing="There is nothing to process again.")
    return 0


async def _replay_inbound(services: Services, named: list[UUID], tenant_id: UUID | None) -> list[UUID]:
    caller = cli_caller()
    # Nobody is woken from here: a worker finds them with the scheduler's next tick.
    desk = MessageReplay(services.database, services.recorder, services.ids, services.clock, lambda: None)
    for message_id in named:
        owner = await services.hub.fetchval("SELECT tenant_id FROM inbox_messages WHERE id = $1", message_id)
        if owner is None:
            raise NotFound("message", print_id(Kind.MESSAGE, message_id))
        await desk.replay_message(owner, message_id, caller.actor, caller.source)
    found = list(named)
    while tenant_id is not None:
        page = await desk.replay_messages(tenant_id, ReplayFilter(), caller.actor, caller.source)
        found += page.messages
        if page.is_complete:
            break
    return found


def deliveries(options: argparse.Namespace) -> int:
    """Named deliveries, or everything that an endpoint never got."""
    if bool(options.endpoint) == bool(options.deliveries):
        raise ConfigError("name either deliveries (dlv_...) or --endpoint ep_...")
    tenant_id, caller = named_tenant(options.tenant), cli_caller()
    named = [read_id(Kind.DELIVERY, one) for one in options.deliveries]
    endpoint = read_id(Kind.ENDPOINT, options.endpoint) if options.endpoint else None

    async def work(services: Services) -> list[UUID]:
        found: list[UUID] = []
        for delivery_id in named:
            replayed = await services.replays.replay_delivery(
                tenant_id, delivery_id, caller.actor, caller.source
            )
            found += replayed.deliveries
        while endpoint is not None:
            replayed = await services.replays.replay_exhausted(
                tenant_id, endpoint, caller.actor, caller.source
            )
            found += replayed.deliveries
            if replayed.is_complete:
                break
        return found

    rows: list[dict[str, object]] = [
        {"delivery": print_id(Kind.DELIVERY, one)} for one in asyncio.run(with_services(work))
    ]
    print_rows(rows, as_json=options.json, nothing="There is nothing to send again.")
    return 0
