"""The webhook portal's pages over HTTP, as a browser without scripts uses them: forms in, and what they do."""

import re

import httpx
import pytest_asyncio

from tests.gateway.bodies import envelope
from tests.gateway.portal_visitor import FORM, add_endpoint, open_portal, rows_of, text_of
from tests.gateway.world import Tenant, World
from webhooks.outbound.fanout import fan_out


@pytest_asyncio.fixture
async def tenant(world: World) -> Tenant:
    return await world.tenant("Acme")


async def test_secret_is_shown_once_and_a_reload_makes_no_second_endpoint(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    hidden = await visitor.hidden("/endpoints/new")
    path = f"{visitor.base}/endpoints/new"
    made = await visitor.client.post(path, data=FORM | hidden)
    secret = re.search(r"whsec_[A-Za-z0-9+/=]{20,}", made.text)
    assert secret is not None
    again = await visitor.client.post(path, data=FORM | hidden)
    assert (again.status_code, "done=sent_already" in again.headers["location"]) == (303, True)
    (endpoint,) = (await tenant.get("/webhooks")).json()
    for page in ("", "/settings", "/secret"):
        assert secret[0] not in await visitor.get(f"/endpoints/{endpoint['id']}{page}")


async def test_rotation_shows_a_new_secret_and_activation_cuts_over(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    page = f"/endpoints/{endpoint}/secret"
    wrong = await visitor.post(page, {"overlap_hours": "200"}, seen_at=page)
    assert (wrong.status_code, "0 to 7 days" in wrong.text) == (422, True)
    unreadable = await visitor.post(page, {"overlap_hours": "soon"}, seen_at=page)
    assert unreadable.status_code == 422
    rotated = await visitor.post(page, {"overlap_hours": "48", "cutover_hours": "1"}, seen_at=page)
    assert "whsec_" in rotated.text
    assert "Secrets that sign at present: 2." in text_of(rotated.text)
    assert "signed with the new one already" in text_of(await visitor.done(f"/endpoints/{endpoint}/activate"))
    refused = await visitor.post(f"/endpoints/{endpoint}/activate")
    assert "No change of secret is under way" in refused.text


async def test_rotations_within_an_overlap_are_all_told_and_what_the_oldest_signed_holds(
    tenant: Tenant,
) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    page = f"/endpoints/{endpoint}/secret"
    given = {"body": '{"type":"x"}', "id": "evt_01"}
    signed = await tenant.post(f"/webhooks/{endpoint}/test-signature", given)
    for _ in range(2):
        rotated = await visitor.post(page, {"overlap_hours": "48"}, seen_at=page)
    told = text_of(rotated.text)
    assert "Secrets that sign at present: 3." in told
    assert (told.count("An older one does until"), told.count("whpk_")) == (1, 3)
    pasted = {"endpoint": endpoint, "headers": signed_headers(signed), "body": given["body"]}
    judged = text_of((await visitor.post("/verify", pasted, seen_at="/verify")).text)
    assert "The signature holds." in judged
    assert "made with a still older secret" in judged


async def test_settings_form_says_back_what_is_stored(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor, sensitive_headers="X-Token: swordfish-9")
    changes = {
        "url": "http://127.0.0.1:9/changed",
        "description": "Archive <b>",
        "all_events": "",
        "event:envelope.completed": "yes",
        "event:endpoint.failing": "yes",
        "filter": '{"data.status": "completed"}',
        "payload": "thin",
        "headers": "X-Area: archive\nX-Other: 1",
        "sensitive_headers": "X-Token: swordfish-9",
        "rate_per_second": "2,5",
        "retry_profile": "custom",
        "retry_schedule": "5, 60, 600",
        "ordering": "hold",
        "alert_email": "ops@acme.example",
    }
    page = f"/endpoints/{endpoint}/settings"
    form = {name: value for name, value in (FORM | changes).items() if value}
    assert "The settings are saved" in await visitor.done(page, form, seen_at=page)
    stored = (await tenant.get(f"/webhooks/{endpoint}")).json()
    assert {name: stored[name] for name in ("events", "filter", "payload", "headers", "rate_per_second")} == {
        "events": ["envelope.completed", "endpoint.failing"],
        "filter": {"data.status": "completed"},
        "payload": "thin",
        "headers": {"X-Area": "archive", "X-Other": "1"},
        "rate_per_second": 2.5,
    }
    shown = await visitor.get(page)
    assert "swordfish" not in shown
    assert "Archive &lt;b&gt;" in shown
    for value in ("http://127.0.0.1:9/changed", "X-Area: archive", "2.5", "5, 60, 600", "ops@acme.example"):
        assert value in shown
    # What is left as it stands saves as it stands; headers and addresses that are emptied are gone.
    emptied = {
        name: value for name, value in form.items() if name not in {"headers", "filter", "alert_email"}
    }
    await visitor.done(page, emptied | {"forget:X-Token": "yes", "sensitive_headers": ""}, seen_at=page)
    stored = (await tenant.get(f"/webhooks/{endpoint}")).json()
    assert (stored["headers"], stored["filter"], stored["alert_email"]) == ({}, None, "")
    assert stored["sensitive_header_names"] == []


REFUSED = (
    ({"url": "http://10.0.0.1/"}, "/url"),
    ({"filter": "{"}, "This is no JSON object"),
    ({"filter": '{"data.x": {"near": 1}}'}, "/filter"),
    ({"all_events": ""}, "Nothing is ticked"),
    ({"headers": "Host: x"}, "/headers"),
    ({"headers": "nothing"}, "Line 1 is not"),
    ({"rate_per_second": "fast"}, "This is no number"),
    ({"rate_per_second": "nan"}, "/rate_per_second"),
    ({"retry_profile": "custom", "retry_schedule": "1; x"}, "Write whole seconds"),
    ({"retry_profile": "yearly"}, "not one of those offered"),
    ({"timeout_seconds": "99"}, "/timeout_seconds"),
    ({"timeout_seconds": ""}, "/timeout_seconds"),
    ({"max_in_flight": ""}, "/max_in_flight"),
    ({"filter": '{"all":' * 5000 + "1" + "}" * 5000}, "/filter"),
)


async def test_form_that_cannot_be_taken_says_why_and_keeps_what_was_typed(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    for fields, said in REFUSED:
        given = FORM | {"description": "Typed before"} | fields
        form = {name: value for name, value in given.items() if value}
        refused = await visitor.post("/endpoints/new", form, seen_at="/endpoints/new")
        assert (refused.status_code, said in refused.text) == (422, True), (fields, text_of(refused.text))
        assert "Typed before" in refused.text
    assert (await tenant.get("/webhooks")).json() == []


async def test_filter_check_tries_the_last_events_and_saves_nothing(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    await visitor.post(f"/endpoints/{endpoint}/test")
    page = f"/endpoints/{endpoint}/settings"
    before = await rows_of(world)
    for filter_, said in (
        ('{"type": "endpoint.test"}', "1 of the last 1 events would pass"),
        ('{"type": "envelope.sent"}', "0 of the last 1 events would pass"),
        ("", "There is no filter"),
    ):
        checked = await visitor.post(page, FORM | {"filter": filter_, "check": "yes"}, seen_at=page)
        assert said in checked.text
    assert await rows_of(world) == before


async def test_filter_that_no_event_can_pass_is_warned_of_in_the_check_and_on_the_endpoints_page(
    tenant: Tenant,
) -> None:
    visitor = await open_portal(tenant)
    typed = FORM | {"filter": '{"data.status": "completed"}'}
    checked = await visitor.post("/endpoints/new", typed | {"check": "yes"}, seen_at="/endpoints/new")
    assert "Did you mean data.envelope.status?" in text_of(checked.text)
    own = await add_endpoint(visitor, filter='{"data.status": "completed"}')
    assert "Did you mean data.envelope.status?" in text_of(await visitor.get(f"/endpoints/{own}"))
    other = await add_endpoint(visitor, filter='{"data.envelope.status": "completed"}')
    assert "Did you mean" not in text_of(await visitor.get(f"/endpoints/{other}"))


async def test_filter_nested_without_end_is_a_finding_and_no_failure(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    form = FORM | {"filter": '{"all":' * 5000 + "1" + "}" * 5000, "check": "yes"}
    assert (await visitor.post("/endpoints/new", form, seen_at="/endpoints/new")).status_code == 422


async def test_addresses_with_a_nul_character_are_no_pages(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    for path in ("/deliveries?type=%00", "/deliveries?before=%00", "/verify?endpoint=%00"):
        await visitor.get(path, status=400)


async def test_list_of_endpoints_costs_the_same_however_many_there_are(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    await add_endpoint(visitor)
    costs = []
    for _ in range(2):
        before = world.services.database.statements
        await visitor.get("/endpoints")
        costs.append(world.services.database.statements - before)
        for _ in range(4):
            await tenant.made({"url": "http://127.0.0.1:9/more"}, "/webhooks")
    assert costs[0] == costs[1]


async def test_replay_form_takes_an_offset_that_was_typed_at_its_word(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    form = {"exhausted": "yes", "from": "2026-11-22T10:00+05:00", "start": "yes"}
    await visitor.done("/replays/new", form, seen_at="/replays/new")
    ((replay),) = (await tenant.get("/replays")).json()
    assert replay["from"] == "2026-11-22T05:00:00Z"


async def test_switching_says_what_it_does_and_does_it(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    await visitor.post(f"/endpoints/{endpoint}/test")
    asked = text_of(await visitor.get(f"/endpoints/{endpoint}/disable"))
    assert "Its events are held in their order, nothing is lost" in asked
    assert "Deliveries that wait for it now: 1" in asked
    off = text_of(await visitor.done(f"/endpoints/{endpoint}/disable"))
    assert "The endpoint is off" in off
    assert (await tenant.get(f"/webhooks/{endpoint}")).json()["active"] is False
    refused = await visitor.post(f"/endpoints/{endpoint}/test")
    assert (refused.status_code, "switched off" in refused.text) == (409, True)
    assert "Held" in await visitor.get("/deliveries")
    assert "The endpoint is on" in text_of(await visitor.done(f"/endpoints/{endpoint}/enable"))
    await visitor.done(f"/endpoints/{endpoint}/delete")
    assert (await tenant.get("/webhooks")).json() == []
    await visitor.get(f"/endpoints/{endpoint}/explode", status=404)


async def test_replay_is_counted_first_and_started_by_its_own_button(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    await visitor.post(f"/endpoints/{endpoint}/test")
    await world.services.hub.execute(
        "UPDATE deliveries SET state = 'exhausted', attempt = 4, finished_at = now()"
    )
    page, wanted = "/replays/new", {"endpoint": endpoint, "exhausted": "yes"}
    before = await rows_of(world)
    counted = await visitor.post(page, wanted, seen_at=page)
    assert "Deliveries that would be sent again: 1" in counted.text
    assert await rows_of(world) == before
    shown = await visitor.done(page, wanted | {"start": "yes", "rate_per_second": "5"}, seen_at=page)
    assert "The replay has started" in shown
    replay = re.search(r"rpl_[a-z0-9]+", shown)
    assert replay is not None
    assert "stands still" in await visitor.done(f"/replays/{replay[0]}/pause")
    assert "goes on" in await visitor.done(f"/replays/{replay[0]}/resume")
    assert "takes nothing more back" in await visitor.done(f"/replays/{replay[0]}/cancel")
    refused = await visitor.post(f"/replays/{replay[0]}/resume")
    assert refused.status_code == 409
    for form in ({"exhausted": "yes", "from": "yesterday"}, {}, {"exhausted": "yes", "envelope": "env_?"}):
        assert (await visitor.post(page, {"endpoint": endpoint} | form, seen_at=page)).status_code == 422


async def test_search_by_envelope_finds_its_deliveries(world: World, acme: Tenant) -> None:
    visitor = await open_portal(acme)
    await add_endpoint(visitor)
    only_failing = {"url": "http://127.0.0.1:9/other", "all_events": "", "event:endpoint.failing": "yes"}
    await add_endpoint(visitor, **only_failing)
    made = await acme.made(envelope(send=True))
    await fan_out(world.services.hub, 100)
    found = await visitor.get(f"/deliveries?envelope={made['id']}")
    assert "envelope.created" in found
    # One delivery says what became of its event at the other endpoints.
    first = re.search(r"/deliveries/dlv_[a-z0-9]+", found)
    assert first is not None
    assert "Not meant for it" in await visitor.get(first[0])
    assert "Nothing fits" in await visitor.get("/deliveries?envelope=env_01m82862psec7s24qebm80sh6w")
    assert "cannot be searched for" in await visitor.get("/deliveries?envelope=nonsense", status=422)


async def test_reason_is_told_in_the_readers_language_and_what_others_said_is_marked_as_english(
    world: World, acme: Tenant
) -> None:
    visitor = await open_portal(acme, language="de")
    await add_endpoint(visitor)
    await acme.made(envelope(send=True))
    await fan_out(world.services.hub, 100)
    assert "Sie wartet auf den ersten Versuch." in await visitor.get("/deliveries")
    await world.services.hub.execute(
        "UPDATE deliveries SET state = 'exhausted', attempt = 4, last_error = 'answered <b>503</b>'"
    )
    page = await visitor.get("/deliveries")
    assert "Sie wurde nach 4 Versuchen aufgegeben" in page
    assert 'Letzter Versuch: <span lang="en">answered &lt;b&gt;503&lt;/b&gt;</span>.' in page
    one = re.search(r"/deliveries/dlv_[a-z0-9]+", page)
    assert one is not None
    assert "It was given up" not in await visitor.get(one[0])
    (told, *_) = (await acme.get("/deliveries?state=exhausted")).json()
    assert told["explanation"] == (
        "It was given up after 4 attempts and is kept: replay it. Last attempt: answered <b>503</b>."
    )


async def test_what_waits_for_somebody_says_so_and_leads_to_what_is_in_its_way(
    world: World, acme: Tenant
) -> None:
    visitor = await open_portal(acme)
    await add_endpoint(visitor, ordering="hold")
    await acme.made(envelope(send=True))
    await fan_out(world.services.hub, 100)
    await world.services.hub.execute(
        "UPDATE deliveries SET state = 'exhausted', attempt = 4, last_error = 'answered 503' WHERE sequence = 1"
    )
    listed = (await acme.get("/deliveries?state=undelivered")).json()
    by_sequence = {one["sequence"]: one["id"] for one in listed}
    page = await visitor.get(f"/deliveries/{by_sequence[2]}")
    assert "It waits until somebody acts." in page
    assert f'<a href="{visitor.base}/deliveries/{by_sequence[1]}">{by_sequence[1]}</a>' in page
    # One element in the cell: on a phone its children would stand in columns.
    cells = re.findall(r'class="why">(.*?)</td>', await visitor.get("/deliveries"))
    assert len(cells) == len(listed)
    assert all(re.fullmatch(r"<span>.*</span>", cell) for cell in cells)


def signed_headers(answer: httpx.Response) -> str:
    return "\n".join(f"{name}: {value}" for name, value in answer.json()["headers"].items())


async def test_signature_tool_says_whether_it_holds_and_why_not(tenant: Tenant) -> None:
    visitor, reader = await open_portal(tenant), await open_portal(tenant, scope="read")
    endpoint = await add_endpoint(visitor)
    body = '{"id":"evt_7","type":"envelope.sent","data":{}}'
    made = await tenant.post(f"/webhooks/{endpoint}/test-signature", {"body": body, "id": "evt_7"})
    for sent, verdict, said in (
        (body, "holds", "made with the current secret"),
        (body + "\r\n", "does not hold", "spaces or line breaks at the end"),
        (body.replace(":", ": "), "does not hold", "read and rewrote the body"),
        (body.replace("7", "8"), "does not hold", "made for another endpoint"),
    ):
        form = {"endpoint": endpoint, "headers": signed_headers(made), "body": sent}
        judged = await reader.post("/verify", form, seen_at="/verify")
        assert f"The signature {verdict}." in judged.text, sent
        assert said in judged.text


async def test_signature_tool_never_says_what_a_signature_should_be(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    body = '{"id":"evt_7","type":"envelope.sent","data":{}}'
    made = (await tenant.post(f"/webhooks/{endpoint}/test-signature", {"body": body, "id": "evt_7"})).json()
    forged = f"webhook-id: evt_7\nwebhook-timestamp: {made['timestamp']}\nwebhook-signature: v1,AAAA"
    judged = await visitor.post(
        "/verify", {"endpoint": endpoint, "headers": forged, "body": body}, seen_at="/verify"
    )
    assert "does not hold" in judged.text
    assert made["current"]["v1"].partition(",")[2] not in judged.text
    for headers in (
        "",
        "webhook-id: a.b\nwebhook-timestamp: 1\nwebhook-signature: x",
        "webhook-id: a\nwebhook-timestamp: -1\nwebhook-signature: x",
    ):
        form = {"endpoint": endpoint, "headers": headers, "body": body}
        assert "does not hold" in (await visitor.post("/verify", form, seen_at="/verify")).text
