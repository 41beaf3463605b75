"""A backlog that is drained: 20,040 events for 8 endpoints, 24,048 calls (a fifth fails once), a tenth slow 0.5-1 s.

The mix is the one that a large shop published of its own hub. The backlog is there when the deliverer starts; the
time runs until the last event is delivered. `ratio`: deliveries a second of the hub against the best of three
public designs on a twentieth of the same mix, all on this machine. Each endpoint takes 64 at a time, as theirs do;
retries wait one second everywhere.
"""

import argparse
import asyncio
import sys
import time
from uuid import UUID

import asyncpg

from bench._designs import Table, dual_write, held_transaction, job_per_delivery
from bench._hub import HubHouse, Receiver, open_house, start_receiver
from bench.kit import report, start_stores
from config.embedded import EmbeddedStores
from webhooks.outbound.endpoint import NewEndpoint
from webhooks.outbound.schedule import RetryProfile

EVENTS = 20_040
ENDPOINTS = 8
SHARE = 20
BODY = b'{"envelope_id":"env_01jd0000000000000000000000","note":"' + b"x" * 800 + b'"}'


async def drain(house: HubHouse, receiver: Receiver, events: int) -> dict[str, float]:
    await house.add_tenants(
        ENDPOINTS,
        lambda number: NewEndpoint(
            url=f"{receiver.base}/mix/{number}",
            max_in_flight=64,
            retry_profile=RetryProfile.CUSTOM,
            retry_schedule=(1, 1, 1, 1, 1),
        ),
    )
    put = await house.put([house.tenants[n % ENDPOINTS] for n in range(events)], BODY)
    begin = time.monotonic()
    with house.deliver(in_flight="512", in_flight_per_tenant="64"):
        await house.until_settled()
        seconds = time.monotonic() - begin
    seen = await receiver.seen()
    delivered = {message for message, _, status in seen if status < 300}
    return {
        "events": events,
        "calls": len(seen),
        "seconds": round(seconds, 1),
        "delivered_per_s": round(events / seconds),
        "lost": len(set(put) - delivered),
        "twice": sum(status < 300 for _, _, status in seen) - len(delivered),
    }


async def compare(stores: EmbeddedStores, events: int) -> int:
    share = events // SHARE
    figures: dict[str, object] = {}
    async with open_house(stores) as house:
        with start_receiver() as receiver:
            figures["hub"] = hub = await drain(house, receiver, events)
        rates = await others(house, stores, share)
    best = max(rates.values())
    return report(
        "drain",
        ratio=hub["delivered_per_s"] / best,
        target=1.0,
        ok=hub["delivered_per_s"] > best and hub["lost"] == 0,
        raw={
            **figures,
            "others_events": share,
            "others_per_s": {name: round(x, 1) for name, x in rates.items()},
        },
    )


async def others(house: HubHouse, stores: EmbeddedStores, events: int) -> dict[str, float]:
    rates = {}
    async with asyncpg.create_pool(stores.database_owner_url.reveal(), min_size=1, max_size=64) as owner:
        for name in ("job_per_delivery", "held_transaction", "dual_write"):
            with start_receiver() as receiver:
                table = Table(owner, f"bench_{name}")
                ids: list[UUID] = [house.ids.new() for _ in range(events)]
                urls = [f"{receiver.base}/mix/{n % ENDPOINTS}" for n in range(events)]
                await table.fill(ids, urls, BODY)
                if name == "job_per_delivery":
                    seconds = await job_per_delivery(table, stores)
                elif name == "held_transaction":
                    seconds = await held_transaction(table)
                else:
                    seconds = await dual_write(table, stores.redis_url.reveal())
            rates[name] = events / seconds
    return rates


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--events", type=int, default=EVENTS)
    events = options.parse_args().events
    with start_stores(valkey=True) as stores:
        return asyncio.run(compare(stores, events))


if __name__ == "__main__":
    sys.exit(main())
