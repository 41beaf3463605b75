"""A lifecycle of six events ends the same in whatever order it comes, and each effect happens once."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from adapters.kit.port import RawRequest
from tests.webhooks.inbound.house import DAY, House, Placed, connect_message, notification
from tests.webhooks.inbound.keeping import sender_of, verified
from webhooks.inbound.emit import InboxEmitter
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
    "internal": (
        ("envelope_sent", "sent"),
        ("recipient_asked", "sent"),
        ("recipient_authenticated", "sent"),
        ("recipient_viewed", "delivered"),
        ("recipient_finished", "signed"),
        ("envelope_completed", "completed"),
    ),
}
HAPPENINGS = {
    "docusign": set(),
    "adobe_sign": {"envelope_reminded"},
    "internal": {"authentication_success"},
}
RECIPIENT = {"recipient_asked": "sent", "recipient_viewed": "delivered", "recipient_finished": "completed"}
ORDERS = list(itertools.permutations(range(6)))


def compose(provider: str, number: int, ref: str) -> bytes:
    event, recipient = SIX[provider][number]
    if provider == "internal":
        return report(event, recipient, number, ref)
    if provider == "docusign":
        return connect_message(event, ref, at=f"{DAY}T10:20:0{number}.0000000Z", recipient=recipient)
    return notification(event, ref, number=number, status="OUT_FOR_SIGNATURE")


def report(word: str, status: str, number: int, ref: str) -> bytes:
    """What the engine puts into the inbox in the transaction of its change."""
    is_recipients = word.startswith("recipient_")
    happening = {
        "word": word,
        "key": f"{ref}-{number}",
        "at": f"{DAY}T10:20:0{number}Z",
        "email": "ada@example.com" if is_recipients else "",
        "status": RECIPIENT.get(word),
    }
    seen = {"provider_ref": ref, "status": status, "provider_status": status}
    message = {
        "engine": "message.v1",
        "engine_id": ref,
        "reference": "",
        "happenings": [happening],
        "report": seen,
    }
    return json.dumps(message).encode()


Keep = Callable[[bytes], Awaitable[object]]


async def keeper_of(house: House, provider: str, placed: Placed) -> Keep:
    """As the door keeps what is posted; for the engine, which nobody can post for, as it emits."""
    services = house.services
    if provider == "internal":
        emit = InboxEmitter("internal", services.vault, services.ids, lambda: None)

        async def put(body: bytes) -> None:
            async with services.database.transaction(placed.tenant_id) as tx:
                await emit(tx, placed.id, body)
                await tx.commit()

        return put
    sender = await sender_of(house, placed)
    proved = verified(house, sender)
    keeper = MessageKeeper(services.hub, services.vault, services.ids)
    return lambda body: keeper.keep(sender, RawRequest(method="POST", headers=(), body=body), proved)


async def run_orders(house: House, provider: str, orders: Sequence[tuple[int, ...]]) -> None:
    make = {"docusign": house.docusign, "adobe_sign": house.adobe_sign, "internal": house.internal}
    placed: Placed = await make[provider]()
    keep = await keeper_of(house, provider, placed)
    refs = []
    for order in orders:
        ref = await house.envelope(placed, provider)
        refs.append(ref)
        # One after another in this order; duplicates of some, as redeliveries with other bytes.
        for place, number in enumerate(order):
            body = compose(provider, number, ref)
            copies = [body, body + b" "] if place % 2 else [body]
            for copy in copies:
                await keep(copy)
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
