"""Events for the feeds' tests: in the outbox as the recorder puts them, numbered by the real fan-out, undelivered."""

import asyncio
import itertools
from uuid import UUID

from gateway.http.events import LONGEST_WAIT_S
from gateway.services import Services
from normalizer.canonical import canonical_bytes
from normalizer.catalogue.schemas import example_data
from normalizer.vocabulary import EventType
from tests.gateway.world import Tenant
from webhooks.outbound.fanout import fan_out


async def emit(tenant: Tenant, count: int, *types: EventType, envelopes: int = 1) -> list[UUID]:
    """Puts events into the outbox in the catalogue's form, `envelopes` by turns; the ids of these envelopes."""
    kinds = types or (EventType.ENVELOPE_SENT,)
    services = tenant.world.services
    own = [services.ids.new() for _ in range(envelopes)]
    rows = [
        (services.ids.new(), str(kind), own[place % envelopes], canonical_bytes(example_data(kind)))
        for place, kind in zip(range(count), itertools.cycle(kinds))
    ]
    async with services.hub.transaction() as tx:
        await tx.driver.execute(
            "INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
            " SELECT $1, i, t, e, now(), d FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::bytea[]) u(i, t, e, d)",
            tenant.id,
            *map(list, zip(*rows, strict=True)),
        )
        await tx.driver.execute(
            "INSERT INTO outbox_pending (event_id, tenant_id) SELECT i, $1 FROM unnest($2::uuid[]) i",
            tenant.id,
            [row[0] for row in rows],
        )
        await tx.commit()
    return own


async def number(services: Services) -> None:
    """Fans out until nothing waits."""
    while not (await fan_out(services.hub)).is_last:
        pass


async def until_waiting(services: Services, count: int) -> None:
    async with asyncio.timeout(LONGEST_WAIT_S):
        while True:
            if services.feeds.waiting == count:
                return
            await asyncio.sleep(0)
