"""Keeping messages: many in one statement, each caller let go when its own bytes are durable."""

import asyncio
import random
from types import SimpleNamespace
from uuid import uuid4

import pytest

from adapters.kit.port import RawRequest
from config.errors import StoreUnavailable
from tests.webhooks.inbound.house import House
from tests.webhooks.inbound.keeping import sender_of
from webhooks.inbound.keep import MessageKeeper
from webhooks.inbound.message import Verification

PROVED = Verification(scheme="hmac_sha256", reason="signature matches")


def request(body: bytes) -> RawRequest:
    return RawRequest(method="POST", headers=(), body=body)


async def test_burst_is_kept_in_few_statements(house: House) -> None:
    sender = await sender_of(house, await house.docusign())
    services = house.services
    keeper = MessageKeeper(services.hub, services.vault, services.ids)
    await keeper.keep(sender, request(b"first"), PROVED)
    services.hub.reset_counters()
    kept = await asyncio.gather(*(keeper.keep(sender, request(b"%d" % n), PROVED) for n in range(200)))
    assert services.hub.statements <= 10
    assert (len({one.id for one in kept}), len(await house.messages())) == (200, 201)


async def test_same_bytes_within_a_burst_are_one_message_and_one_is_fresh(house: House) -> None:
    sender = await sender_of(house, await house.docusign())
    keeper = MessageKeeper(house.services.hub, house.services.vault, house.services.ids)
    kept = await asyncio.gather(*(keeper.keep(sender, request(b"same"), PROVED) for _ in range(30)))
    assert len({one.id for one in kept}) == 1
    assert sum(one.fresh for one in kept) == 1
    assert (await house.messages())[0]["duplicates"] == 29


async def test_nobody_waits_for_ever_however_calls_and_commits_fall_together() -> None:
    """Store and clock are replaced, so that the ends of two writers meet a new call in every way."""

    class Store:
        async def fetch(self, _: str, tenants, ids, connections, *columns):
            for _ in range(random.Random(len(ids)).randrange(3)):
                await asyncio.sleep(0)
            return [
                {"connection_id": connection, "digest": digest, "id": own}
                for connection, digest, own in zip(connections, columns[3], ids, strict=True)
            ]

    class Open:
        async def encrypt(self, *_: object) -> bytes:
            return b"sealed"

    sender = SimpleNamespace(
        tenant_id=uuid4(), connection_id=uuid4(), adapter=SimpleNamespace(name="docusign")
    )
    keeper = MessageKeeper(Store(), Open(), SimpleNamespace(new=uuid4))  # type: ignore[arg-type]

    async def post(number: int) -> None:
        for turn in range(40):
            for _ in range((number + turn) % 5):
                await asyncio.sleep(0)
            await keeper.keep(sender, request(b"%d-%d" % (number, turn)), PROVED)  # type: ignore[arg-type]

    async with asyncio.timeout(20):
        for callers in (1, 2, 3, 4):
            await asyncio.gather(*(post(number) for number in range(callers)))


async def test_lost_store_is_told_to_everybody_who_waits_and_the_next_call_works(house: House) -> None:
    sender = await sender_of(house, await house.docusign())
    services = house.services

    class Failing:
        fails = True

        async def fetch(self, *arguments: object):
            if self.fails:
                raise StoreUnavailable("away")
            return await services.hub.fetch(*arguments)  # type: ignore[arg-type]

    store = Failing()
    keeper = MessageKeeper(services.hub, services.vault, services.ids)
    keeper._hub = store  # type: ignore[assignment]
    await services.vault.current_key(services.hub, sender.tenant_id)
    results = await asyncio.gather(
        *(keeper.keep(sender, request(b"%d" % n), PROVED) for n in range(5)), return_exceptions=True
    )
    assert all(isinstance(result, StoreUnavailable) for result in results)
    store.fails = False
    assert (await keeper.keep(sender, request(b"again"), PROVED)).fresh
    with pytest.raises(StoreUnavailable):
        store.fails = True
        await keeper.keep(sender, request(b"more"), PROVED)
