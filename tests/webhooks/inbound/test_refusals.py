"""Refused posts: counted by minute, one ledger entry each, however many a forger sends."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from config.clock import FixedClock
from config.errors import StoreUnavailable
from tests.webhooks.inbound.house import House
from tests.webhooks.inbound.keeping import sender_of
from webhooks.inbound.refusals import Refusals, record_refusals


async def record(house: House) -> int:
    services = house.services
    return await record_refusals(services.hub, services.recorder, services.ids, services.clock)


async def bodies(house: House) -> list[dict]:
    rows = await house.services.hub.fetch(
        "SELECT body FROM ledger_entries WHERE event_type = 'inbound_refused' ORDER BY recorded_at, seq"
    )
    return [json.loads(bytes(row["body"])) for row in rows]


async def test_refusals_of_a_minute_become_one_entry_with_their_count(house: House) -> None:
    clock = FixedClock(house.services.clock.now() - timedelta(minutes=5))
    one, two = [await sender_of(house, await house.docusign()) for _ in range(2)]
    refusals = Refusals(house.services.hub, clock)
    for _ in range(300):
        refusals.count(one, "no signature matches any live key")
    refusals.count(one, "no signature that could be one")
    refusals.count(two, "no signature matches any live key")
    refusals.count(None, "no connection under this path")
    await refusals.aclose()
    assert await record(house) == 3
    assert await record(house) == 0
    counted = sorted(body["data"]["refused"] for body in await bodies(house))
    assert counted == [1, 1, 301]
    rows = await house.services.hub.fetch(
        "SELECT tenant_id FROM ledger_entries WHERE event_type = 'inbound_refused'"
    )
    assert {row[0] for row in rows} >= {one.tenant_id, two.tenant_id}


async def test_minute_that_is_not_over_is_not_recorded_yet(house: House) -> None:
    refusals = Refusals(house.services.hub, house.services.clock)
    refusals.count(None, "no connection under this path")
    await refusals.aclose()
    assert await record(house) == 0


async def test_count_that_comes_late_is_recorded_beside_and_not_again(house: House) -> None:
    clock = FixedClock(house.services.clock.now() - timedelta(minutes=5))
    for _ in range(2):
        refusals = Refusals(house.services.hub, clock)
        refusals.count(None, "late")
        await refusals.aclose()
        assert await record(house) == 1
    assert [body["data"]["refused"] for body in await bodies(house)] == [1, 1]


async def test_invented_reasons_do_not_grow_the_table(house: House) -> None:
    refusals = Refusals(house.services.hub, FixedClock())
    for number in range(500):
        refusals.count(None, f"{number} client ids in the headers")
        if number % 100 == 0:
            await refusals.flush()
    await refusals.aclose()
    rows = await house.services.hub.fetch("SELECT reason, refused FROM inbound_refusals")
    assert len(rows) == 9
    assert sum(row["refused"] for row in rows) == 500


async def test_counts_stay_while_the_store_is_away(house: House) -> None:
    class Away:
        async def execute(self, *_: object) -> None:
            raise StoreUnavailable("away")

    refusals = Refusals(Away(), house.services.clock)  # type: ignore[arg-type]
    refusals.count(None, "kept")
    await refusals.flush()
    refusals._hub = house.services.hub
    refusals.count(None, "kept")
    await refusals.aclose()
    assert await house.services.hub.fetchval("SELECT sum(refused)::int FROM inbound_refusals") == 2


async def test_two_jobs_at_once_record_a_minute_once(house: House) -> None:
    clock = FixedClock(house.services.clock.now() - timedelta(minutes=5))
    refusals = Refusals(house.services.hub, clock)
    for _ in range(20):
        refusals.count(None, "forged")
    await refusals.aclose()
    assert sorted(await asyncio.gather(*(record(house) for _ in range(4)))) == [0, 0, 0, 1]


class SlowHub:
    """Each statement waits for its own permit."""

    def __init__(self) -> None:
        self.begun = [asyncio.Event(), asyncio.Event()]
        self.permits = [asyncio.Event(), asyncio.Event()]
        self.asked = self.written = 0

    async def execute(self, *_: object) -> None:
        number, self.asked = self.asked, self.asked + 1
        self.begun[number].set()
        await self.permits[number].wait()
        self.written += 1


async def test_close_waits_for_every_count_that_is_being_written() -> None:
    hub: Any = SlowHub()
    refusals = Refusals(hub, FixedClock())
    for begun in hub.begun:
        refusals.count(None, "forged")
        await begun.wait()
    closing = asyncio.create_task(refusals.aclose())
    await asyncio.sleep(0)
    hub.permits[1].set()
    await asyncio.sleep(0.05)
    assert not closing.done()
    hub.permits[0].set()
    await closing
    assert hub.written == 2


async def test_count_that_cannot_be_written_is_told_and_holds_up_no_other(caplog) -> None:
    class FaultyHub:
        def __init__(self) -> None:
            self.asked = 0

        async def execute(self, *_: object) -> None:
            self.asked += 1
            if self.asked == 1:
                raise LookupError("a fault of ours")

    hub: Any = FaultyHub()
    refusals = Refusals(hub, FixedClock())
    refusals.count(None, "forged")
    await refusals.flush()
    refusals.count(None, "forged again")
    await refusals.aclose()
    assert hub.asked == 2
    assert "1 refusals could not be counted" in caplog.text
