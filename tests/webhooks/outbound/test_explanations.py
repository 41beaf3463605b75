"""Why something has not arrived: each reason in words, for one delivery and for one event at every endpoint."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from normalizer.errors import NotFound
from normalizer.ids import Kind, print_id, read_id
from normalizer.vocabulary import EventType
from tests.webhooks.outbound.hub import ACTOR, SOURCE, Hub
from tests.webhooks.outbound.receiver import Receiver, always
from webhooks.outbound.endpoint import EndpointChange
from webhooks.outbound.event_deliveries import Outcome, read_event_deliveries
from webhooks.outbound.fanout import fan_out
from webhooks.outbound.read import (
    UNDELIVERED,
    Delivery,
    DeliveryFilter,
    DeliveryState,
    list_deliveries,
    read_delivery,
    summarize_undelivered,
)

NOWHERE = "http://127.0.0.1:9/hook"


async def waiting(hub: Hub, count: int = 1, **endpoint) -> tuple[UUID, UUID]:
    """A tenant and its endpoint, with deliveries that wait."""
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, NOWHERE, **endpoint)
    await hub.put(tenant, count)
    await fan_out(hub.store.hub)
    return tenant, made.endpoint.id


async def explanation(hub: Hub, tenant: UUID, sequence: int = 1, *, share: int | None = None) -> str:
    found = await list_deliveries(hub.store.app, tenant, DeliveryFilter(), tenant_share=share)
    return next(one.explanation for one in found if one.sequence == sequence)


async def set_health(hub: Hub, tenant: UUID, endpoint: UUID, **columns) -> None:
    names, places = ", ".join(columns), ", ".join(f"${place}" for place in range(3, 3 + len(columns)))
    sets = ", ".join(f"{name} = excluded.{name}" for name in columns)
    await hub.store.hub.execute(
        f"INSERT INTO endpoint_health (tenant_id, endpoint_id, {names}) VALUES ($1, $2, {places})"
        f" ON CONFLICT (tenant_id, endpoint_id) DO UPDATE SET {sets}",
        tenant,
        endpoint,
        *columns.values(),
    )


async def set_delivery(hub: Hub, sequence: int = 1, **columns) -> None:
    sets = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
    await hub.store.hub.execute(
        f"UPDATE deliveries SET {sets} WHERE sequence = $1", sequence, *columns.values()
    )


def certificate(not_after: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(not_after - timedelta(days=9)).not_valid_after(not_after)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM).decode()


async def test_a_delivery_that_is_due_says_that_it_waits(hub: Hub):
    tenant, _ = await waiting(hub)
    assert await explanation(hub, tenant) == "It waits for its first attempt."
    await set_delivery(hub, replays=1)
    assert await explanation(hub, tenant) == "It was asked for again and waits for its turn."
    await set_delivery(hub, attempt=1, last_error="answered 503", last_status=503)
    assert await explanation(hub, tenant) == "It is due to be tried again. Last attempt: answered 503."


async def test_an_open_breaker_says_until_when_the_endpoint_is_left_in_peace(hub: Hub):
    tenant, endpoint = await waiting(hub)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    await set_health(hub, tenant, endpoint, breaker="open", breaker_until=until, failures_in_row=7)
    told = await explanation(hub, tenant)
    assert told.startswith(
        f"The endpoint has failed 7 times in a row and is left in peace until {until:%Y-%m-%dT%H:%M:%SZ};"
    )
    assert "No attempt is used up meanwhile." in told


async def test_a_probe_under_way_is_told_to_those_that_wait_for_it(hub: Hub):
    tenant, endpoint = await waiting(hub, 2)
    await set_health(hub, tenant, endpoint, breaker="half_open")
    await set_delivery(hub, 1, state="leased", lease_until=datetime.now(UTC) + timedelta(minutes=1))
    assert (await explanation(hub, tenant, 2)).startswith(
        "The endpoint has failed and is tried with one delivery"
    )
    assert await explanation(hub, tenant, 1) == "A deliverer is sending it now."


async def test_an_endpoint_at_its_rate_says_when_the_next_goes(hub: Hub):
    tenant, endpoint = await waiting(hub, rate_per_second=0.1)
    await set_health(hub, tenant, endpoint, tokens=0.0, tokens_at=datetime.now(UTC))
    told = await explanation(hub, tenant)
    assert told.startswith(
        "The endpoint takes 0.1 deliveries a second and has had them: the next goes in about "
    )
    await set_health(hub, tenant, endpoint, tokens=0.0, tokens_at=datetime.now(UTC) - timedelta(minutes=1))
    assert await explanation(hub, tenant) == "It waits for its first attempt."


async def test_an_earlier_event_of_the_envelope_is_named_with_its_state(hub: Hub):
    tenant = await hub.tenant()
    made = await hub.endpoint(tenant, NOWHERE)
    envelope = hub.ids.new()
    events = await hub.emit(tenant, 3, envelope_id=envelope)
    await fan_out(hub.store.hub)
    assert (await at(hub, tenant, events[2]))[made.endpoint.id][0] is Outcome.NOT_YET
    first = print_id(Kind.DELIVERY, (await hub.deliveries())[0]["id"])
    assert await explanation(hub, tenant, 3) == (
        f"An earlier event of the same envelope has not arrived yet ({first}, sequence 1, pending); order is kept."
    )
    await set_delivery(hub, 1, state="exhausted")
    assert f"({print_id(Kind.DELIVERY, (await hub.deliveries())[1]['id'])}, sequence 2" in await explanation(
        hub, tenant, 3
    )
    await hub.store.hub.execute("UPDATE webhook_endpoints SET ordering = 'hold'")
    assert await explanation(hub, tenant, 3) == (
        f"An earlier event of the same envelope ({first}, sequence 1) was given up, and the endpoint holds the order:"
        " replay that one, or change the endpoint's `ordering`."
    )
    assert (await at(hub, tenant, events[2]))[made.endpoint.id][0] is Outcome.STOPPED, "not by itself"
    await hub.store.hub.execute("UPDATE webhook_endpoints SET ordering = 'none'")
    assert await explanation(hub, tenant, 3) == "It waits for its first attempt."
    assert made.endpoint.active


async def test_a_full_endpoint_and_a_tenant_with_its_share_are_told_apart(hub: Hub):
    tenant, _ = await waiting(hub, 4, max_in_flight=3)
    for sequence in (1, 2):
        await set_delivery(hub, sequence, state="leased")
    assert await explanation(hub, tenant, 4, share=3) == "It waits for its first attempt."
    assert (await explanation(hub, tenant, 4, share=2)).startswith(
        "2 deliveries of this tenant are under way"
    )
    await set_delivery(hub, 3, state="leased")
    assert (await explanation(hub, tenant, 4, share=2)).startswith("The endpoint has 3 requests under way")


async def test_an_endpoint_that_cannot_be_sent_to_says_what_to_correct(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    await hub.endpoint(tenant, receiver.url)
    await hub.store.hub.execute("UPDATE webhook_endpoints SET url = 'https://10.0.0.1/hook'")
    await hub.emit(tenant)
    async with hub.delivering(default_schedule_delays_s=(600.0,)):
        await hub.until(hub.attempts)
    told = await explanation(hub, tenant)
    assert told.startswith("It cannot be sent: This URL cannot receive webhooks: the host is an IP address.")
    assert "Correct the endpoint. It is tried again at 20" in told


async def test_a_client_certificate_that_ended_is_named(hub: Hub):
    tenant, _ = await waiting(hub)
    ended = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    for pem, expected in (
        (
            certificate(ended),
            "The endpoint's client certificate expired at 2026-01-02T03:04:05Z: give it a valid one.",
        ),
        (certificate(datetime.now(UTC) + timedelta(days=9)), "It waits for its first attempt."),
        ("no certificate", "It waits for its first attempt."),
    ):
        await hub.store.hub.execute("UPDATE webhook_endpoints SET client_certificate = $1", pem)
        assert (await explanation(hub, tenant)).startswith(expected)


async def test_what_has_ended_or_is_held_says_so(hub: Hub):
    tenant, endpoint = await waiting(hub)
    for columns, expected in (
        ({"state": "succeeded", "last_status": 204}, "The endpoint answered 204."),
        ({"state": "succeeded", "last_status": None}, "The endpoint took it."),
        ({"state": "exhausted", "attempt": 4, "last_error": "answered 500"},
         "It was given up after 4 attempts and is kept: replay it. Last attempt: answered 500."),
        ({"state": "exhausted", "attempt": 1, "last_error": ""},
         "It was given up after one attempt and is kept: replay it."),
        ({"state": "cancelled"}, "Its endpoint was deleted before it could be delivered."),
    ):  # fmt: skip
        await set_delivery(hub, **columns)
        assert await explanation(hub, tenant) == expected
    await set_delivery(hub, state="pending", last_error="")
    await hub.desk.change(tenant, endpoint, EndpointChange(active=False), ACTOR, SOURCE)
    assert await explanation(hub, tenant) == (
        "Its endpoint is switched off (by its tenant); switching it on releases it."
    )
    await set_delivery(hub, state="exhausted", attempt=4)
    assert await explanation(hub, tenant) == (
        "It was given up after 4 attempts and is kept: replay it. Its endpoint is switched off: switch it on first."
    )
    await hub.desk.delete(tenant, endpoint, ACTOR, SOURCE)
    assert await explanation(hub, tenant) == "Its endpoint was deleted before it could be delivered."
    assert await summarize_undelivered(hub.store.app, tenant) == [], "nobody could ever do anything about it"
    await set_delivery(hub, state="exhausted")  # it was under way when the endpoint was deleted
    assert await explanation(hub, tenant) == (
        "It was given up, and its endpoint was deleted since: it cannot be sent again. The feed of events has it."
    )


async def at(hub: Hub, tenant: UUID, event: str) -> dict[UUID, tuple[Outcome, str, Delivery | None]]:
    found = await read_event_deliveries(hub.store.app, tenant, read_id(Kind.EVENT, event))
    return {one.endpoint_id: (one.outcome, one.explanation, one.delivery) for one in found.endpoints}


async def test_an_event_tells_of_every_endpoint_why_it_got_it_or_did_not(hub: Hub, receiver: Receiver):
    tenant = await hub.tenant()
    got = (await hub.endpoint(tenant, receiver.url)).endpoint.id
    other_type = (await hub.endpoint(tenant, NOWHERE, events=("envelope.voided",))).endpoint.id
    filtered = (await hub.endpoint(tenant, NOWHERE, filter={"data.number": {"gt": 5}})).endpoint.id
    off = (await hub.endpoint(tenant, NOWHERE, active=False)).endpoint.id
    [event] = await hub.emit(tenant)
    before = await at(hub, tenant, event)
    assert {before[one][0] for one in (got, off)} == {Outcome.NOT_YET}
    assert before[got][1] == "The event was committed just now and waits to be handed out."
    async with hub.delivering():
        await hub.until(lambda: receiver.requests)
        await hub.until(lambda: _has(hub, "succeeded"))
    later = (await hub.endpoint(tenant, NOWHERE)).endpoint.id
    found = await at(hub, tenant, event)
    assert set(found) == {got, other_type, filtered, off, later}
    assert found[got][:2] == (Outcome.DELIVERED, "The endpoint answered 204.")
    assert found[off][0] == Outcome.STOPPED
    assert found[other_type] == (
        Outcome.NOT_SENT,
        "Its `events` do not name envelope.sent; they name envelope.voided.",
        None,
    )
    assert found[filtered][0] == Outcome.NOT_SENT
    assert found[filtered][1].startswith("Its filter does not match: ")
    assert "data.number" in found[filtered][1]
    assert found[later][1].startswith("The endpoint was made at 20")


async def _has(hub: Hub, state: str) -> bool:
    return state in await hub.states()


async def test_an_endpoint_changed_since_or_emptied_by_retention_says_so(hub: Hub):
    tenant = await hub.tenant()
    changed = (await hub.endpoint(tenant, NOWHERE, events=("envelope.voided",))).endpoint.id
    old = (await hub.endpoint(tenant, NOWHERE)).endpoint.id
    [event] = await hub.emit(tenant)
    await fan_out(hub.store.hub)
    await hub.desk.change(tenant, changed, EndpointChange(events=("envelope.sent",)), ACTOR, SOURCE)
    await hub.store.hub.execute("DELETE FROM deliveries")
    found = await at(hub, tenant, event)
    assert found[changed][1].startswith("It would get such an event now, but was changed at 20")
    assert found[old][1] == "It was delivered, and the time for which deliveries are kept is over."


async def test_a_test_event_says_that_it_was_meant_for_one_endpoint_alone(hub: Hub):
    tenant = await hub.tenant()
    asked, other = [(await hub.endpoint(tenant, NOWHERE)).endpoint.id for _ in range(2)]
    sent = await hub.desk.send_test(tenant, asked, ACTOR, SOURCE)
    found = await at(hub, tenant, print_id(Kind.EVENT, sent.event_id))
    assert found[asked][:2] == (Outcome.NOT_YET, "It waits for its first attempt.")
    assert found[other][:2] == (
        Outcome.NOT_SENT,
        "A test event goes only to the endpoint that it was asked for.",
    )


async def test_operational_events_say_whom_they_go_to(hub: Hub):
    tenant = await hub.tenant()
    names = ("endpoint.failing", "delivery.exhausted")
    about, silent, told = [
        (await hub.endpoint(tenant, NOWHERE, events=events)).endpoint.id for events in (names, (), names)
    ]
    failing, exhausted = hub.ids.new(), hub.ids.new()
    printed = print_id(Kind.ENDPOINT, about)
    for event, type_, data in (
        (failing, "endpoint.failing", f'{{"endpoint_id":"{printed}"}}'),
        (exhausted, "delivery.exhausted", f'{{"endpoint_id":"{printed}","event_type":"endpoint.failing"}}'),
    ):
        await hub.store.hub.execute(
            "INSERT INTO outbox_events (tenant_id, id, type, occurred_at, data) VALUES ($1, $2, $3, now(), $4)",
            tenant,
            event,
            type_,
            data.encode(),
        )
    found = await at(hub, tenant, print_id(Kind.EVENT, failing))
    assert found[about][1] == "The event tells of this very endpoint: it is never told of itself."
    assert found[silent][1].startswith(
        "endpoint.failing tells of deliveries: it goes only to endpoints that name it"
    )
    again = await at(hub, tenant, print_id(Kind.EVENT, exhausted))
    assert again[told][1].startswith("The event tells of a delivery that itself told of deliveries")


async def test_a_strangers_event_is_not_found(hub: Hub):
    tenant, stranger = await hub.tenant(), await hub.tenant()
    [event] = await hub.emit(tenant)
    with pytest.raises(NotFound):
        await at(hub, stranger, event)


async def test_the_list_is_filtered_by_time_status_and_error(hub: Hub):
    tenant, _ = await waiting(hub, 6)
    now = datetime.now(UTC)
    for sequence in (1, 2, 3):
        await set_delivery(
            hub, sequence, created_at=now - timedelta(days=2), last_status=503, last_error="answered 503"
        )
    await set_delivery(hub, 4, last_error="TimeOut while connecting")
    day = timedelta(days=1)

    async def sequences(**wanted) -> list[int]:
        found = await list_deliveries(hub.store.app, tenant, DeliveryFilter(**wanted))
        return sorted(one.sequence for one in found)

    assert await sequences(created_from=now - day) == [4, 5, 6]
    assert await sequences(created_before=now - day) == [1, 2, 3]
    assert await sequences(created_from=now - 3 * day, created_before=now - day, status=503) == [1, 2, 3]
    assert await sequences(error="timeout") == [4]
    assert await sequences(error="100%_") == []
    assert await sequences(states=(DeliveryState.PENDING,), status=503) == [1, 2, 3]


async def test_pages_of_the_undelivered_stay_what_they_are_while_things_are_delivered(hub: Hub):
    tenant, _ = await waiting(hub, 9)
    seen: list[UUID] = []
    everything = [row["id"] for row in await hub.deliveries()]
    while page := await list_deliveries(
        hub.store.app,
        tenant,
        DeliveryFilter(states=UNDELIVERED, before=seen[-1] if seen else None, limit=2),
    ):
        seen += [one.id for one in page]
        await hub.store.hub.execute("UPDATE deliveries SET state = 'succeeded' WHERE id = $1", page[0].id)
        await hub.put(tenant, 1)
        await fan_out(hub.store.hub)
    assert seen == sorted(everything, reverse=True)


async def test_the_summary_counts_what_has_not_arrived_by_endpoint_and_state(hub: Hub, receiver: Receiver):
    receiver.answer = always(500)
    tenant, one = await waiting(hub, 5)
    two = (await hub.endpoint(tenant, NOWHERE, active=False)).endpoint.id
    await hub.put(tenant, 1)
    await fan_out(hub.store.hub)
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = 'succeeded' WHERE sequence = 2 AND endpoint_id = $1", one
    )
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = 'exhausted' WHERE sequence = 3 AND endpoint_id = $1", one
    )
    await hub.store.hub.execute(
        "UPDATE deliveries SET state = 'leased' WHERE sequence = 4 AND endpoint_id = $1", one
    )
    oldest = datetime(2026, 1, 1, tzinfo=UTC)
    await hub.store.hub.execute("UPDATE deliveries SET created_at = $1 WHERE sequence = 3", oldest)
    found = {entry.endpoint_id: entry for entry in await summarize_undelivered(hub.store.app, tenant)}
    assert (found[one].pending, found[one].leased, found[one].exhausted, found[one].held) == (3, 1, 1, 0)
    assert (found[one].oldest_at, found[one].active) == (oldest, True)
    assert (found[two].pending, found[two].held, found[two].active) == (0, 1, False)
    assert await summarize_undelivered(hub.store.app, await hub.tenant()) == []


async def test_one_delivery_is_explained_as_in_the_list(hub: Hub):
    tenant, endpoint = await waiting(hub)
    await set_health(
        hub, tenant, endpoint, breaker="open", breaker_until=datetime.now(UTC) + timedelta(minutes=5)
    )
    [listed] = await list_deliveries(hub.store.app, tenant, DeliveryFilter())
    assert await read_delivery(hub.store.app, tenant, listed.id) == listed
    assert EventType(listed.event_type) is EventType.ENVELOPE_SENT
