"""A lifecycle of six events ends the same in whatever order it comes, and each effect happens once."""

import itertools
import random
from collections import Counter
from collections.abc import Sequence

import pytest

from adapters.kit.port import RawRequest
from tests.webhooks.inbound.house import House, Placed, connect_message, notification
from tests.webhooks.inbound.keeping import sender_of
from webhooks.inbound.keep import MessageKeeper

SIX = {
    "docusign": (
        ("envelope-sent", ""),
        ("recipient-sent", "1"),
        ("recipient-delivered", "1"),
        ("envelope-delivered", ""),
        ("recipient-completed", "1"),
        ("envelope-completed", ""),
    ),
    "adobe_sign": (
        ("AGREEMENT_CREATED", ""),
        ("AGREEMENT_ACTION_REQUESTED", ""),
        ("AGREEMENT_EMAIL_VIEWED", ""),
        ("AGREEMENT_REMINDER_SENT", ""),
        ("AGREEMENT_ACTION_COMPLETED", ""),
        ("AGREEMENT_WORKFLOW_COMPLETED", ""),
    ),
}
HAPPENINGS = {"docusign": set(), "adobe_sign": {"envelope_reminded"}}
ORDERS = list(itertools.permutations(range(6)))


def compose(provider: str, number: int, ref: str) -> bytes:
    event, recipient = SIX[provider][number]
    if provider == "docusign":
        return connect_message(event, ref, at=f"2026-03-05T10:20:0{number}.0000000Z", recipient=recipient)
    return notification(event, ref, number=number, status="OUT_FOR_SIGNATURE")


async def run_orders(house: House, provider: str, orders: Sequence[tuple[int, ...]]) -> None:
    placed: Placed = await (house.docusign() if provider == "docusign" else house.adobe_sign())
    sender = await sender_of(house, placed)
    services = house.services
    keeper = MessageKeeper(services.hub, services.vault, services.ids)
    refs = []
    for order in orders:
        ref = await house.envelope(placed, provider)
        refs.append(ref)
        # One after another in this order; duplicates of some, as redeliveries with other bytes.
        for place, number in enumerate(order):
            body = compose(provider, number, ref)
            copies = [body, body + b" "] if place % 2 else [body]
            for copy in copies:
                await keeper.keep(sender, RawRequest(method="POST", headers=(), body=copy), 0)
    processor = house.processor
    while await processor.process_due(for_s=60):
        pass
    assert set(await house.states()) == {"done"}
    for ref, order in zip(refs, orders, strict=True):
        assert await house.status(ref) == ("completed", "completed"), order
        types = Counter(await house.ledger_types(ref))
        assert max(types.values()) == 1, (order, types)
        assert types["envelope_completed"] == types["recipient_completed"] == 1, (order, types)
        assert HAPPENINGS[provider] <= set(types), (order, types)


@pytest.mark.parametrize("provider", SIX)
async def test_sampled_orders_of_a_lifecycle_end_the_same(house: House, provider: str) -> None:
    sample = [ORDERS[0], ORDERS[-1], *random.Random(7).sample(ORDERS, 14)]
    await run_orders(house, provider, sample)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("provider", SIX)
async def test_all_orders_of_a_lifecycle_end_the_same(house: House, provider: str) -> None:
    await run_orders(house, provider, ORDERS)
