"""Routing is remembered between envelopes, and never longer than it holds."""

from tests.gateway.bodies import envelope
from tests.gateway.world import Tenant, World


async def test_a_switch_holds_for_the_next_envelope_although_routing_is_remembered(
    world: World, acme: Tenant
) -> None:
    first = await acme.made(envelope(send=True))
    await acme.made(envelope(send=True))
    remembered = world.services.routings.get(acme.id, world.services.clock.monotonic())
    assert remembered is not None, "nothing was remembered: this test shows nothing"
    # As an administrator does in another process: nobody tells this one's memory.
    await world.services.hub.execute(
        "UPDATE connections SET active = false WHERE tenant_id = $1 AND provider = $2",
        acme.id,
        first["provider"],
    )
    answer = await acme.post("/envelopes", envelope(send=True))
    assert answer.status_code in {201, 422}
    assert answer.json().get("provider") != first["provider"]


async def test_an_envelope_costs_no_look_at_the_routing_when_it_is_remembered(
    world: World, acme: Tenant
) -> None:
    await acme.made(envelope(send=True))
    world.services.database.reset_counters()
    await acme.made(envelope(send=True))
    without_memory = world.services.database.statements
    world.services.routings.drop(acme.id)
    world.services.database.reset_counters()
    await acme.made(envelope(send=True))
    assert world.services.database.statements == without_memory + 1
