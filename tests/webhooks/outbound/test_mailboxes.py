"""What a deliverer remembers of its endpoints: bounded by number and weight, and never what is under way."""

import ssl
from uuid import UUID

import msgspec

from config.settings import DeliverySettings
from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver
from tests.webhooks.outbound.sinks.certificates import authority
from webhooks.outbound.mailbox import Mailbox, Route
from webhooks.outbound.mailboxes import Mailboxes, weigh
from webhooks.outbound.schedule import RetryProfile, Schedule
from webhooks.outbound.sign import SignatureProfile

TENANT = UUID(int=0)


def route(endpoint: int, *, tls: bool = False, **given) -> Route:
    return Route(
        UUID(int=endpoint), 1, 8, 30.0, Schedule(RetryProfile.DESIGN, (), DeliverySettings()),
        SignatureProfile.BOTH, tls=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if tls else None, **given,
    )  # fmt: skip


PLAIN, HEAVY = weigh(route(1)), weigh(route(1, tls=True))


def filled(boxes: Mailboxes, *routes: Route) -> list[Mailbox]:
    """Each was claimed from once, and nothing is under way any more."""
    made = []
    for one in routes:
        box = boxes.hold(one.endpoint_id, TENANT)
        boxes.set_route(one.endpoint_id, one)
        box.held -= 1
        made.append(box)
    return made


def test_routes_with_contexts_of_their_own_weigh_hundreds_of_plain_ones():
    boxes = Mailboxes(most_bytes=3 * HEAVY)
    made = filled(boxes, *(route(n, tls=True) for n in range(5)))
    assert [box.route is not None for box in made] == [False, False, True, True, True]
    assert boxes.route_bytes == 3 * HEAVY
    many = HEAVY // PLAIN
    filled(boxes, *(route(100 + n) for n in range(many)))
    assert [box.route is not None for box in made] == [False, False, False, True, True]
    assert boxes.route_bytes == 2 * HEAVY + many * PLAIN


def test_the_ones_claimed_from_last_stay_and_what_is_slow_stays_slow():
    boxes = Mailboxes(most_bytes=2 * HEAVY)
    first, second = filled(boxes, route(1, tls=True), route(2, tls=True))
    second.slow = True
    boxes.hold(first.id, TENANT).held -= 1
    filled(boxes, route(3, tls=True))
    assert (first.route is None, second.route, boxes[second.id].slow) == (False, None, True)


def test_what_is_under_way_is_never_forgotten():
    boxes = Mailboxes(most=2, most_bytes=HEAVY)
    for number in range(4):
        boxes.hold(UUID(int=number), TENANT)
        boxes.set_route(UUID(int=number), route(number, tls=True))
    assert [box.route is not None for box in boxes.values()] == [True] * 4
    for box in boxes.values():
        box.held = 0
    filled(boxes, route(9))
    assert boxes.route_bytes <= HEAVY


def test_no_more_are_known_than_may_be_and_the_eldest_goes_first():
    boxes = Mailboxes(most=3)
    filled(boxes, *(route(n) for n in range(5)))
    assert list(boxes) == [UUID(int=n) for n in (2, 3, 4)]
    assert boxes.route_bytes == 3 * PLAIN


def test_a_new_revision_of_a_route_weighs_instead_of_the_old_one():
    boxes = Mailboxes()
    filled(boxes, route(1, tls=True))
    filled(boxes, msgspec.structs.replace(route(1), headers={"X-A": "12345"}))
    assert boxes.route_bytes == PLAIN + 8


async def test_an_endpoint_whose_route_was_forgotten_is_served_as_before(hub: Hub, receiver: Receiver):
    tenants = [await hub.tenant() for _ in range(3)]
    for tenant in tenants:
        await hub.endpoint(tenant, receiver.url, server_ca=authority().pem)
    async with hub.delivering() as deliverer:
        boxes = deliverer.pump._mailboxes
        boxes._most_bytes = HEAVY
        for count, tenant in enumerate((*tenants, *tenants), 1):
            await hub.emit(tenant)
            await hub.settled(count)
            await hub.until(lambda: not any(box.held for box in boxes.values()))
            assert [box.tenant_id for box in boxes.values() if box.route is not None] == [tenant]
    assert len(receiver.requests) == 6
