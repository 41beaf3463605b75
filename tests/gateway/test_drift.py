"""What is found is told apart, mended where it can be, reported once, and counted as missed only when it was."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from adapters.kit.port import ChangePage
from gateway.envelopes.catch_up import catch_up_due
from gateway.envelopes.drift import DriftKind, compare, is_too_thin
from gateway.envelopes.reconcile import reconcile_due
from gateway.envelopes.store import load_envelope
from gateway.envelopes.sweep_changes import sweep_changes_due
from normalizer.envelope import EnvelopeReport
from normalizer.ids import Kind, print_id, read_id
from normalizer.status import EnvelopeStatus
from tests.gateway.test_change_sweep import again, sent, status_of, told, whole
from tests.gateway.world import ADMIN, Tenant, World

_S = EnvelopeStatus


async def sweep(world: World, *reports: EnvelopeReport) -> None:
    world.fake("alpha").changes = [ChangePage(reports)]
    if await world.services.hub.fetchval("SELECT EXISTS (SELECT FROM connection_sweeps)"):
        await again(world)
    assert await sweep_changes_due(world.services) == 1


async def with_webhooks(world: World) -> None:
    await world.services.hub.execute("UPDATE connections SET receive_webhooks = true, version = version + 1")


async def report_of(world: World, acme: Tenant, query: str = "") -> dict[str, Any]:
    if "reader" not in vars(world):
        vars(world)["reader"] = await world.administrator()
    connection = await world.services.hub.fetchval("SELECT id FROM connections WHERE tenant_id = $1", acme.id)
    answer = await vars(world)["reader"].get(
        f"{ADMIN}/tenants/{acme.printed}/connections/{print_id(Kind.CONNECTION, connection)}/drift{query}"
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def keep_message(world: World, acme: Tenant, ref: str, *, state: str = "done") -> None:
    """A message of the provider's about this envelope, as the inbox keeps it; it came now."""
    connection = await world.services.hub.fetchval("SELECT id FROM connections WHERE tenant_id = $1", acme.id)
    own = world.services.ids.new()
    await world.services.hub.execute(
        "INSERT INTO inbox_messages (tenant_id, id, connection_id, provider, headers, body, body_sha256, body_bytes,"
        " key_index, state, next_at, provider_ref) VALUES ($1, $2, $3, 'alpha', '', '', $4, 0, 0, $5,"
        " CASE WHEN $5 = 'received' THEN now() + interval '1 hour' END, $6)",
        acme.id,
        own,
        connection,
        own.bytes,
        state,
        ref,
    )


async def judge(world: World) -> None:
    """The grace is over."""
    await world.services.hub.execute("UPDATE drift_findings SET decide_at = now() WHERE webhook = 'awaited'")
    await world.services.hub.fetch("SELECT * FROM judge_drift(100)")


async def test_repaired_envelope_stands_in_the_report_with_ours_theirs_and_what_was_done(
    world: World, acme: Tenant
) -> None:
    made = await sent(acme)
    await sweep(world, whole(made["provider_ref"]))
    report = await report_of(world, acme)
    (finding,) = report["findings"]
    assert {
        name: finding[name] for name in ("envelope_id", "kind", "ours", "theirs", "found_by", "webhook")
    } == {
        "envelope_id": made["id"],
        "kind": "behind",
        "ours": "sent",
        "theirs": "completed",
        "found_by": "list",
        "webhook": "",
    }
    assert finding["done"] == "The envelope was moved to what the provider says."
    assert {
        name: report["summary"][name] for name in ("repaired", "missed_webhooks", "walks", "seen", "stale")
    } == {
        "repaired": 1,
        "missed_webhooks": 0,
        "walks": 1,
        "seen": 1,
        "stale": 0,
    }


async def test_a_repair_counts_as_a_missed_webhook_when_none_came_within_the_grace(
    world: World, acme: Tenant
) -> None:
    await with_webhooks(world)
    made = await sent(acme)
    await sweep(world, whole(made["provider_ref"]))
    assert (await report_of(world, acme))["findings"][0]["webhook"] == "awaited"
    await judge(world)
    report = await report_of(world, acme)
    assert report["findings"][0]["webhook"] == "missed"
    assert (report["summary"]["missed_webhooks"], report["summary"]["late_webhooks"]) == (1, 0)


async def test_a_webhook_that_comes_after_the_repair_was_late_and_not_missed(
    world: World, acme: Tenant
) -> None:
    await with_webhooks(world)
    made = await sent(acme)
    await sweep(world, whole(made["provider_ref"]))
    await keep_message(world, acme, made["provider_ref"])
    await judge(world)
    report = await report_of(world, acme)
    assert report["findings"][0]["webhook"] == "late"
    assert (report["summary"]["missed_webhooks"], report["summary"]["late_webhooks"]) == (0, 1)


