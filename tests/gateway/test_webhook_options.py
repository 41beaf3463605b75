"""Endpoints' options, keys and filters as tenants meet them: over HTTP."""

from typing import Any

import pytest

from tests.gateway.bodies import envelope
from tests.gateway.world import API, Tenant, World
from tests.webhooks.outbound.make_vectors import AT, BODY
from webhooks.verify import verify_any

HOOK = {"url": "http://127.0.0.1:9/hook"}
WELL_KNOWN = "/.well-known/countersign/webhook-keys"


async def patch(tenant: Tenant, made: dict[str, Any], body: dict[str, Any]) -> Any:
    return await tenant.client.patch(f"{API}/webhooks/{made['id']}", json=body)


async def test_a_filter_that_no_event_can_pass_is_taken_and_warned_of(acme: Tenant) -> None:
    made = await acme.made(HOOK | {"filter": {"data.status": "completed"}}, "/webhooks")
    (warning,) = made["warnings"]
    assert warning == {
        "where": "/filter/data.status",
        "problem": "no event that this endpoint asks for has data.status",
        "remedy": "Did you mean data.envelope.status?",
    }
    checked = (await acme.post("/webhooks/filter-check", {"filter": {"data.status": "completed"}})).json()
    assert checked["warnings"] == [warning]
    mended = await patch(acme, made, {"filter": {"data.envelope.status": "completed"}})
    assert mended.json()["warnings"] == []


async def test_an_endpoint_shows_its_options_and_of_secrets_only_that_they_are_there(acme: Tenant) -> None:
    given = HOOK | {
        "filter": {"data.status": ["completed", "voided"]},
        "payload": "thin",
        "headers": {"X-Plain": "shown"},
        "sensitive_headers": {"X-Token": "canary-header"},
        "rate_per_second": 2.5,
        "ordering": "none",
        "alert_email": "ops@example.com",
        "oauth": {"token_url": "http://127.0.0.1:9/token", "client_id": "hub"},
        "oauth_secret": "canary-oauth",
    }
    made = await acme.made(given, "/webhooks")
    read = (await acme.get(f"/webhooks/{made['id']}")).json()
    assert "canary" not in str(read) + str(made)
    for name in ("filter", "payload", "headers", "rate_per_second", "ordering", "alert_email"):
        assert read[name] == given[name]
    assert read["oauth"] == given["oauth"] | {"scope": "", "audience": ""}
    assert read["sensitive_header_names"] == ["X-Token"]
    assert read["verify_key"].startswith("whpk_")
    assert (read["sink"], read["previous_verify_key"], read["secret"]) == ("http", None, None)


