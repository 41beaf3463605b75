"""One tenant's trouble, or one endpoint's, is nobody else's; and nothing is held, or cancelled, for ever by a race."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest
from aiohttp import web

from config.database import Transaction
from config.errors import VaultError
from config.master_keys import LocalKeyWrapper, WrappedKey
from config.secret import Secret
from config.settings_endpoints import RetentionSettings
from config.vault import Vault
from normalizer.events import Event
from tests.webhooks.outbound.hub import ACTOR, MASTER_KEY, SOURCE, Hub
from tests.webhooks.outbound.receiver import Received, Receiver
from tests.webhooks.outbound.test_breaker import claim, complete
from tests.webhooks.outbound.test_operational_events import QUICK_TO_TELL, reporter
from webhooks.outbound.claims import Claim, Completion
from webhooks.outbound.endpoint import EndpointChange
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.health_news import find_news, tell_news
from webhooks.outbound.ports import RecordEvents
from webhooks.outbound.retention import reap_outbound
from webhooks.outbound.settle import settle
from webhooks.outbound.sweep import PATIENCE, give_up_poison, sweep
from webhooks.record import Recorder

HOOK = "http://127.0.0.1:9/hook"


class Refusing:
    """The ledger of a tenant whose keys are gone."""

    def __init__(self, recorder: Recorder, tenant: UUID) -> None:
        self._recorder = recorder
        self._tenant = tenant

    async def record(self, tx: Transaction, events: Sequence[Event]) -> None:
        if any(event.tenant_id == self._tenant for event in events):
            raise VaultError("the tenant's key is gone")
        await self._recorder.record(tx, events)


async def pair(hub: Hub, events: int = 1) -> tuple[UUID, list[UUID]]:
    """A tenant in trouble and one that does well, in the order in which tenants are settled; their endpoints."""
    endpoints = []
    tenants = sorted([await hub.tenant(), await hub.tenant()])
    for tenant in tenants:
        endpoints.append((await hub.endpoint(tenant, HOOK)).endpoint.id)
        await hub.put(tenant, events)
    await fan_out(hub.store.hub)
    recorder: RecordEvents = Refusing(hub.recorder, tenants[0])
    hub.recorder = recorder
    return tenants[0], endpoints


def ended(hub: Hub, one: Claim, outcome: str, state: str, status: int = 410) -> Completion:
    return Completion(
        claim=one, state=state, attempt=1, throttled=0, delay_s=0.0, started_at=hub.clock.now(), duration_ms=1,
        outcome=outcome, status=status, error="answered", response=None,
    )  # fmt: skip


async def test_ends_of_other_tenants_are_recorded_though_one_cannot_be(hub: Hub):
    _, endpoints = await pair(hub)
    claims = [one for endpoint in endpoints for one in await claim(hub, endpoint)]
    done = await settle(
        hub.store.hub, reporter(hub), [ended(hub, one, "exhausted", "exhausted") for one in claims]
    )
    assert done.lost == [claims[0].id]
    assert await hub.states() == ["leased", "exhausted"]


async def test_poison_of_other_tenants_is_given_up_though_ones_cannot_be(hub: Hub):
    await pair(hub)
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = 'leased', claim_id = gen_random_uuid(), expiries = $1,"
        " lease_until = now() - interval '1 s'",
        PATIENCE,
    )
    assert await give_up_poison(hub.store.hub, reporter(hub)) == 1
    assert sorted(await hub.states()) == ["exhausted", "leased"]


async def test_news_of_other_tenants_is_told_and_the_sweep_goes_on_though_ones_cannot_be(
    hub: Hub, receiver: Receiver
):
    await pair(hub, events=0)
    await hub.store.hub.execute(
        "UPDATE endpoint_health SET failures_in_row = 5, last_failure_at = now(),"
        " failing_since = now() - interval '1 hour'"
    )
    news = await find_news(hub.store.hub, reporter(hub))
    assert len(news) == 2
    assert await tell_news(hub.store.hub, reporter(hub), news) == 1
    assert len(await find_news(hub.store.hub, reporter(hub))) == 1
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering(endpoints=QUICK_TO_TELL) as deliverer:
        await hub.until(lambda: deliverer.pump.is_idle)
        await hub.put(tenant, 1)
        await fan_out(hub.store.hub)  # by somebody else, who told nobody
        await hub.settled(1)


class Keeper(LocalKeyWrapper):
    """A keeper of master keys that is away until it is not."""

    away = True

    async def unwrap(self, wrapped: WrappedKey, context: bytes) -> bytes:
        if self.away:
            raise ConnectionRefusedError("the keys' keeper is away")
        return await super().unwrap(wrapped, context)


async def test_keys_that_cannot_be_had_for_a_moment_burn_no_attempt(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.put(tenant, 1)
    keeper = Keeper([MASTER_KEY])
    hub.vault = Vault(keeper, hub.clock)
    async with hub.delivering() as deliverer:
        await hub.until(lambda: deliverer.statements > 20)
        assert await hub.attempts() == []
        keeper.away = False
        await hub.settled(1)
    assert [row["outcome"] for row in await hub.attempts()] == ["succeeded"]


async def test_an_endpoint_that_cannot_be_read_is_read_again_and_delays_no_other(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    broken = (await hub.endpoint(tenant, f"{receiver.url}/broken")).endpoint.id
    await hub.endpoint(tenant, f"{receiver.url}/sound")
    await hub.store.hub.execute("UPDATE webhook_endpoints SET headers = '[]' WHERE id = $1", broken)
    await hub.put(tenant, 1)
    async with hub.delivering(default_schedule_delays_s=(0.05,) * 1000):
        await hub.until(lambda: len(receiver.requests) == 1)

        async def was_tried() -> bool:
            return any("cannot be read" in row["error"] for row in await hub.attempts())

        await hub.until(was_tried)
        # No new revision: what was wrong was not the tenant's doing.
        await hub.store.hub.execute("UPDATE webhook_endpoints SET headers = '{}' WHERE id = $1", broken)
        await hub.settled(2)
    assert {request.path for request in receiver.requests} == {"/hook/broken", "/hook/sound"}


async def test_a_farewell_of_the_former_address_does_not_switch_off_the_new_one(hub: Hub, receiver: Receiver):
    gate = asyncio.Event()

    async def answer(request: web.Request, received: Received) -> web.Response:
        if received.path == "/hook/former":
            await gate.wait()
            return web.Response(status=410)
        return web.Response(status=204)

    receiver.answer = answer
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, f"{receiver.url}/former")
    await hub.put(tenant, 1)
    async with hub.delivering():
        await hub.until(lambda: receiver.in_flight == 1)
        await hub.desk.change(
            tenant, made.endpoint.id, EndpointChange(url=f"{receiver.url}/new"), ACTOR, SOURCE
        )
        gate.set()
        await hub.settled(1)
    assert (await hub.desk.read(tenant, made.endpoint.id)).active
    assert [request.path for request in receiver.requests] == ["/hook/former", "/hook/new"]


async def leased_at(hub: Hub) -> tuple[UUID, UUID, list[Claim]]:
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, HOOK)
    await hub.put(tenant, 1)
    await fan_out(hub.store.hub)
    return tenant, made.endpoint.id, await claim(hub, made.endpoint.id)


@pytest.mark.parametrize("outcome", ["gone", "retry"])
async def test_what_ends_after_its_endpoint_was_deleted_is_cancelled_and_forgotten_in_time(
    hub: Hub, outcome: str
):
    tenant, endpoint_id, claims = await leased_at(hub)
    await hub.desk.delete(tenant, endpoint_id, ACTOR, SOURCE)
    state = "held" if outcome == "gone" else "pending"
    await settle(hub.store.hub, hub.reporter, [ended(hub, one, outcome, state) for one in claims])
    [row] = await hub.deliveries()
    assert (row["state"], row["finished_at"] is None) == ("cancelled", False)


async def test_the_sweep_puts_nothing_away_of_an_endpoint_that_is_being_switched_on(hub: Hub):
    tenant, endpoint_id, claims = await leased_at(hub)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET active = false")
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = 'pending', claim_id = NULL, lease_until = NULL"
    )
    async with hub.store.app.transaction(tenant) as tx:
        await tx.driver.execute("UPDATE webhook_endpoints SET active = true WHERE id = $1", endpoint_id)
        await tx.driver.fetchval("SELECT change_mailbox($1, $2, 'release')", tenant, endpoint_id)
        sweeping = asyncio.create_task(sweep(hub.store.hub))

        async def waits_for_us() -> bool:
            return await hub.store.owner.fetchval(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database"
                " WHERE datname = current_database()) OR NOT granted AND locktype = 'transactionid'"
            )

        await hub.until(lambda: waits_for_us_or_done(waits_for_us, sweeping))
        await tx.commit()
    await sweeping
    assert (len(claims), await hub.states()) == (1, ["pending"])


async def waits_for_us_or_done(waits, sweeping: asyncio.Task) -> bool:
    return sweeping.done() or bool(await waits())


async def test_what_never_reached_a_deleted_endpoint_is_reaped(hub: Hub):
    tenant, endpoint_id, claims = await leased_at(hub)
    await hub.desk.delete(tenant, endpoint_id, ACTOR, SOURCE)
    await complete(hub, claims, 503)
    assert await hub.states() == ["cancelled"]
    await hub.store.hub.execute(
        "UPDATE deliveries SET id = '00000000-0000-7000-8000-000000000001',"
        " finished_at = finished_at - $1::interval",
        timedelta(days=400),
    )
    assert (await reap_outbound(hub.store.hub, RetentionSettings()))["deliveries"] == 1


async def test_a_receiver_that_shows_our_headers_shows_no_secret_to_whoever_reads_deliveries(
    hub: Hub, receiver: Receiver
):
    async def show(request: web.Request, received: Received) -> web.Response:
        return web.Response(status=500, text="\n".join(f"{n}: {v}" for n, v in received.headers.items()))

    receiver.answer = show
    tenant = await hub.tenant()
    sealed = {"Authorization": Secret("Bearer canary-token"), "X-Key": Secret("canary-key")}
    await hub.endpoint(tenant, receiver.url, headers={"X-Plain": "shown"}, sensitive_headers=sealed)
    await hub.put(tenant, 1)
    async with hub.delivering():
        await hub.settled(1, "exhausted")
    assert receiver.requests[0].headers["Authorization"] == "Bearer canary-token"
    for attempt in await hub.attempts():
        assert b"X-Plain: shown" in attempt["response"]
        assert b"Authorization: ***" in attempt["response"]
        assert b"canary" not in attempt["response"]
