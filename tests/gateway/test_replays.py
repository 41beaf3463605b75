"""Replays and gaps over HTTP: what a tenant's own programs and people do to get what they miss."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from gateway.http.idempotency import Idempotency
from gateway.tenants.scopes import Scope
from normalizer.ids import Kind, print_id, read_id
from tests.gateway.world import Tenant, World
from webhooks.outbound.fanout import fan_out

NOWHERE = "http://127.0.0.1:9/hook"


async def endpoint_with(
    world: World, tenant: Tenant, count: int, state: str = "exhausted", **given: Any
) -> str:
    """A printed endpoint whose `count` deliveries ended that way."""
    made = await tenant.made({"url": NOWHERE, **given}, "/webhooks")
    hub = world.services.hub
    for _ in range(count):
        event = world.services.ids.new()
        async with hub.transaction() as tx:
            await tx.driver.execute(
                "INSERT INTO outbox_events (tenant_id, id, type, envelope_id, occurred_at, data)"
                " VALUES ($1, $2, 'envelope.sent', $3, now(), '{}')",
                tenant.id,
                event,
                world.services.ids.new(),
            )
            await tx.driver.execute(
                "INSERT INTO outbox_pending (event_id, tenant_id) VALUES ($1, $2)", event, tenant.id
            )
            await tx.commit()
    await fan_out(hub)
    await hub.execute(
        "UPDATE deliveries SET state = $2, finished_at = now(), attempt = 4, last_error = 'answered 500'"
        " WHERE endpoint_id = $1",
        read_id(Kind.ENDPOINT, made["id"]),
        state,
    )
    return str(made["id"])


async def states(world: World, endpoint: str) -> list[str]:
    rows = await world.services.hub.fetch(
        "SELECT state FROM deliveries WHERE endpoint_id = $1 ORDER BY sequence",
        read_id(Kind.ENDPOINT, endpoint),
    )
    return [row["state"] for row in rows]


class Killed(BaseException):
    """What a killed process does to the code that ran in it: it ends, and no handler answers."""


async def test_a_delivery_is_sent_again_once_though_the_process_died_before_it_answered(
    world: World, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await endpoint_with(world, acme, 1)
    hub = world.services.hub
    own = print_id(Kind.DELIVERY, await hub.fetchval("SELECT id FROM deliveries"))
    path, key = f"/deliveries/{own}/replay", {"Idempotency-Key": "again-1"}

    async def dies(*_: object, **__: object) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Idempotency, "_end", dies)
        with pytest.raises((Killed, httpx.HTTPError)):
            await acme.post(path, headers=key)
    # It arrived, or was given up again, before anybody asked for the answer.
    await hub.execute("UPDATE deliveries SET state = 'succeeded', finished_at = now()")
    await hub.execute("UPDATE idempotency_keys SET locked_until = clock_timestamp()")
    again = await acme.post(path, headers=key)
    assert (again.status_code, again.json()) == (202, {"deliveries": [own], "is_complete": True})
    assert (await states(world, endpoint), await hub.fetchval("SELECT replays FROM deliveries")) == (
        ["succeeded"],
        1,
    )
    kept = await acme.post(path, headers=key)
    assert (kept.headers["Idempotency-Replayed"], kept.content) == ("true", again.content)


async def test_a_dry_run_answers_what_would_be_sent_and_starts_nothing(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 3)
    answer = await acme.post("/replays", {"endpoint_id": endpoint, "dry_run": True})
    assert answer.status_code == 200
    assert answer.json() == {
        "dry_run": True,
        "selected": 3,
        "by_state": {"exhausted": 3},
        "by_type": {"envelope.sent": 3},
        "left_out": 0,
    }
    assert (await acme.get("/replays")).json() == []
    assert await states(world, endpoint) == ["exhausted"] * 3


async def test_a_replay_runs_is_paused_resumed_and_shows_its_progress(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 5)
    answer = await acme.post(
        "/replays", {"endpoint_id": endpoint, "rate_per_second": 2, "sequences": [[1, 4]]}
    )
    assert answer.status_code == 202
    replay = answer.json()
    assert (replay["state"], replay["selected"], replay["sequences"], replay["progress"]) == (
        "running", 4, [[1, 4]], None,
    )  # fmt: skip
    own = f"/replays/{replay['id']}"
    await world.services.replay_runner.run_due(for_s=0.0)
    paused = (await acme.post(f"{own}/pause")).json()
    assert (paused["state"], 0 < paused["requeued"] < 4) == ("paused", True)
    refused = await acme.post(f"{own}/pause")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await acme.post(f"{own}/resume")).json()["state"] == "running"
    read = (await acme.get(own)).json()
    assert read["progress"] == {"delivered": 0, "failed": 0, "waiting": read["requeued"], "cancelled": 0}
    ended = (await acme.post(f"{own}/cancel")).json()
    assert (ended["state"], ended["finished_at"] is not None) == ("cancelled", True)
    assert [one["id"] for one in (await acme.get("/replays")).json()] == [replay["id"]]
    assert (await acme.get("/replays", params={"open": "true"})).json() == []


async def test_a_replay_of_all_endpoints_must_be_asked_for_by_that_word(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 2)
    assert (await acme.post("/replays", {})).status_code == 422
    assert (await acme.post("/replays", {"endpoint_id": ""})).status_code == 404
    answer = await acme.post("/replays", {"endpoint_id": "all"})
    assert (answer.status_code, answer.json()["endpoint_id"]) == (202, "all")
    await world.services.replay_runner.run_due()
    assert await states(world, endpoint) == ["pending", "pending"]


async def test_a_replay_that_cannot_be_says_what_is_wrong_and_where(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 1)
    for body, where in (
        ({"states": ["held"]}, "/states/0"),
        ({"states": ["eaten"]}, "/states/0"),
        ({"event_types": ["envelope.eaten"]}, "/event_types/0"),
        ({"sequences": [[3, 2]]}, "/sequences/0"),
        ({"from": "2026-11-22T10:00:00"}, "/from"),
        ({"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T10:00:00Z"}, "/to"),
        ({"rate_per_second": 5000}, "/rate_per_second"),
        ({"sequences": [[1, 2**53]]}, "/sequences/0"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "/from"),
        ({"to": "9999-12-31T23:59:59-14:00"}, "/to"),
    ):
        answer = await acme.post("/replays", {"endpoint_id": endpoint, **body})
        assert answer.status_code == 422, answer.text
        assert [finding["where"] for finding in answer.json()["findings"]] == [where], answer.text
    await acme.client.patch(f"/api/v1/signatures/webhooks/{endpoint}", json={"active": False})
    answer = await acme.post("/replays", {"endpoint_id": endpoint})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "switched off" in answer.json()["detail"]


async def test_a_repeated_request_with_one_key_starts_one_replay(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 1)
    answers = [
        await acme.post("/replays", {"endpoint_id": endpoint}, headers={"Idempotency-Key": "replay-1"})
        for _ in range(2)
    ]
    assert answers[0].json() == answers[1].json()
    assert len((await acme.get("/replays")).json()) == 1


async def test_a_repeated_request_with_one_key_sends_nothing_a_second_time(
    world: World, acme: Tenant
) -> None:
    endpoint = await endpoint_with(world, acme, 1)
    (delivery,) = (await acme.get("/deliveries")).json()
    for path in (
        f"/deliveries/{delivery['id']}/replay",
        f"/webhooks/{endpoint}/replay",
        f"/webhooks/{endpoint}/test",
    ):
        answers = []
        for _ in range(2):
            await world.services.hub.execute(
                "UPDATE deliveries SET state = 'exhausted', finished_at = now() WHERE state = 'pending'"
            )
            answers.append(await acme.post(path, headers={"Idempotency-Key": "once"}))
        assert {answer.status_code for answer in answers} == {202}, path
        assert answers[0].json() == answers[1].json(), path
        assert answers[1].headers["idempotency-replayed"] == "true", path
    assert len((await acme.get("/deliveries")).json()) == 2


async def test_missing_numbers_asked_for_again_with_the_key_of_a_lost_answer_name_their_replay(
    world: World, acme: Tenant
) -> None:
    endpoint = await endpoint_with(world, acme, 2)
    body = {"received": [[1, 1]], "replay": True}
    key = {"Idempotency-Key": "lost"}
    first = (await acme.post(f"/webhooks/{endpoint}/gaps", body, headers=key)).json()
    await world.services.hub.execute("UPDATE deliveries SET state = 'pending' WHERE sequence = 2")
    await world.services.hub.execute(
        "UPDATE idempotency_keys SET status = NULL, body = NULL, completed_at = NULL, expires_at = NULL,"
        " locked_until = now()"
    )
    again = (await acme.post(f"/webhooks/{endpoint}/gaps", body, headers=key)).json()
    assert again["replay"]["id"] == first["replay"]["id"]


async def test_the_gap_report_accounts_for_every_sequence(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 4)
    await world.services.hub.execute("UPDATE deliveries SET state = 'succeeded' WHERE sequence < 3")
    assert (await acme.get(f"/webhooks/{endpoint}/gaps")).json() == {
        "endpoint_id": endpoint,
        "next_sequence": 5,
        "from": 1,
        "to": 4,
        "numbers": {
            "delivered": [[1, 2]],
            "pending": [],
            "exhausted": [[3, 4]],
            "held": [],
            "cancelled": [],
            "removed": [],
            "unknown": [],
        },
        "is_contiguous": True,
        "next": None,
    }
    part = (await acme.get(f"/webhooks/{endpoint}/gaps", params={"from": 2, "to": 3})).json()
    assert (part["from"], part["to"], part["numbers"]["delivered"]) == (2, 3, [[2, 2]])
    refused = await acme.get(f"/webhooks/{endpoint}/gaps", params={"from": 3, "to": 2})
    assert (refused.status_code, refused.json()["findings"][0]["where"]) == (422, "?to")


async def test_a_receiver_that_tells_what_it_has_gets_exactly_the_rest(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 45, "succeeded")
    await world.services.hub.execute("UPDATE deliveries SET state = 'exhausted' WHERE sequence = 41")
    received = [[1, 20], [22, 40], [42, 44]]
    told = (await acme.post(f"/webhooks/{endpoint}/gaps", {"received": received})).json()
    assert (told["total"], told["replayable"], told["replay"]) == (3, [[21, 21], [41, 41], [45, 45]], None)
    assert told["missing"]["delivered"] == [[21, 21], [45, 45]]
    assert told["missing"]["exhausted"] == [[41, 41]]
    answer = await acme.post(f"/webhooks/{endpoint}/gaps", {"received": received, "replay": True})
    replay = answer.json()["replay"]
    assert (answer.status_code, replay["selected"], replay["sequences"]) == (200, 3, told["replayable"])
    await world.services.replay_runner.run_due()
    found = await states(world, endpoint)
    assert [number for number, state in enumerate(found, 1) if state == "pending"] == [21, 41, 45]
    complete = (await acme.post(f"/webhooks/{endpoint}/gaps", {"received": [[1, 45]], "replay": True})).json()
    assert (complete["total"], complete["replay"]) == (0, None)


async def test_what_was_never_sent_cannot_have_been_received(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 2)
    answer = await acme.post(f"/webhooks/{endpoint}/gaps", {"received": [[1, 3]], "replay": True})
    assert (answer.status_code, answer.json()["findings"][0]["where"]) == (422, "/received/0")
    assert (await acme.get("/replays")).json() == []


async def test_a_strangers_replays_and_numbers_are_not_found(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 1)
    replay = (await acme.post("/replays", {"endpoint_id": endpoint})).json()["id"]
    stranger = await world.tenant("Other")
    for method, path, body in (
        ("GET", f"/replays/{replay}", None),
        ("POST", f"/replays/{replay}/cancel", None),
        ("POST", f"/replays/{replay}/pause", None),
        ("POST", f"/replays/{replay}/resume", None),
        ("GET", f"/webhooks/{endpoint}/gaps", None),
        ("POST", f"/webhooks/{endpoint}/gaps", {"received": []}),
        ("POST", "/replays", {"endpoint_id": endpoint}),
    ):
        answer = await stranger.client.request(method, f"/api/v1/signatures{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (method, path)
    assert (await stranger.get("/replays")).json() == []
    assert (await stranger.get("/deliveries/summary")).json()["total"] == 0


async def test_a_key_that_only_reads_starts_and_stops_nothing(world: World, acme: Tenant) -> None:
    endpoint = await endpoint_with(world, acme, 1)
    reader = world.client((await acme.new_key(Scope.WEBHOOKS_READ)).secret.reveal())
    api = "/api/v1/signatures"
    assert (await reader.get(f"{api}/webhooks/{endpoint}/gaps")).status_code == 200
    for path, body in (
        ("/replays", {"endpoint_id": endpoint}),
        (f"/webhooks/{endpoint}/gaps", {"received": [], "replay": True}),
    ):
        assert (await reader.post(f"{api}{path}", json=body)).status_code == 403


async def test_what_has_not_arrived_is_counted_filtered_and_explained(world: World, acme: Tenant) -> None:
    one = await endpoint_with(world, acme, 3)
    summary = (await acme.get("/deliveries/summary")).json()
    assert (summary["total"], summary["by_state"]["exhausted"]) == (3, 3)
    assert summary["endpoints"] == [
        {
            "endpoint_id": one,
            "active": True,
            "total": 3,
            "by_state": {"pending": 0, "leased": 0, "exhausted": 3, "held": 0},
            "oldest_at": summary["oldest_at"],
        }
    ]
    for params, count in (
        ({"error": "ANSWERED"}, 3),
        ({"error": "refused"}, 0),
        ({"status": 500}, 0),
        ({"created_from": "2026-01-01T00:00:00Z", "state": "undelivered"}, 3),
        ({"created_before": "2026-01-01T00:00:00Z"}, 0),
    ):
        assert len((await acme.get("/deliveries", params=params)).json()) == count, params
    refused = await acme.get("/deliveries", params={"created_from": "2026-01-01T00:00:00"})
    assert (refused.status_code, refused.json()["findings"][0]["where"]) == (422, "?created_from")


async def test_deliveries_of_impossible_times_and_answers_are_a_fault_of_the_question(acme: Tenant) -> None:
    for query in (
        "status=99999999999",
        "created_from=0001-01-01T00:00:00%2B14:00",
        "created_before=9999-12-31T23:59:59-14:00",
        "created_from=2026-11-22T10:00:00",
    ):
        answer = await acme.get(f"/deliveries?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), answer.text


async def test_an_event_lists_every_endpoint_with_the_reason(world: World, acme: Tenant) -> None:
    got = await endpoint_with(world, acme, 1)
    later = await endpoint_with(world, acme, 0)
    [delivery] = (await acme.get("/deliveries")).json()
    told = (await acme.get(f"/events/{delivery['event_id']}/deliveries")).json()
    assert (told["event_id"], told["event_type"], told["envelope_id"]) == (
        delivery["event_id"], "envelope.sent", delivery["envelope_id"],
    )  # fmt: skip
    assert [(one["endpoint_id"], one["outcome"]) for one in told["endpoints"]] == [
        (got, "stopped"),
        (later, "not_sent"),
    ]
    assert told["endpoints"][0]["delivery"] == delivery
    assert told["endpoints"][1]["explanation"].startswith("The endpoint was made at 20")
    nothing = print_id(Kind.EVENT, UUID(int=7))
    assert (await acme.get(f"/events/{nothing}/deliveries")).status_code == 404
