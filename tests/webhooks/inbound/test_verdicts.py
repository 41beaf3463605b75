"""How a message was proved is kept with it and in the ledger, for messages that were taken and for refusals."""

from datetime import timedelta

import pytest

from config.clock import FixedClock
from tests.webhooks.inbound.house import House, connect_message, notification
from tests.webhooks.inbound.keeping import keep, sender_of
from webhooks.inbound.admission import mask_address
from webhooks.inbound.read import MessageFilter, list_messages
from webhooks.inbound.refusals import Refusals, record_refusals


async def test_signed_message_keeps_scheme_key_and_address_of_its_proof(gateway: House) -> None:
    placed = await gateway.docusign(None, "old-key-1", "new-key-1")
    body = connect_message("envelope-sent", await gateway.envelope(placed))
    assert await gateway.deliver(placed, body, "new-key-1") == 200
    (kept,) = await list_messages(gateway.services.database, placed.tenant_id, MessageFilter())
    verdict = kept.verdict
    assert (verdict.scheme, verdict.key_index, verdict.client_address) == ("hmac_sha256", 1, "127.0.0.1")
    assert kept.verified_at is not None
    await gateway.processor.process_due()
    (entry,) = await gateway.bodies("inbound_received")
    assert entry["source"]["raw_sha256"] == kept.body_sha256
    assert entry["data"]["size_bytes"] == len(body)
    assert entry["data"]["verdict"] == {
        "scheme": "hmac_sha256", "key": 2, "reason": "signature matches", "client_address": "127.0.0.1",
        "network": "", "certificate": "",
    }  # fmt: skip


async def test_unsigned_message_says_that_a_client_id_was_its_proof(gateway: House) -> None:
    placed = await gateway.adobe_sign()
    ref = await gateway.envelope(placed, "adobe_sign", "CBJ-9")
    assert await gateway.notify(placed, notification("AGREEMENT_CREATED", ref)) == 200
    await gateway.processor.process_due()
    (entry,) = await gateway.bodies("inbound_received")
    assert entry["data"]["verdict"]["scheme"] == "client_id"


async def test_message_is_recorded_once_however_often_it_is_looked_at_and_repeated(house: House) -> None:
    placed = await house.docusign()
    body = connect_message("envelope-sent", "00000000-0000-0000-0000-00000000004d")
    for _ in range(3):
        await keep(house, placed, body)
        await house.due_now()
        await house.processor.process_due()
    assert await house.states() == ["parked"]
    assert await house.ledger_types() == ["inbound_received"]


async def test_message_whose_worker_was_lost_is_recorded_by_the_next_one(house: House) -> None:
    placed = await house.docusign()
    await keep(house, placed, connect_message("envelope-sent", await house.envelope(placed)))
    processor = house.processor
    finish, processor._finish = processor._finish, _lost
    with pytest.raises(_LostError):
        await processor.process_batch()
    assert await house.ledger_types() == []
    processor._finish = finish
    await house.due_now()
    assert await processor.process_due() == 1
    assert await house.ledger_types() == ["inbound_received"]


async def test_burst_is_recorded_in_few_statements(house: House) -> None:
    placed = await house.docusign()
    await keep(house, placed, *(b'{"event":"click-agreed","n":%d}' % number for number in range(50)))
    house.services.hub.reset_counters()
    await house.processor.process_due()
    assert len(await house.bodies("inbound_received")) == 50
    assert house.services.hub.statements <= 25


async def test_refusals_tell_networks_and_no_address(house: House) -> None:
    clock = FixedClock(house.services.clock.now() - timedelta(minutes=5))
    sender = await sender_of(house, await house.docusign())
    refusals = Refusals(house.services.hub, clock)
    for address in ("203.0.113.7", "203.0.113.200", "2001:db8:1:2::3", "nonsense"):
        refusals.count(sender, "no signature matches any live key", mask_address(address))
    await refusals.aclose()
    services = house.services
    assert await record_refusals(services.hub, services.recorder, services.ids, services.clock) == 1
    (entry,) = await house.bodies("inbound_refused")
    assert entry["data"]["refused"] == 4
    assert entry["data"]["reasons"] == [{"reason": "no signature matches any live key", "refused": 4}]
    assert entry["data"]["sources"] == [
        {"network": "2001:db8:1::/48", "refused": 1},
        {"network": "203.0.113.0/24", "refused": 2},
        {"network": "unknown", "refused": 1},
    ]


async def test_invented_addresses_do_not_grow_the_table(house: House) -> None:
    refusals = Refusals(house.services.hub, FixedClock())
    for number in range(500):
        refusals.count(None, "forged", mask_address(f"10.{number % 250}.{number // 250}.1"))
    await refusals.aclose()
    rows = await house.services.hub.fetch("SELECT source, refused FROM inbound_refusals")
    assert len(rows) == 9
    assert sum(row["refused"] for row in rows) == 500


class _LostError(Exception):
    pass


async def _lost(*_: object) -> None:
    raise _LostError
