"""The gap report: every number of an endpoint in exactly one place, and what a receiver misses."""

import random
from uuid import UUID

import pytest

from normalizer.errors import NotFound, ValidationFailed
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from webhooks.outbound.endpoint import EndpointChange
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.gaps import GapReport, Missing, Numbers, find_missing, report_gaps

NOWHERE = "http://127.0.0.1:9/hook"
_SHOWN = {"succeeded": "delivered", "leased": "pending"}


async def endpoint_with(hub: Hub, tenant: UUID, count: int) -> UUID:
    made = await hub.endpoint(tenant, NOWHERE)
    if count:
        await hub.put(tenant, count)
        await fan_out(hub.store.hub, 5000)
    return made.endpoint.id


async def set_states(hub: Hub, endpoint: UUID, **ranges: tuple[int, int]) -> None:
    for state, (first, last) in ranges.items():
        await hub.store.hub.execute(
            "UPDATE deliveries SET state = $2 WHERE endpoint_id = $1 AND sequence BETWEEN $3 AND $4",
            endpoint,
            state,
            first,
            last,
        )


async def missing(hub: Hub, tenant: UUID, endpoint: UUID, *received: tuple[int, int]) -> Missing:
    async with hub.store.app.transaction(tenant) as tx:
        return await find_missing(tx, tenant, endpoint, received)


async def test_a_gap_report_puts_every_number_into_the_range_of_its_state(hub: Hub):
    tenant = await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 12)
    await set_states(
        hub, endpoint, succeeded=(1, 5), exhausted=(6, 7), leased=(8, 8), held=(10, 10), cancelled=(11, 11)
    )
    await set_states(hub, endpoint, exhausted=(3, 3))
    assert await report_gaps(hub.store.app, tenant, endpoint) == GapReport(
        next_sequence=13,
        first=1,
        last=12,
        numbers=Numbers(
            delivered=((1, 2), (4, 5)),
            exhausted=((3, 3), (6, 7)),
            pending=((8, 9), (12, 12)),
            held=((10, 10),),
            cancelled=((11, 11),),
        ),
        is_contiguous=True,
    )
    part = await report_gaps(hub.store.app, tenant, endpoint, first=5, last=8)
    assert (part.first, part.last) == (5, 8)
    assert part.numbers == Numbers(delivered=((5, 5),), exhausted=((6, 7),), pending=((8, 8),))


async def test_a_gap_report_agrees_with_the_rows_whatever_their_states(hub: Hub):
    chance, tenant = random.Random(20261122), await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 300)
    states = ["pending", "leased", "succeeded", "exhausted", "held", "cancelled"]
    given = {number: chance.choice(states) for number in range(1, 301)}
    await hub.store.hub.execute(
        "UPDATE deliveries d SET state = g.state FROM unnest($1::bigint[], $2::text[]) g(sequence, state)"
        " WHERE d.sequence = g.sequence",
        list(given),
        list(given.values()),
    )
    removed = {number for number in given if chance.random() < 0.3}
    for number in removed:
        given[number] = "removed"
    await hub.store.hub.execute("DELETE FROM deliveries WHERE sequence = ANY ($1)", list(removed))
    for first, last in ((1, 300), (17, 17), (100, 260)):
        report = await report_gaps(hub.store.app, tenant, endpoint, first=first, last=last)
        told = {
            number: name
            for name in Numbers.__struct_fields__
            for low, high in getattr(report.numbers, name)
            for number in range(low, high + 1)
        }
        assert told == {number: _SHOWN.get(given[number], given[number]) for number in range(first, last + 1)}
        assert report.is_contiguous


async def test_a_number_that_was_given_and_is_not_there_is_told_and_not_passed_over(hub: Hub):
    tenant = await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 5)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET next_sequence = 9")
    report = await report_gaps(hub.store.app, tenant, endpoint)
    assert (report.is_contiguous, report.numbers.unknown) == (False, ((6, 8),))


async def test_an_endpoint_that_got_nothing_yet_has_an_empty_report(hub: Hub):
    tenant = await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 0)
    report = await report_gaps(hub.store.app, tenant, endpoint)
    assert report == GapReport(next_sequence=1, first=1, last=0, numbers=Numbers(), is_contiguous=True)


async def test_a_receiver_learns_what_it_misses_and_what_can_be_sent_again(hub: Hub):
    tenant = await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 45)
    await set_states(hub, endpoint, succeeded=(1, 41), exhausted=(42, 43))
    await hub.store.hub.execute("DELETE FROM deliveries WHERE sequence = 1")
    found = await missing(hub, tenant, endpoint, (2, 20), (22, 40))
    assert found == Missing(
        next_sequence=46,
        numbers=Numbers(
            removed=((1, 1),), delivered=((21, 21), (41, 41)), exhausted=((42, 43),), pending=((44, 45),)
        ),
        total=7,
        replayable=((21, 21), (41, 43)),
    )
    everything = await missing(hub, tenant, endpoint, (1, 45))
    assert (everything.numbers, everything.total) == (Numbers(), 0)
    nothing = await missing(hub, tenant, endpoint)
    assert nothing.total == 45


async def test_ranges_that_cannot_be_are_refused(hub: Hub):
    tenant = await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 3)
    with pytest.raises(ValidationFailed, match="never sent") as refusal:
        await missing(hub, tenant, endpoint, (1, 2), (3, 4))
    assert refusal.value.findings[0].where == "/received/1"
    for received in ((3, 2), (0, 1), (-5, 2)):
        with pytest.raises(ValidationFailed):
            await missing(hub, tenant, endpoint, received)
    for asked in ({"first": 0}, {"first": 5, "last": 4}, {"first": 2**62}):
        with pytest.raises(ValidationFailed):
            await report_gaps(hub.store.app, tenant, endpoint, **asked)


async def test_a_strangers_endpoint_has_no_report(hub: Hub):
    tenant, stranger = await hub.tenant(), await hub.tenant()
    endpoint = await endpoint_with(hub, tenant, 1)
    with pytest.raises(NotFound):
        await report_gaps(hub.store.app, stranger, endpoint)
    with pytest.raises(NotFound):
        await missing(hub, stranger, endpoint)


async def test_removed_numbers_stay_known_per_endpoint_and_go_with_it(hub: Hub):
    tenant = await hub.tenant()
    one, two = await endpoint_with(hub, tenant, 0), await endpoint_with(hub, tenant, 6)
    for first, last in ((1, 2), (5, 5), (3, 3)):
        await hub.store.hub.execute("DELETE FROM deliveries WHERE sequence BETWEEN $1 AND $2", first, last)
    for endpoint in (one, two):
        report = await report_gaps(hub.store.app, tenant, endpoint)
        assert report.numbers == Numbers(removed=((1, 3), (5, 5)), pending=((4, 4), (6, 6)))
    await hub.desk.change(tenant, one, EndpointChange(active=False), ACTOR, SOURCE)
    assert (await report_gaps(hub.store.app, tenant, one)).numbers.held == ((4, 4), (6, 6))
    await hub.desk.delete(tenant, one, ACTOR, SOURCE)
    await hub.store.hub.execute("DELETE FROM deliveries WHERE endpoint_id = $1", one)
    assert await hub.store.hub.fetchval("SELECT count(*) FROM removed_sequences") == 1
