"""The job that sends notices: found by its schedule and by the engine's wake, counted in the metrics."""

import pytest_asyncio

from config.settings_notices import MailSettings, MailTls
from engine.notify.notice import Notice, NoticeKind
from engine.notify.outbox import SEND_NOTICES, put_notice
from gateway import metrics
from gateway.jobs.kinds import KINDS, schedules
from gateway.jobs.run_jobs import run_due
from gateway.jobs.store import set_schedules
from tests.engine.notify.servers import MailServer, mail_server
from tests.gateway.world import World, make_settings, open_world

_KINDS = {SEND_NOTICES: KINDS[SEND_NOTICES], "reap_old_rows": KINDS["reap_old_rows"]}


@pytest_asyncio.fixture
async def server():
    async with mail_server() as server:
        yield server


@pytest_asyncio.fixture
async def world(store, redis_url, gateway_folder, server: MailServer):
    mail = MailSettings(host="127.0.0.1", port=server.port, tls=MailTls.NONE)
    async with open_world(make_settings(store, redis_url, gateway_folder, mail=mail)) as world:
        yield world


async def put(world: World, tenant_id, kind: NoticeKind = NoticeKind.EXPIRED) -> None:
    notice = Notice(kind=kind, tenant_id=tenant_id, address="ada@signer.example", values={"subject": "Lease"})
    async with world.services.database.transaction(tenant_id) as tx:
        await put_notice(world.services.engine, tx, notice)
        await tx.commit()


def counted(outcome: str) -> float:
    return (
        metrics.REGISTRY.get_sample_value(
            "countersign_notices_total", {"channel": "email", "kind": "expired", "outcome": outcome}
        )
        or 0.0
    )


async def test_notice_is_sent_by_the_job_and_counted(world: World, server: MailServer):
    tenant = await world.tenant("Acme")
    before = counted("sent")
    await put(world, tenant.id)
    await set_schedules(world.services.hub, schedules(world.services.settings))
    await run_due(world.services, kinds=_KINDS)
    (message,) = server.received
    assert message["Subject"] == "Expired: Lease"
    assert counted("sent") == before + 1
    chain = await world.services.hub.fetchval(
        "SELECT chain_id FROM ledger_entries WHERE event_type = 'notice_sent'"
    )
    assert chain == f"tenant:{tenant.id}"


async def test_rows_of_notices_that_ended_long_ago_are_removed_and_waiting_ones_stay(world: World):
    tenant = await world.tenant("Acme")
    for _ in range(3):
        await put(world, tenant.id)
    await world.services.hub.execute(
        "UPDATE engine_notices SET state = 'sent', content = NULL, ended_at = now() - interval '91 days'"
        " WHERE id = (SELECT min(id::text)::uuid FROM engine_notices)"
    )
    await KINDS["reap_old_rows"].run(world.services, {})
    rows = await world.services.hub.fetch("SELECT state FROM engine_notices")
    assert [row["state"] for row in rows] == ["waiting", "waiting"]


def test_every_outcome_of_a_breaker_is_counted_under_its_carriers_name():
    from config.breaker import State

    labels = {"provider": "sms", "state": "open"}
    before = metrics.REGISTRY.get_sample_value("countersign_circuit_changes_total", labels) or 0.0
    metrics.observe_circuit("sms", State.OPEN)
    assert metrics.REGISTRY.get_sample_value("countersign_circuit_changes_total", labels) == before + 1


async def test_metrics_page_tells_of_what_waits_and_of_what_was_given_up(world: World):
    tenant = await world.tenant("Acme")
    for _ in range(3):
        await put(world, tenant.id)
    await world.services.hub.execute("UPDATE engine_notices SET created_at = now() - interval '90 seconds'")
    await world.services.hub.execute(
        "UPDATE engine_notices SET state = 'bounced', content = NULL, ended_at = now()"
        " WHERE id = (SELECT min(id::text)::uuid FROM engine_notices)"
    )
    page = (await tenant.client.get("/metrics")).text
    figures = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    assert 90 <= float(figures["countersign_notice_oldest_seconds"]) < 900
    assert float(figures["countersign_notices_failed"]) == 1
