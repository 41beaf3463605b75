"""One of 100 endpoints hangs for the whole of its 30 seconds: what do the other 99 feel?

Control and trouble take turns, 200 events a second over 100 endpoints in both. In the trouble's turns one of the
100 accepts connections and never answers; in the control's, a healthy one stands in its place. Between turns the
hanging endpoint is switched off until nothing of it is under way. `ratio`: the control's p99 over the others' p99,
from commit to answer; the bound is 1 / 1.2. Arguments: `--seconds N` (30) per turn.
"""

import argparse
import asyncio
import sys

from bench._hub import ACTOR, SOURCE, HubHouse, Receiver, at_rate, open_house, percentiles_ms, start_receiver
from bench.kit import report, start_stores, until
from config.embedded import EmbeddedStores
from webhooks.outbound.endpoint import EndpointChange, NewEndpoint

ENDPOINTS = 100
RATE = 200
ROUNDS = 2
BOUND = 1.2
_NOTHING_UNDER_WAY = "SELECT NOT EXISTS (SELECT FROM deliveries WHERE state = 'leased')"


async def turn(house: HubHouse, receiver: Receiver, lanes: range, seconds: float) -> list[float]:
    """Seconds from commit to answer of the healthy ones' events."""
    house.committed.clear()
    recording: list[asyncio.Task[str]] = []
    hung: list[asyncio.Task[str]] = []

    def record(number: int) -> None:
        lane = lanes[number % len(lanes)]
        task = asyncio.create_task(house.record_one(house.tenants[lane], house.ids.new(), "x" * 780))
        (recording if lane else hung).append(task)

    await at_rate(record, RATE, seconds)
    expected = {await task for task in recording}
    await asyncio.gather(*hung)
    committed = {own: moment for own, moment in house.committed.items() if own in expected}
    taken: list[float] = []

    async def all_answered() -> bool:
        taken[:] = await receiver.latencies_s(committed)
        return float("inf") not in taken

    await until(all_answered, longest_s=60, every_s=0.2)
    return taken


async def switch(house: HubHouse, *, on: bool) -> None:
    """The hanging endpoint; off, and waited for until nothing of it is under way."""
    tenant = house.tenants[0]
    (endpoint,) = await house.desk.list(tenant)
    await house.desk.change(tenant, endpoint.id, EndpointChange(active=on), ACTOR, SOURCE)
    if not on:
        await until(lambda: house.hub.fetchval(_NOTHING_UNDER_WAY), every_s=0.2)


async def measure(stores: EmbeddedStores, receiver: Receiver, seconds: float) -> int:
    control: list[float] = []
    others: list[float] = []
    async with open_house(stores) as house:
        await house.add_tenants(
            ENDPOINTS + 1,
            lambda number: NewEndpoint(url=receiver.base + ("/ok" if number else "/hang"), active=number > 0),
        )
        with house.deliver():
            await house.put(house.tenants[1:], b'{"note":"warm-up"}')
            await house.until_settled()
            for _ in range(ROUNDS):
                control += await turn(house, receiver, range(1, ENDPOINTS + 1), seconds)
                await switch(house, on=True)
                others += await turn(house, receiver, range(ENDPOINTS), seconds)
                await switch(house, on=False)
        held = await house.hub.fetchval("SELECT count(*) FROM deliveries WHERE state = 'held'")
    calm, troubled = percentiles_ms(control), percentiles_ms(others)
    ratio = calm["p99_ms"] / troubled["p99_ms"]
    return report(
        "isolation",
        ratio=ratio,
        target=round(1 / BOUND, 3),
        raw={"rate_per_s": RATE, "control": calm, "others": troubled, "kept_for_the_hanging_one": held},
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--seconds", type=float, default=30.0)
    seconds = options.parse_args().seconds
    with start_receiver() as receiver, start_stores(valkey=True) as stores:
        return asyncio.run(measure(stores, receiver, seconds))


if __name__ == "__main__":
    sys.exit(main())
