"""200 concurrent producers put events into the outbox: a row per transaction against commits in groups.

A group: what the producers have within two milliseconds, at most 64, goes in one statement, and each goes on when
it is committed. `ratio` is group against row, both the outbox alone. With the ledger: the same through the
recorder, which is what a business transaction pays. Durable throughout. The best figure that anybody publishes for
batches is 13,204 a second.
"""

import asyncio
import statistics
import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

from bench._hub import PUT, HubHouse, open_house
from bench.kit import interleave, measure_rate, median_ratio, report, start_stores
from config.embedded import EmbeddedStores
from normalizer.events import Event

PRODUCERS = 200
GROUP = 64
WINDOW_S = 0.002
SECONDS = 3.0
TENANTS = 64
DATA = b'{"envelope_id":"env_01jd0000000000000000000000","note":"' + b"x" * 800 + b'"}'
PUBLISHED_PER_S = 13_204


class Grouped:
    """Commits in groups what many ask for one by one."""

    def __init__(self, commit: Callable[[list[tuple[UUID, UUID]]], Awaitable[None]]) -> None:
        self._commit = commit
        self._waiting: list[tuple[tuple[UUID, UUID], asyncio.Future[None]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def put(self, tenant: UUID, own: UUID) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(((tenant, own), done))
        if len(self._waiting) >= GROUP:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(WINDOW_S, self._flush)
        await done

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        group, self._waiting = self._waiting, []
        if group:
            task = asyncio.create_task(self._write(group))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _write(self, group: list[tuple[tuple[UUID, UUID], asyncio.Future[None]]]) -> None:
        await self._commit([one for one, _ in group])
        for _, done in group:
            done.set_result(None)


class Producers:
    def __init__(self, house: HubHouse) -> None:
        self._house = house
        self._turn = 0
        self._grouped = Grouped(self._commit_rows)
        self._recorded = Grouped(self._commit_events)

    def _next(self) -> UUID:
        self._turn += 1
        return self._house.tenants[self._turn % TENANTS]

    async def row(self) -> None:
        await self._commit_rows([(self._next(), self._house.ids.new())])

    async def group(self) -> None:
        await self._grouped.put(self._next(), self._house.ids.new())

    async def record(self) -> None:
        house, tenant = self._house, self._next()
        event = house.event(tenant, house.ids.new(), "x" * 800)
        async with house.app.transaction(tenant) as tx:
            await house.recorder.record(tx, [event])
            await tx.commit()

    async def record_group(self) -> None:
        await self._recorded.put(self._next(), self._house.ids.new())

    async def _commit_rows(self, rows: list[tuple[UUID, UUID]]) -> None:
        tenants, events = [tenant for tenant, _ in rows], [own for _, own in rows]
        await self._house.hub.execute(PUT, tenants, events, events, DATA)

    async def _commit_events(self, rows: list[tuple[UUID, UUID]]) -> None:
        house = self._house
        events: list[Event] = [house.event(tenant, own, "x" * 800) for tenant, own in rows]
        async with house.hub.transaction() as tx:
            await house.recorder.record(tx, events)
            await tx.commit()


async def measure(stores: EmbeddedStores) -> int:
    async with open_house(stores) as house:
        await house.add_tenants(TENANTS, lambda _: None)
        producers = Producers(house)

        def rate(work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[float]]:
            return lambda: measure_rate(work, writers=PRODUCERS, seconds=SECONDS)

        figures = await interleave(
            {
                "row": rate(producers.row),
                "group": rate(producers.group),
                "recorded_row": rate(producers.record),
                "recorded_group": rate(producers.record_group),
            }
        )
    ratio = median_ratio(figures["group"], figures["row"])
    medians = {name: round(statistics.median(values)) for name, values in figures.items()}
    return report(
        "enqueue",
        ratio=ratio,
        target=1.0,
        ok=ratio > 1.0 and medians["group"] > PUBLISHED_PER_S,
        raw={
            "producers": PRODUCERS,
            "per_s": medians,
            "published_per_s": PUBLISHED_PER_S,
            "ratio_with_the_ledger": round(
                median_ratio(figures["recorded_group"], figures["recorded_row"]), 2
            ),
        },
    )


def main() -> int:
    with start_stores(valkey=True) as stores:
        return asyncio.run(measure(stores))


if __name__ == "__main__":
    sys.exit(main())