async def test_a_patch_clears_with_null_and_leaves_what_it_does_not_name(acme: Tenant) -> None:
    options = {"filter": {"data.a": 1}, "rate_per_second": 5.0, "alert_email": "a@example.com"}
    headers = {"headers": {"X-One": "1", "X-Two": "2"}, "sensitive_headers": {"X-A": "a", "X-B": "b"}}
    made = await acme.made(HOOK | options | headers, "/webhooks")
    words = (await patch(acme, made, {"description": "words"})).json()
    assert {name: words[name] for name in options} == options
    assert (words["headers"], words["sensitive_header_names"]) == (headers["headers"], ["X-A", "X-B"])
    changed = await patch(
        acme,
        made,
        {"filter": None, "headers": {"X-One": None}, "sensitive_headers": {"X-A": None, "X-C": "c"}},
    )
    body = changed.json()
    assert (body["filter"], body["rate_per_second"]) == (None, 5.0)
    assert (body["headers"], body["sensitive_header_names"]) == ({"X-Two": "2"}, ["X-B", "X-C"])
    cleared = (await patch(acme, made, dict.fromkeys([*options, *headers]))).json()
    assert (cleared["rate_per_second"], cleared["alert_email"]) == (None, "")
    assert (cleared["headers"], cleared["sensitive_header_names"]) == ({}, [])


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"filter": {"data.a": {"like": 1}}}, "/filter/data.a/like"),
        ({"headers": {"Content-Length": "1"}}, "/headers/Content-Length"),
        ({"sensitive_headers": {"X-A": "canary\r\nHost: evil"}}, "/sensitive_headers/X-A"),
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"client_certificate": "canary"}, "/client_key"),
        ({"sink_target": "x"}, "/sink_target"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(acme: Tenant, given: Any, where: str) -> None:
    made = await acme.made(HOOK, "/webhooks")
    for answer in (await acme.post("/webhooks", HOOK | given), await patch(acme, made, given)):
        assert answer.status_code == 422
        assert [one["where"] for one in answer.json()["findings"]] == [where]
        assert "canary" not in answer.text


async def test_public_keys_are_open_cacheable_and_follow_a_rotation(world: World, acme: Tenant) -> None:
    made = await acme.made(HOOK, "/webhooks")
    nobody = world.client()
    answer = await nobody.get(f"{WELL_KNOWN}/{made['id']}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    key = {"key": made["verify_key"], "status": "current", "algorithm": "ed25519"}
    assert answer.json() == {"endpoint_id": made["id"], "keys": [key]}
    rotated = await acme.made({}, f"/webhooks/{made['id']}/rotate-secret")
    current, previous = (await nobody.get(f"{WELL_KNOWN}/{made['id']}")).json()["keys"]
    assert (current["key"], current["status"]) == (rotated["verify_key"], "current")
    assert (previous["key"], previous["until"]) == (made["verify_key"], rotated["previous_until"])
    for unknown in ("ep_nothing", made["id"][:-1] + ("0" if made["id"][-1] != "0" else "1"), "x"):
        missing = await nobody.get(f"{WELL_KNOWN}/{unknown}")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")


async def test_a_signature_test_answers_what_a_receivers_code_must_come_to(acme: Tenant) -> None:
    made = await acme.made(HOOK, "/webhooks")
    asked = {"body": BODY.decode(), "timestamp": AT, "id": "evt_01"}
    shown = (await acme.post(f"/webhooks/{made['id']}/test-signature", asked)).json()
    for key in (made["secret"], made["verify_key"]):
        assert verify_any(shown["headers"], BODY, key, now=AT).id == "evt_01"
    assert shown["headers"]["webhook-signature"] == f"{shown['current']['v1']} {shown['current']['v1a']}"
    assert shown["headers"]["X-Signature-Signature"] == shown["current"]["x_signature"]
    assert shown["previous"] is None
    await acme.made({}, f"/webhooks/{made['id']}/rotate-secret")
    again = (await acme.post(f"/webhooks/{made['id']}/test-signature", asked)).json()
    assert again["previous"] == shown["current"]
    assert again["headers"]["X-Signature-Signature"] == again["previous"]["x_signature"]
    activated = await acme.made({}, f"/webhooks/{made['id']}/activate-secret")
    assert activated["cutover_at"] < activated["previous_until"]
    last = (await acme.post(f"/webhooks/{made['id']}/test-signature", asked)).json()
    assert last["headers"]["X-Signature-Signature"] == last["current"]["x_signature"]
    second = await acme.post(f"/webhooks/{made['id']}/activate-secret", {})
    assert (second.status_code, second.json()["code"]) == (409, "conflict")


async def test_who_may_only_read_gets_no_signature_made(world: World, acme: Tenant) -> None:
    made = await acme.made(HOOK, "/webhooks")
    reader = world.client((await acme.new_key("webhooks:read")).secret.reveal())
    for path in ("test-signature", "activate-secret"):
        answer = await reader.post(f"{API}/webhooks/{made['id']}/{path}", json={"body": "{}"})
        assert answer.status_code == 403
    asked = {"filter": {"type": "x"}, "event": {"type": "x"}}
    assert (await reader.post(f"{API}/webhooks/filter-check", json=asked)).status_code == 200


async def test_a_filter_is_tried_on_a_given_event_and_says_why_not(acme: Tenant) -> None:
    event = {"id": "evt_1", "type": "envelope.completed", "sequence": 3, "data": {"amount": 10}}
    asked = {"filter": {"data.amount": {"gt": 10}}, "event": event}
    said = (await acme.post("/webhooks/filter-check", asked)).json()
    assert (said["tried"], said["matched"]) == (1, 0)
    [result] = said["results"]
    assert result["why"] == ["data.amount is 10, and the filter wants it to be more than 10"]
    assert (result["event_id"], result["type"], result["matches"]) == (None, "envelope.completed", False)
    passing = asked | {"filter": {"data.amount": 10, "type": {"prefix": "envelope."}}}
    assert (await acme.post("/webhooks/filter-check", passing)).json()["matched"] == 1
    refused = await acme.post("/webhooks/filter-check", {"filter": {"amount": 1}})
    assert [one["where"] for one in refused.json()["findings"]] == ["/filter/amount"]


async def test_a_filter_is_tried_on_the_tenants_own_last_events(world: World, acme: Tenant) -> None:
    await acme.route(await acme.connect("alpha"))
    await acme.made(envelope(send=True))
    asked = {"filter": {"type": "envelope.sent"}}
    said = (await acme.post("/webhooks/filter-check", asked)).json()
    assert said["tried"] > said["matched"] == 1
    assert {one["type"] for one in said["results"] if one["matches"]} == {"envelope.sent"}
    assert all(one["why"] for one in said["results"] if not one["matches"])
    stranger = await world.tenant("Other")
    assert (await stranger.post("/webhooks/filter-check", asked)).json() == {
        "tried": 0,
        "matched": 0,
        "results": [],
        "warnings": [],
    }
