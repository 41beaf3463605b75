"""What tenants may do with their endpoints, what that does to waiting deliveries, and what the ledger says."""

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from config.secret import Secret
from normalizer.errors import Conflict, NotFound, ValidationFailed
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Receiver, always, serve
from tests.webhooks.outbound.test_sign import naive_design_signature
from webhooks.outbound.endpoint import EndpointChange
from webhooks.outbound.read import (
    UNDELIVERED,
    DeliveryFilter,
    DeliveryState,
    list_attempts,
    list_deliveries,
    read_delivery,
)
from webhooks.outbound.replay import ReplayDesk
from webhooks.outbound.schedule import RetryProfile


def replay_desk(hub: Hub) -> ReplayDesk:
    return ReplayDesk(hub.store.app, hub.recorder, hub.ids, hub.clock, hub.deliverers.mailboxes_ready)


async def test_an_endpoint_keeps_its_secret_sealed_and_shows_it_once(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    assert made.secret.reveal().startswith("whsec_")
    stored = await hub.store.hub.fetchval("SELECT secret FROM webhook_endpoints")
    assert made.secret.reveal().encode() not in stored
    assert await hub.desk.read(tenant, made.endpoint.id) == made.endpoint
    assert await hub.desk.list(tenant) == [made.endpoint]
    assert await hub.ledger_types(tenant) == ["endpoint_created"]


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "http://example.com/"}, "/url"),
        ({"events": ("envelope.sent", "no.such")}, "/events/1"),
        ({"timeout_seconds": 61}, "/timeout_seconds"),
        ({"max_in_flight": 0}, "/max_in_flight"),
        ({"description": "x" * 501}, "/description"),
        ({"description": "a\0b"}, "/description"),
        ({"secret": Secret("too-short")}, "/secret"),
        ({"retry_profile": RetryProfile.CUSTOM}, "/retry_schedule"),
        ({"retry_schedule": (5,)}, "/retry_schedule"),
    ],
)
async def test_bad_input_is_refused_with_its_place_and_leaves_nothing(hub: Hub, given: dict, where: str):
    tenant = await hub.tenant()
    with pytest.raises(ValidationFailed) as refused:
        await hub.endpoint(tenant, **({"url": "http://127.0.0.1:9/hook"} | given))
    assert [finding.where for finding in refused.value.findings] == [where]
    assert await hub.desk.list(tenant) == []
    assert await hub.ledger_types(tenant) == []