async def test_a_change_long_past_counts_as_missed_at_once_unless_messages_wait_to_be_processed(
    world: World, acme: Tenant
) -> None:
    await with_webhooks(world)
    old = world.services.clock.now() - timedelta(hours=1)
    first, second = await sent(acme), await sent(acme)
    await sweep(world, whole(first["provider_ref"], changed_at=old))
    assert (await report_of(world, acme))["findings"][0]["webhook"] == "missed"
    await keep_message(world, acme, "", state="received")
    await sweep(world, whole(second["provider_ref"], changed_at=old))
    await judge(world)
    assert (await report_of(world, acme))["findings"][0]["webhook"] == "awaited"
    await world.services.hub.execute("UPDATE drift_findings SET found_at = found_at - interval '2 hours'")
    await judge(world)
    assert (await report_of(world, acme))["findings"][0]["webhook"] == "missed", "not for ever"


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        (_S.FAILED, _S.SENT, "ahead"),
        (_S.COMPLETED, _S.DELIVERED, "ahead"),
        (_S.COMPLETED, _S.VOIDED, "contradicting"),
        (_S.VOIDED, _S.COMPLETED, "contradicting"),
        (_S.DECLINED, _S.VOIDED, "contradicting"),
        (_S.VOIDED, _S.EXPIRED, None),
        (_S.COMPLETED, _S.COMPLETED, None),
        (_S.VOIDED, _S.DRAFT, None),
        (_S.COMPLETED, _S.UNKNOWN, None),
    ],
)
async def test_an_envelope_that_has_ended_here_is_never_moved_and_a_difference_is_told(
    world: World, acme: Tenant, ours: EnvelopeStatus, theirs: EnvelopeStatus, kind: str | None
) -> None:
    made = await sent(acme)
    await world.services.hub.execute(
        "UPDATE envelopes SET status = $1, updated_at = now() - interval '1 hour'", str(ours)
    )
    await sweep(world, told(made["provider_ref"], theirs))
    await sweep(world, told(made["provider_ref"], theirs))
    assert await status_of(acme, made) == str(ours)
    report = await report_of(world, acme)
    assert [one["kind"] for one in report["findings"]] == ([kind] if kind else [])
    types = await world.ledger_types(acme, made["id"])
    assert types.count("drift_found") == (1 if kind else 0), "once, however often it is seen"
    if kind:
        assert report["findings"][0]["times"] == 2
        assert report["summary"][kind] == 1


async def test_an_end_of_ours_that_is_young_may_not_have_reached_them_yet(world: World, acme: Tenant) -> None:
    made = await sent(acme)
    await acme.post(f"/envelopes/{made['id']}/void", {"reason": "wrong price"})
    await sweep(world, told(made["provider_ref"], _S.SENT))
    assert (await report_of(world, acme))["findings"] == []


async def test_an_envelope_with_our_reference_that_nobody_here_has_is_told_once(
    world: World, acme: Tenant
) -> None:
    lost = print_id(Kind.ENVELOPE, UUID(int=5))
    strangers = (
        told("x-1", _S.SENT, reference=f"{lost}_1"),
        told("x-2", _S.SENT, reference="crm-77"),
        told("x-3"),
    )
    await sweep(world, *strangers)
    await sweep(world, *strangers)
    report = await report_of(world, acme)
    assert [(one["kind"], one["provider_ref"], one["envelope_id"]) for one in report["findings"]] == [
        ("unknown", "x-1", None)
    ]
    assert report["summary"]["unknown"] == 1
    types = [one["event_type"] for one in (await acme.get("/audit/events")).json()["entries"]]
    assert types.count("drift_found") == 1


async def test_an_envelope_of_another_tenant_on_the_same_account_is_no_finding(
    world: World, acme: Tenant
) -> None:
    other = await world.tenant("Other")
    await other.route(await other.connect("alpha"))
    made = await other.made({**(await _body()), "send": True})
    await world.services.hub.execute("UPDATE connections SET active = false WHERE tenant_id = $1", other.id)
    await world.services.hub.execute("UPDATE envelopes SET status = 'completed'")
    await sweep(world, told(made["provider_ref"], _S.SENT, reference=f"{made['id']}_1"))
    assert (await report_of(world, acme))["findings"] == []


async def _body() -> dict[str, Any]:
    from tests.gateway.bodies import envelope

    return envelope()


async def test_a_twin_that_the_list_shows_is_cleared_away(world: World, acme: Tenant) -> None:
    fake = world.fake("alpha")
    made = await sent(acme)
    await world.services.hub.execute("UPDATE dispatch_attempts SET provider_ref = NULL")
    fake.hold(f"{made['id']}_1", _S.SENT, "alpha-twin")
    await sweep(world, told("alpha-twin", _S.SENT, reference=f"{made['id']}_1"))
    await reconcile_due(world.services)
    assert fake.held["alpha-twin"].status is _S.VOIDED
    assert await status_of(acme, made) == "sent"


