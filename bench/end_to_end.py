"""From the commit (its cost included) to the receiver's answer, on an open loop: 200, 500 and 1,000 events a second, 1 and 7 KB.

Every event is recorded with its ledger entry in a transaction of its own, at its own pace, whatever the hub does.
One deliverer, the stores, the receiver and the load share the machine. `ratio` is the p99 at 1,000 a second and
1 KB against the bound of one second; `statements_per_event` counts recording, fan-out and delivery.
Arguments: `--seconds N` (60) per step.
"""

import argparse
import asyncio
import sys

from bench._hub import HubHouse, Receiver, at_rate, open_house, percentiles_ms, start_receiver
from bench.kit import report, start_stores
from config.embedded import EmbeddedStores
from webhooks.outbound.endpoint import NewEndpoint

RATES = (200, 500, 1000)
NOTES = {"1KB": "x" * 780, "7KB": "x" * 6800}
TENANTS = 16
EVENTS_PER_ENVELOPE = 4
P99_BOUND_S = 1.0


async def step(
    house: HubHouse, receiver: Receiver, rate: int, note: str, seconds: float
) -> dict[str, object]:
    with house.deliver() as children:
        await house.warm_up()
        house.app.reset_counters()
        recording: list[asyncio.Task[str]] = []
        envelopes = [house.ids.new() for _ in range(int(rate * seconds) // EVENTS_PER_ENVELOPE + TENANTS)]

        def record(number: int) -> None:
            # Events of one envelope belong to one tenant and come in order; neighbours are other tenants'.
            lane = number % TENANTS
            envelope = envelopes[number // (TENANTS * EVENTS_PER_ENVELOPE) * TENANTS + lane]
            recording.append(asyncio.create_task(house.record_one(house.tenants[lane], envelope, note)))

        sent = await at_rate(record, rate, seconds)
        await asyncio.gather(*recording)
        recorded = house.app.statements
        await house.until_settled()
        taken = await receiver.latencies_s(house.committed)
    lost = sum(one == float("inf") for one in taken)
    span = max(house.committed.values()) - min(house.committed.values())
    return {
        "asked_per_s": rate,
        "committed_per_s": round(sent / span),
        **percentiles_ms(taken),
        "lost": lost,
        "statements_per_event": round((recorded + children[0].statements) / sent, 3),
    }


async def measure(stores: EmbeddedStores, receiver: Receiver, seconds: float) -> int:
    steps: dict[str, dict[str, object]] = {}
    async with open_house(stores) as house:
        await house.add_tenants(TENANTS, lambda _: NewEndpoint(url=receiver.base + "/ok"))
        for size, note in NOTES.items():
            for rate in RATES:
                house.committed.clear()
                steps[f"{rate}/s {size}"] = await step(house, receiver, rate, note, seconds)
    p99_s = float(str(steps["1000/s 1KB"]["p99_ms"])) / 1000
    return report(
        "end_to_end",
        ratio=P99_BOUND_S / p99_s,
        target=1.0,
        ok=p99_s < P99_BOUND_S and not any(one["lost"] for one in steps.values()),
        raw={"seconds": seconds, "fan_out": 1, "deliverers": 1, "steps": steps},
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--seconds", type=float, default=60.0)
    seconds = options.parse_args().seconds
    with start_receiver() as receiver, start_stores(valkey=True) as stores:
        return asyncio.run(measure(stores, receiver, seconds))


if __name__ == "__main__":
    sys.exit(main())
