"""What an exhausted delivery means for the later ones of its envelope: skip, hold or none."""

from datetime import timedelta
from uuid import UUID

import pytest

from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from webhooks.outbound.claims import claim_deliveries
from webhooks.outbound.fanout import fan_out


async def prepared(hub: Hub, ordering: str) -> UUID:
    """Four events of one envelope and one of another, for an endpoint with that order."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET ordering = $1", ordering)
    await hub.emit(tenant, 4, envelope_id=hub.ids.new())
    await hub.emit(tenant, 1)
    await fan_out(hub.store.hub)
    return made.endpoint.id


async def claimable(hub: Hub, endpoint_id: UUID) -> list[int]:
    claimed = await claim_deliveries(
        hub.store.hub, [endpoint_id], [8], room=64, retry_room=32, lease=timedelta(seconds=60),
        claim_id=hub.ids.new(),
    )  # fmt: skip
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = 'pending', lease_until = NULL, claim_id = NULL WHERE state = 'leased'"
    )
    return [claim.sequence for claim in claimed.claims]


async def set_state(hub: Hub, sequence: int, state: str) -> None:
    await hub.store.hub.execute("UPDATE deliveries SET state = $2 WHERE sequence = $1", sequence, state)


@pytest.mark.parametrize(
    ("ordering", "at_first", "after_exhaustion"),
    [("skip", [1, 5], [2, 5]), ("hold", [1, 5], [5]), ("none", [1, 2, 3, 4, 5], [2, 3, 4, 5])],
)
async def test_an_exhausted_delivery_lets_the_next_go_or_not_as_the_endpoint_asked(
    hub: Hub, ordering: str, at_first: list[int], after_exhaustion: list[int]
):
    endpoint_id = await prepared(hub, ordering)
    assert await claimable(hub, endpoint_id) == at_first
    await set_state(hub, 1, "exhausted")
    assert await claimable(hub, endpoint_id) == after_exhaustion


async def test_a_held_order_goes_on_when_the_exhausted_one_was_replayed_and_arrived(hub: Hub):
    endpoint_id = await prepared(hub, "hold")
    await set_state(hub, 1, "exhausted")
    first = (await hub.deliveries())[0]
    async with hub.store.app.transaction(first["tenant_id"]) as tx:
        await tx.driver.execute("SELECT replay_deliveries($1, NULL, $2, 1)", first["tenant_id"], first["id"])
        await tx.commit()
    assert await claimable(hub, endpoint_id) == [1, 5]
    await set_state(hub, 1, "succeeded")
    assert await claimable(hub, endpoint_id) == [2, 5]


async def test_a_held_order_goes_on_when_the_policy_changes(hub: Hub):
    endpoint_id = await prepared(hub, "hold")
    await set_state(hub, 1, "exhausted")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET ordering = 'skip'")
    assert await claimable(hub, endpoint_id) == [2, 5]


async def test_a_change_of_the_payload_leaves_what_was_made_before_as_it_was(hub: Hub):
    endpoint_id = await prepared(hub, "skip")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET payload = 'thin'")
    endpoint = await hub.store.hub.fetchrow("SELECT tenant_id FROM webhook_endpoints")
    await hub.emit(endpoint["tenant_id"], 1)
    await hub.desk.send_test(endpoint["tenant_id"], endpoint_id, ACTOR, SOURCE)
    await fan_out(hub.store.hub)
    assert sorted((row["sequence"], row["payload"]) for row in await hub.deliveries()) == [
        *((number, "full") for number in range(1, 6)),
        (6, "thin"),
        (7, "thin"),
    ]