async def test_another_tenants_endpoint_is_not_there(hub: Hub):
    owner, stranger = await hub.tenant(), await hub.tenant()
    made = await hub.endpoint(owner, "http://127.0.0.1:9/hook")
    calls = [
        lambda: hub.desk.read(stranger, made.endpoint.id),
        lambda: hub.desk.change(stranger, made.endpoint.id, EndpointChange(active=False), ACTOR, SOURCE),
        lambda: hub.desk.delete(stranger, made.endpoint.id, ACTOR, SOURCE),
        lambda: hub.desk.rotate_secret(stranger, made.endpoint.id, ACTOR, SOURCE),
        lambda: hub.desk.activate_secret(stranger, made.endpoint.id, ACTOR, SOURCE),
        lambda: hub.desk.send_test(stranger, made.endpoint.id, ACTOR, SOURCE),
        lambda: replay_desk(hub).replay_exhausted(stranger, made.endpoint.id, ACTOR, SOURCE),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            await call()
    assert await hub.desk.list(stranger) == []
    assert await hub.desk.read(owner, made.endpoint.id) == made.endpoint


async def test_a_tenant_has_only_so_many_endpoints(hub: Hub):
    tenant = await hub.tenant()
    hub.desk._most_per_tenant = 1
    await hub.endpoint(tenant, "http://127.0.0.1:9/hook")
    with pytest.raises(Conflict):
        await hub.endpoint(tenant, "http://127.0.0.1:9/hook")


async def test_a_change_reaches_the_next_attempt(hub: Hub, receiver: Receiver):
    async with serve() as second:
        tenant = await hub.tenant()
        made = await hub.endpoint(tenant, receiver.url)
        async with hub.delivering():
            await hub.emit(tenant)
            await hub.settled(1)
            changed = await hub.desk.change(
                tenant, made.endpoint.id, EndpointChange(url=second.url, events=("*",)), ACTOR, SOURCE
            )
            await hub.emit(tenant)
            await hub.settled(2)
        assert (len(receiver.requests), len(second.requests)) == (1, 1)
    assert (changed.url, changed.revision) == (second.url, 2)
    assert (await hub.ledger_types(tenant)).count("endpoint_changed") == 1


async def test_switching_off_holds_and_switching_on_releases_in_order(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, active=False, max_in_flight=1)
    async with hub.delivering():
        sent = await hub.emit(tenant, 3, envelope_id=hub.ids.new())
        await hub.settled(3, "held")
        assert receiver.requests == []
        await hub.desk.change(tenant, made.endpoint.id, EndpointChange(active=True), ACTOR, SOURCE)
        await hub.settled(3)
    assert receiver.ids == sent


async def test_deleting_cancels_what_waits_and_keeps_what_was(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url, active=False)
    async with hub.delivering():
        await hub.emit(tenant, 2)
        await hub.settled(2, "held")
        assert await hub.desk.delete(tenant, made.endpoint.id, ACTOR, SOURCE) == 2
        await hub.emit(tenant)
        await hub.until(lambda: _nothing_waits(hub))
    assert await hub.states() == ["cancelled", "cancelled"]
    [shown, _] = await list_deliveries(hub.store.app, tenant, DeliveryFilter())
    assert shown.explanation == "Its endpoint was deleted before it could be delivered."


async def _nothing_waits(hub: Hub) -> bool:
    return await hub.store.hub.fetchval("SELECT count(*) FROM outbox_pending") == 0


async def test_a_test_event_goes_to_its_endpoint_alone_past_the_filter(hub: Hub, receiver: Receiver):
    async with serve() as bystander:
        tenant = await hub.tenant()
        made = await hub.endpoint(tenant, receiver.url, events=("envelope.completed",))
        await hub.endpoint(tenant, bystander.url)
        async with hub.delivering():
            sent = await hub.desk.send_test(tenant, made.endpoint.id, ACTOR, SOURCE)
            await hub.settled(1)
        assert bystander.requests == []
    [request] = receiver.requests
    Webhook(made.secret.reveal()).verify(request.body, request.headers)
    assert json.loads(request.body)["type"] == "endpoint.test"
    assert (await read_delivery(hub.store.app, tenant, sent.delivery_id)).event_id == sent.event_id
    assert "endpoint_tested" in await hub.ledger_types(tenant)


async def test_a_rotation_signs_for_receivers_of_both_secrets_until_the_overlap_ends(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
        await hub.emit(tenant)
        await hub.settled(1)
        await hub.desk.activate_secret(tenant, made.endpoint.id, ACTOR, SOURCE)
        await hub.emit(tenant)
        await hub.settled(2)
        last = await hub.desk.rotate_secret(
            tenant, made.endpoint.id, ACTOR, SOURCE, secret=Secret("our-own-secret-of-30-bytes-long"),
            overlap=timedelta(0),
        )  # fmt: skip
        await hub.emit(tenant)
        await hub.settled(3)
    before, after, own = receiver.requests
    for request, design_key in ((before, made.secret), (after, rotated.secret)):
        for secret in (made.secret, rotated.secret):
            Webhook(secret.reveal()).verify(request.body, request.headers)
        assert request.headers["X-Signature-Signature"] == naive_design_signature(
            design_key.reveal(), request.headers["X-Signature-Timestamp"], request.body
        )
    Webhook(last.standard_secret.reveal()).verify(own.body, own.headers)
    schemes = [one.split(",")[0] for one in own.headers["webhook-signature"].split(" ")]
    assert schemes == ["v1", "v1a"]
    assert (await hub.ledger_types(tenant)).count("endpoint_secret_rotated") == 3


async def test_an_exhausted_delivery_is_kept_explained_and_replayed_under_the_current_secret(
    hub: Hub, receiver: Receiver
):
    receiver.answer = always(500)
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        await hub.emit(tenant, 2)
        await hub.settled(2, "exhausted")
        undelivered = await list_deliveries(hub.store.app, tenant, DeliveryFilter(states=UNDELIVERED))
        assert [d.state for d in undelivered] == [DeliveryState.EXHAUSTED] * 2
        assert undelivered[0].explanation.startswith(
            "It was given up after 4 attempts and is kept: replay it."
        )
        assert len(await list_attempts(hub.store.app, tenant, undelivered[0].id)) == 4
        tries = list(receiver.requests)
        receiver.answer = always(204)
        rotated = await hub.desk.rotate_secret(tenant, made.endpoint.id, ACTOR, SOURCE, overlap=timedelta(0))
        replayed = await replay_desk(hub).replay_exhausted(tenant, made.endpoint.id, ACTOR, SOURCE)
        await hub.settled(2)
    assert sorted(replayed.deliveries) == sorted(d.id for d in undelivered)
    again = receiver.requests[len(tries) :]
    assert {(r.id, r.body) for r in again} == {(r.id, r.body) for r in tries}
    for request in again:
        Webhook(rotated.secret.reveal()).verify(request.body, request.headers)
    types = await hub.ledger_types(tenant)
    assert (types.count("delivery_exhausted"), types.count("delivery_replayed")) == (2, 2)


async def test_one_delivery_is_replayed_also_after_success_but_not_while_it_waits(
    hub: Hub, receiver: Receiver
):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    desk = replay_desk(hub)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.settled(1)
        [delivery] = await list_deliveries(hub.store.app, tenant, DeliveryFilter())
        replayed = await desk.replay_delivery(tenant, delivery.id, ACTOR, SOURCE)
        assert (replayed.deliveries, replayed.is_complete) == ((delivery.id,), True)
        await hub.until(lambda: len(receiver.requests) == 2)
        await hub.settled(1)
    assert len(set(receiver.ids)) == 1
    await hub.store.hub.execute("UPDATE deliveries SET state = 'pending'")
    with pytest.raises(Conflict):
        await desk.replay_delivery(tenant, delivery.id, ACTOR, SOURCE)
    with pytest.raises(NotFound):
        await desk.replay_delivery(tenant, hub.ids.new(), ACTOR, SOURCE)
    with pytest.raises(NotFound):
        await desk.replay_delivery(await hub.tenant(), delivery.id, ACTOR, SOURCE)


async def test_replay_to_a_switched_off_endpoint_is_refused(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        await hub.emit(tenant)
        await hub.settled(1)
    await hub.desk.change(tenant, made.endpoint.id, EndpointChange(active=False), ACTOR, SOURCE)
    [delivery] = await list_deliveries(hub.store.app, tenant, DeliveryFilter())
    with pytest.raises(Conflict):
        await replay_desk(hub).replay_delivery(tenant, delivery.id, ACTOR, SOURCE)
    with pytest.raises(Conflict):
        await replay_desk(hub).replay_exhausted(tenant, made.endpoint.id, ACTOR, SOURCE)


async def test_lists_filter_and_page_and_show_nobody_elses(hub: Hub, receiver: Receiver):
    tenant, other = await hub.tenant(), await hub.tenant()
    made = await hub.endpoint(tenant, receiver.url)
    await hub.endpoint(other, receiver.url)
    envelope = hub.ids.new()
    async with hub.delivering():
        await hub.emit(tenant, 3)
        await hub.emit(tenant, 1, envelope_id=envelope)
        await hub.emit(other, 2)
        await hub.settled(6)
    shown = await list_deliveries(hub.store.app, tenant, DeliveryFilter())
    assert len(shown) == 4
    for chosen, count in (
        (DeliveryFilter(states=UNDELIVERED), 0),
        (DeliveryFilter(states=(DeliveryState.SUCCEEDED,)), 4),
        (DeliveryFilter(envelope_id=envelope), 1),
        (DeliveryFilter(endpoint_id=made.endpoint.id), 4),
        (DeliveryFilter(event_id=shown[0].event_id), 1),
        (DeliveryFilter(event_type="envelope.voided"), 0),
        (DeliveryFilter(before=shown[1].id), 2),
        (DeliveryFilter(limit=3), 3),
    ):
        assert len(await list_deliveries(hub.store.app, tenant, chosen)) == count
    with pytest.raises(NotFound):
        await list_attempts(hub.store.app, other, shown[0].id)


async def test_the_app_role_cannot_write_deliveries_or_the_outbox_itself(hub: Hub):
    import asyncpg

    tenant = await hub.tenant()
    for statement in (
        "UPDATE deliveries SET state = 'succeeded'",
        "DELETE FROM deliveries",
        "DELETE FROM delivery_attempts",
        "DELETE FROM outbox_pending",
        "INSERT INTO outbox_pending (event_id, tenant_id) VALUES (gen_random_uuid(), current_tenant())",
        "SELECT * FROM claim_deliveries('{}', '{}', 1, 1, '1s', gen_random_uuid())",
        "SELECT * FROM fan_out(1)",
    ):
        async with hub.store.app.transaction(tenant) as tx:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await tx.driver.execute(statement)


async def test_waiting_deliveries_say_in_words_why(hub: Hub, receiver: Receiver):
    receiver.answer = always(503, Retry_After="60")
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    async with hub.delivering():
        await hub.emit(tenant, 2, envelope_id=hub.ids.new())
        await hub.until(hub.attempts)
    shown = await list_deliveries(hub.store.app, tenant, DeliveryFilter())
    # Those of one fan-out are of one moment, and their ids do not say which came first.
    first, behind = sorted(shown, key=lambda delivery: delivery.sequence)
    assert first.explanation.startswith("It is tried again at 20")
    assert first.explanation.endswith("Last attempt: answered 503.")
    assert behind.explanation.startswith("An earlier event of the same envelope has not arrived yet")
