"""The feed of one endpoint over HTTP: what it was to get, in its own numbers, with the bytes and their state."""

from typing import Any

from normalizer.catalogue.schemas import FULL, THIN
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import EventType
from tests.gateway.feeding import emit, number
from tests.gateway.world import Tenant, World
from tests.normalizer.announced import faults_of

URL = "http://127.0.0.1:9/hooks"  # nothing is delivered here: the fan-out alone is asked


async def made_endpoint(tenant: Tenant, **given: Any) -> str:
    answer = await tenant.post("/webhooks", {"url": URL, **given})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def owed(tenant: Tenant, endpoint_id: str, **asked: Any) -> dict[str, Any]:
    answer = await tenant.get(f"/webhooks/{endpoint_id}/events", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_feed_of_an_endpoint_tells_every_number_with_its_bytes_and_state(
    world: World, acme: Tenant
) -> None:
    full = await made_endpoint(acme, events=["envelope.sent"])
    thin = await made_endpoint(acme, payload="thin")
    await emit(acme, 5, EventType.ENVELOPE_SENT, EventType.RECIPIENT_SENT)
    assert (await owed(acme, full))["lag"] == 5
    await number(world.services)
    hub = world.services.hub
    await hub.execute(
        "UPDATE deliveries SET state = 'succeeded', last_status = 204, finished_at = now(), attempt = 1"
        " WHERE endpoint_id = $1 AND sequence = 2",
        read_id(Kind.ENDPOINT, full),
    )
    told = await owed(acme, full)
    assert [(one["sequence"], one["state"], one["last_status"]) for one in told["events"]] == [
        (1, "pending", None),
        (2, "succeeded", 204),
        (3, "pending", None),
    ]
    assert (told["next"], told["has_more"], told["lag"], told["removed"]) == (3, False, 0, [])
    assert [one["body"]["sequence"] for one in told["events"]] == [1, 2, 3]
    assert all(faults_of(one["body"], FULL) == [] for one in told["events"])
    first = await owed(acme, thin, limit=2)
    assert (first["next"], first["has_more"]) == (2, True)
    rest = await owed(acme, thin, after=first["next"])
    bodies = [one["body"] for one in first["events"] + rest["events"]]
    assert [body["sequence"] for body in bodies] == [1, 2, 3, 4, 5]
    assert all(faults_of(body, THIN) == [] for body in bodies)


async def test_feed_of_an_endpoint_says_which_numbers_are_no_longer_kept(world: World, acme: Tenant) -> None:
    endpoint = await made_endpoint(acme)
    await emit(acme, 8)
    await number(world.services)
    await world.services.hub.execute(
        "UPDATE deliveries SET state = 'succeeded', finished_at = now() - interval '400 days' WHERE endpoint_id = $1"
        " AND sequence IN (1, 2, 3, 6)",
        read_id(Kind.ENDPOINT, endpoint),
    )
    await world.services.hub.execute("DELETE FROM deliveries WHERE state = 'succeeded'")
    told = await owed(acme, endpoint)
    assert [one["sequence"] for one in told["events"]] == [4, 5, 7, 8]
    assert (told["removed"], told["next"], told["has_more"]) == ([[1, 3], [6, 6]], 8, False)
    part = await owed(acme, endpoint, after=2, limit=2)
    assert [one["sequence"] for one in part["events"]] == [4, 5]
    assert (part["removed"], part["next"], part["has_more"]) == ([[3, 3]], 5, True)


async def test_feed_of_a_strange_or_unknown_endpoint_is_not_found(world: World, acme: Tenant) -> None:
    other = await world.tenant("Globex")
    endpoint = await made_endpoint(other)
    for id_ in (endpoint, print_id(Kind.ENDPOINT, world.services.ids.new()), "ep_nonsense"):
        assert (await acme.get(f"/webhooks/{id_}/events")).status_code == 404


async def test_cursor_beyond_an_endpoints_end_is_refused(acme: Tenant) -> None:
    endpoint = await made_endpoint(acme)
    assert (await owed(acme, endpoint))["events"] == []
    answer = await acme.get(f"/webhooks/{endpoint}/events", params={"after": 1})
    assert answer.status_code == 422
    assert answer.json()["findings"][0]["where"] == "?after"
