"""An endpoint's health over HTTP, and the job that forgets old deliveries."""

from gateway.jobs.kinds import KINDS
from tests.gateway.world import Tenant, World

HOOK = {"url": "http://127.0.0.1:9/hook"}


async def test_an_endpoints_health_is_shown_to_its_tenant_only(acme: Tenant, world: World) -> None:
    globex = await world.tenant("Globex")
    made = await acme.made(HOOK, "/webhooks")
    shown = (await acme.get(f"/webhooks/{made['id']}/health")).json()
    assert (shown["endpoint_id"], shown["breaker"], shown["undelivered"]) == (made["id"], "closed", 0)
    assert shown["last_hour"] == {
        "attempts": 0, "succeeded": 0, "success_rate": None, "p95_ms": None, "is_sampled": False,
    }  # fmt: skip
    assert (await globex.get(f"/webhooks/{made['id']}/health")).status_code == 404


async def test_the_job_that_forgets_old_deliveries_leaves_young_ones(acme: Tenant, world: World) -> None:
    made = await acme.made(HOOK, "/webhooks")
    sent = (await acme.post(f"/webhooks/{made['id']}/test")).json()
    await KINDS["reap_outbound"].run(world.services, {})
    assert (await acme.get(f"/deliveries/{sent['delivery_id']}")).status_code == 200
