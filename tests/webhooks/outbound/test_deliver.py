"""The main job: what was committed arrives, signed, once, in order, with few statements."""

import json

from tests.webhooks.outbound.hub import Hub
from tests.webhooks.outbound.receiver import Receiver


async def test_an_event_that_was_committed_arrives_signed(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        [event_id] = await hub.emit(tenant)
        await hub.settled(1)
    [request] = receiver.requests
    assert request.id == event_id
    assert json.loads(request.body)["id"] == event_id