async def test_an_envelope_that_the_provider_does_not_know_any_more_is_told(
    world: World, acme: Tenant
) -> None:
    made = await sent(acme)
    del world.fake("alpha").held[made["provider_ref"]]
    for _ in range(2):
        await world.services.hub.execute(
            "UPDATE envelopes SET updated_at = now() - interval '2 hours', next_lookup_at = NULL"
        )
        await catch_up_due(world.services)
    (finding,) = (await report_of(world, acme))["findings"]
    assert (finding["kind"], finding["envelope_id"], finding["times"]) == ("gone", made["id"], 2)
    assert await status_of(acme, made) == "sent"
    assert (await world.ledger_types(acme, made["id"])).count("drift_found") == 1


async def test_a_lost_webhook_found_by_a_read_of_a_silent_envelope_stands_in_the_report_too(
    world: World, acme: Tenant
) -> None:
    made = await sent(acme)
    world.fake("alpha")._set(made["provider_ref"], _S.COMPLETED)
    await world.services.hub.execute("UPDATE envelopes SET updated_at = now() - interval '2 hours'")
    await catch_up_due(world.services)
    (finding,) = (await report_of(world, acme))["findings"]
    assert (finding["kind"], finding["found_by"], finding["theirs"]) == ("behind", "read", "completed")


async def test_open_envelopes_that_nobody_asked_about_in_time_are_counted_as_stale(
    world: World, acme: Tenant
) -> None:
    await sent(acme)
    await world.services.hub.execute("UPDATE envelopes SET updated_at = now() - interval '3 hours'")
    assert (await report_of(world, acme))["summary"]["stale"] == 1


async def test_findings_are_paged_and_filtered(world: World, acme: Tenant) -> None:
    made = [await sent(acme) for _ in range(3)]
    lost = print_id(Kind.ENVELOPE, UUID(int=5))
    await sweep(
        world, *(whole(one["provider_ref"]) for one in made), told("x-1", _S.SENT, reference=f"{lost}_1")
    )
    unknown = (await report_of(world, acme, "?kind=unknown"))["findings"]
    assert [one["provider_ref"] for one in unknown] == ["x-1"]
    first = (await report_of(world, acme, "?limit=2"))["findings"]
    rest = (await report_of(world, acme, f"?limit=2&before={first[-1]['id']}"))["findings"]
    assert len({one["id"] for one in (*first, *rest)}) == 4


async def test_the_report_of_a_stranger_s_connection_is_not_found(world: World, acme: Tenant) -> None:
    other = await world.tenant("Other")
    theirs = await other.connect("beta")
    admin = await world.administrator()
    base = f"{ADMIN}/tenants/{acme.printed}/connections/{print_id(Kind.CONNECTION, theirs)}"
    for path in ("drift", "webhook-configuration"):
        assert (await admin.get(f"{base}/{path}")).status_code == 404
    assert (await admin.post(f"{base}/webhook-configuration/check")).status_code == 404
    assert (await acme.client.get(f"{base}/drift")).status_code == 403


async def test_figures_are_counted_for_prometheus(world: World, acme: Tenant) -> None:
    await with_webhooks(world)
    made = await sent(acme)
    await sweep(world, whole(made["provider_ref"]))
    await judge(world)
    text = (await world.client().get("/metrics")).text
    assert 'countersign_drift_findings_total{kind="behind",provider="alpha"} 1.0' in text
    assert 'countersign_missed_webhooks_total{provider="alpha",webhook="missed"} 1.0' in text
    assert 'countersign_sweeps_total{provider="alpha"} 1.0' in text
    assert 'countersign_sweep_lag_seconds{provider="alpha"}' in text


async def test_old_findings_are_reaped(world: World, acme: Tenant) -> None:
    from gateway.jobs.kinds import KINDS

    made = await sent(acme)
    await sweep(world, whole(made["provider_ref"]))
    await KINDS["reap_old_rows"].run(world.services, {})
    assert len((await report_of(world, acme))["findings"]) == 1
    await world.services.hub.execute("UPDATE drift_findings SET seen_at = now() - interval '366 days'")
    await KINDS["reap_old_rows"].run(world.services, {})
    assert (await report_of(world, acme))["findings"] == []


async def test_a_word_that_nobody_has_mapped_asks_for_a_read_and_moves_nothing_by_itself(
    world: World, acme: Tenant
) -> None:
    made = await sent(acme)
    own = await load_envelope(world.services.database, acme.id, read_id(Kind.ENVELOPE, made["id"]))
    strange = msgspec.structs.replace(told(made["provider_ref"], _S.UNKNOWN), provider_status="TELEPORTED")
    assert is_too_thin(own, strange)
    assert compare(own, strange, world.services.clock.now(), 300) is None
    assert compare(own, whole(made["provider_ref"]), world.services.clock.now(), 300) is DriftKind.BEHIND
    assert not is_too_thin(own, whole(made["provider_ref"]))
