"""The webhook portal over HTTP: links, sessions, forms, scopes, who sees what, and what a look leaves untouched."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from config.settings import GeneralSettings
from gateway.jobs.kinds import KINDS
from normalizer.ids import Kind, read_id
from tests.fixtures.store import Store
from tests.gateway.portal_visitor import (
    FORM,
    Visitor,
    add_endpoint,
    allow_origins,
    open_portal,
    portal_link,
    rows_of,
    text_of,
)
from tests.gateway.world import API, Tenant, World, make_settings, open_world

ORIGIN = "https://dms.acme.example"


@pytest_asyncio.fixture
async def tenant(world: World) -> Tenant:
    return await world.tenant("Acme")


@pytest_asyncio.fixture
async def secure(store: Store, redis_url: Any, gateway_folder: Any) -> AsyncIterator[World]:
    """A gateway that believes itself behind https."""
    general = GeneralSettings(
        data_dir=gateway_folder,
        blob_url="memory://",
        loopback_allow_list=("127.0.0.1:*",),
        public_base_url="https://hooks.example",
    )
    async with open_world(make_settings(store, redis_url, gateway_folder, countersign=general)) as world:
        yield world


async def test_link_is_told_once_and_looking_at_it_changes_nothing(world: World, tenant: Tenant) -> None:
    path = await portal_link(tenant)
    before = await rows_of(world)
    client = world.client()
    for _ in range(2):
        looked = await client.get(path)
        assert (looked.status_code, "Open the portal" in looked.text) == (200, True)
        assert "set-cookie" not in looked.headers
    assert (await client.head(path)).status_code == 200
    assert await rows_of(world) == before


async def test_link_opens_once_and_used_unknown_and_expired_ones_look_the_same(
    world: World, tenant: Tenant
) -> None:
    path, expired = await portal_link(tenant), await portal_link(tenant)
    assert (await world.client().post(path)).status_code == 303
    await world.services.hub.execute(
        "UPDATE portal_sessions SET link_until = now() - interval '1 second' WHERE started_at IS NULL"
    )
    answers = [
        await getattr(world.client(), method)(one)
        for method in ("get", "post")
        for one in (path, expired, "/portal/nothing-of-the-kind", "/portal/caf%C3%A9")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({text_of(answer.text) for answer in answers}) == 1


async def test_links_and_sessions_that_have_ended_are_forgotten(world: World, tenant: Tenant) -> None:
    for _ in range(2):
        await portal_link(tenant)
    assert (await world.client().post(await portal_link(tenant))).status_code == 303
    await world.services.hub.execute(
        "UPDATE portal_sessions SET link_until = now() - interval '1 second' WHERE id = (SELECT max(id::text)::uuid"
        " FROM portal_sessions WHERE started_at IS NULL)"
    )
    await KINDS["reap_old_rows"].run(world.services, {})
    left = await world.services.hub.fetch("SELECT started_at FROM portal_sessions")
    assert sorted(row["started_at"] is None for row in left) == [False, True]


async def test_two_starts_of_one_link_begin_one_session(world: World, tenant: Tenant) -> None:
    path = await portal_link(tenant)
    answers = await asyncio.gather(*(world.client().post(path) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [303, 404, 404, 404, 404, 404]


async def test_link_that_cannot_be_made_is_refused_with_a_reason(tenant: Tenant) -> None:
    for body, status in (
        ({"minutes": 4}, 422),
        ({"minutes": 61}, 422),
        ({"scope": "owner"}, 422),
        ({"return_url": "javascript:alert(1)"}, 422),
        ({"return_url": "https://a.example;script-src *"}, 422),
        ({"return_url": "https://[::1"}, 422),
        ({"language": "fr"}, 422),
        ({"embed_origins": [ORIGIN]}, 422),
        ({"endpoint_id": "ep_01m82862psec7s24qebm80sh6w"}, 404),
        ({"unknown": 1}, 422),
    ):
        refused = await tenant.post("/webhooks/portal-link", body)
        assert refused.status_code == status, (body, refused.text)
        assert refused.json()["code"] in {"validation_failed", "embedding_refused", "not_found"}


async def test_key_that_may_only_read_makes_links_that_may_only_read(world: World, tenant: Tenant) -> None:
    key = await tenant.new_key("webhooks:read")
    reader = world.client(key.secret.reveal())
    refused = await reader.post(f"{API}/webhooks/portal-link", json={"scope": "manage"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    assert (await reader.post(f"{API}/webhooks/portal-link", json={"scope": "read"})).status_code == 201
    other = world.client((await tenant.new_key("envelopes:read")).secret.reveal())
    assert (await other.post(f"{API}/webhooks/portal-link", json={"scope": "read"})).status_code == 403


async def test_database_holds_nothing_that_opens_a_session(world: World, tenant: Tenant) -> None:
    path = await portal_link(tenant)
    visitor = await open_portal(tenant)
    dump = "\n".join(
        str(row[0])
        for row in await world.services.hub.fetch("SELECT to_jsonb(s)::text FROM portal_sessions s")
    )
    (cookie,) = [one for one in visitor.client.cookies.jar if one.name.startswith("portal-")]
    assert cookie.value is not None
    assert path.rpartition("/")[2] not in dump
    assert cookie.value not in dump
    assert "dms" not in dump  # who made the link is sealed
    # What stands in the dump opens nothing: neither as a link nor as a cookie.
    for stolen in set(re.findall(r"[A-Za-z0-9_\-]{16,}", dump.replace("\\\\x", ""))):
        assert (await world.client().post(f"/portal/{stolen}")).status_code == 404
        client = world.client()
        client.cookies.set(f"portal-{visitor.handle}", stolen)
        assert (await client.get(f"{visitor.base}/endpoints")).status_code == 401


async def test_ledger_names_link_and_session_and_who_made_it(world: World, tenant: Tenant) -> None:
    headers = {"x-actor-id": "u-7", "x-actor-name": "Ada", "x-actor-email": "ada@acme.example"}
    made = await tenant.post("/webhooks/portal-link", {}, headers=headers)
    client = world.client()
    started = await client.post("/portal/" + made.json()["url"].rpartition("/")[2])
    visitor = Visitor(client, started.headers["location"].rpartition("/")[0])
    await add_endpoint(visitor)
    entries = (await tenant.get("/audit/events")).json()
    entries = entries["entries"] if isinstance(entries, dict) else entries
    told = {
        entry["event_type"]: entry
        for entry in entries
        if entry["event_type"] in {"portal_link_created", "portal_session_started", "endpoint_created"}
    }
    assert len(told) == 3
    assert "u-7" in str(told["endpoint_created"])
    assert "portal" in str(told["endpoint_created"])
    token = made.json()["url"].rpartition("/")[2]
    assert token not in str(entries)


async def test_session_ends_when_idle_at_its_end_on_leaving_and_with_its_key(
    world: World, tenant: Tenant
) -> None:
    hub = world.services.hub
    for change in (
        "UPDATE portal_sessions SET seen_at = now() - interval '31 minutes'",
        "UPDATE portal_sessions SET last_at = now()",
        "UPDATE portal_sessions SET ended_at = now()",
    ):
        visitor = await open_portal(tenant)
        await visitor.get("/endpoints")
        await hub.execute(f"{change} WHERE handle = $1", visitor.handle)
        assert "Your session has ended" in await visitor.get("/endpoints", status=401)
    visitor = await open_portal(tenant, return_url="https://dms.acme.example/back")
    left = await visitor.post("/leave")
    assert (left.status_code, left.headers["location"]) == (303, "https://dms.acme.example/back")
    assert "Max-Age=0" in left.headers["set-cookie"]
    await visitor.get("/endpoints", status=401)
    visitor = await open_portal(tenant)
    await hub.execute("UPDATE api_keys SET revoked_at = now() WHERE id = $1", tenant.key_id)
    await visitor.get("/endpoints", status=401)


async def test_use_keeps_a_session_alive_and_another_browser_ends_it(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    hub = world.services.hub
    await hub.execute("UPDATE portal_sessions SET seen_at = now() - interval '29 minutes'")
    await visitor.get("/endpoints")
    idle = await hub.fetchval("SELECT extract(epoch FROM now() - seen_at)::integer FROM portal_sessions")
    assert idle < 60
    stolen = world.client(**{"user-agent": "Somebody else"})
    stolen.cookies = visitor.client.cookies
    assert (await stolen.get(f"{visitor.base}/endpoints")).status_code == 401
    await visitor.get("/endpoints", status=401)


async def test_form_without_its_token_or_from_another_site_does_nothing(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    hidden = await visitor.hidden("/endpoints/new")
    foreign = {"sec-fetch-site": "cross-site"}
    path = f"{visitor.base}/endpoints/new"
    other = await open_portal(await world.tenant("Other"))
    theirs = await other.hidden("/endpoints/new")
    for data, headers in (
        (FORM, {}),
        (FORM | hidden | {"csrf": "0" * 64}, {}),
        (FORM | hidden | {"csrf": theirs["csrf"]}, {}),
        (FORM | hidden, foreign),
        (FORM | hidden, {"origin": "https://evil.example"}),
    ):
        refused = await visitor.client.post(path, data=data, headers=headers)
        assert refused.status_code == 403, (data, headers)
    assert (await tenant.get("/webhooks")).json() == []
    # Another site does not start a session either.
    assert (await world.client().post(await portal_link(tenant), headers=foreign)).status_code == 403


async def test_reader_sees_everything_and_changes_nothing(world: World, tenant: Tenant) -> None:
    manager = await open_portal(tenant)
    endpoint = await add_endpoint(manager)
    assert (await manager.post(f"/endpoints/{endpoint}/test")).status_code == 303
    delivery = (await tenant.get("/deliveries")).json()[0]["id"]
    reader = await open_portal(tenant, scope="read")
    for path in (
        "/endpoints",
        f"/endpoints/{endpoint}",
        f"/endpoints/{endpoint}/settings",
        f"/deliveries/{delivery}",
    ):
        assert "Read only" in await reader.get(path)
    before = await rows_of(world)
    hidden = await reader.hidden("/endpoints")
    for path in (
        "/endpoints/new",
        f"/endpoints/{endpoint}/settings",
        f"/endpoints/{endpoint}/test",
        f"/endpoints/{endpoint}/secret",
        f"/endpoints/{endpoint}/activate",
        f"/endpoints/{endpoint}/disable",
        f"/endpoints/{endpoint}/delete",
        f"/deliveries/{delivery}/replay",
        "/replays/new",
        "/replays/rpl_01m82862psec7s24qebm80sh6w/cancel",
    ):
        refused = await reader.client.post(
            reader.base + path, data=FORM | hidden | {"start": "yes", "exhausted": "yes"}
        )
        assert refused.status_code == 403, path
        assert "may not do that" in refused.text
    assert await rows_of(world) == before


async def test_looks_at_every_page_change_no_row(world: World, tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    endpoint = await add_endpoint(visitor)
    await visitor.post(f"/endpoints/{endpoint}/test")
    delivery = (await tenant.get("/deliveries")).json()[0]["id"]
    before = await rows_of(world)
    for path in (
        "/endpoints", "/endpoints/new", "/deliveries", "/deliveries?state=any&live=yes", "/replays", "/replays/new",
        "/events", "/events/envelope.completed", "/verify", f"/endpoints/{endpoint}",
        f"/endpoints/{endpoint}/settings", f"/endpoints/{endpoint}/secret", f"/endpoints/{endpoint}/disable",
        f"/endpoints/{endpoint}/enable", f"/endpoints/{endpoint}/delete", f"/deliveries/{delivery}",
    ):  # fmt: skip
        await visitor.get(path)
    assert await rows_of(world) == before


async def test_other_tenants_ids_are_nowhere(world: World, tenant: Tenant) -> None:
    theirs = await open_portal(await world.tenant("Other"))
    endpoint = await add_endpoint(theirs)
    tested = await theirs.post(f"/endpoints/{endpoint}/test")
    delivery = tested.headers["location"].partition("?")[0].removeprefix(theirs.base)
    ours = await open_portal(tenant)
    await add_endpoint(ours)
    for path in (
        f"/endpoints/{endpoint}",
        f"/endpoints/{endpoint}/settings",
        f"/endpoints/{endpoint}/secret",
        delivery,
    ):
        await ours.get(path, status=404)
    for path in (f"/endpoints/{endpoint}/test", f"/endpoints/{endpoint}/disable", f"{delivery}/replay"):
        assert (await ours.post(path)).status_code == 404
    assert "hooks" not in await ours.get(
        f"/deliveries?state=any&endpoint={endpoint}"
    ) or endpoint not in text_of(await ours.get(f"/deliveries?state=any&endpoint={endpoint}"))
    # One session's cookie opens no other session's pages.
    assert (await ours.client.get(f"{theirs.base}/endpoints")).status_code == 401


async def test_link_for_one_endpoint_shows_that_one_alone(world: World, tenant: Tenant) -> None:
    manager = await open_portal(tenant)
    own, other = await add_endpoint(manager), await add_endpoint(manager, url="http://127.0.0.1:9/other")
    deliveries = []
    for endpoint in (own, other):
        tested = await manager.post(f"/endpoints/{endpoint}/test")
        deliveries.append(tested.headers["location"].partition("?")[0].removeprefix(manager.base))
    bound = await open_portal(tenant, endpoint_id=own)
    assert "/other" not in await bound.get("/endpoints")
    listed = await bound.get("/deliveries?state=any")
    assert (deliveries[0] in listed, deliveries[1] in listed) == (True, False)
    await bound.get(deliveries[0])
    for path in (deliveries[1], f"/endpoints/{other}", f"/endpoints/{other}/secret"):
        await bound.get(path, status=404)
    await bound.get(f"/deliveries?endpoint={other}", status=422)
    await bound.get("/endpoints/new", status=403)
    for path in ("/endpoints/new", f"/endpoints/{own}/delete"):
        assert (await bound.post(path, FORM)).status_code == 403
    assert (await bound.post(f"/endpoints/{other}/test")).status_code == 404


async def test_link_for_one_endpoint_shows_its_replays_however_many_newer_ones_there_are(
    world: World, tenant: Tenant
) -> None:
    manager = await open_portal(tenant)
    own, other = await add_endpoint(manager), await add_endpoint(manager, url="http://127.0.0.1:9/other")
    ours, theirs = [
        (await tenant.post("/replays", {"endpoint_id": one})).json()["id"] for one in (own, other)
    ]
    await world.services.hub.execute(
        "INSERT INTO replay_jobs (tenant_id, id, endpoint_id, states, state, selected, actor)"
        " SELECT tenant_id, overlay(id::text PLACING to_char(n, 'FM000000000000') FROM 25)::uuid, endpoint_id, states,"
        " 'done', 0, actor FROM replay_jobs, generate_series(1, 120) n WHERE id = $1",
        read_id(Kind.REPLAY, theirs),
    )
    bound = await open_portal(tenant, endpoint_id=own)
    assert f"/replays/{ours}" in await bound.get("/replays")
    assert [one["id"] for one in (await tenant.get(f"/replays?endpoint_id={own}")).json()] == [ours]
    # Whoever sees all comes to it page by page.
    path, seen = "/replays", set()
    while path:
        page = await manager.get(path)
        seen |= set(re.findall(r"/replays/(rpl_[a-z0-9]+)", page))
        older = re.search(r'href="[^"]*(/replays\?before=[^"]+)"', page)
        path = older[1] if older else ""
    assert (len(seen), ours in seen) == (122, True)


async def test_pages_bear_the_strictest_policy_and_are_framed_by_nobody(tenant: Tenant) -> None:
    visitor = await open_portal(tenant)
    answer = await visitor.client.get(f"{visitor.base}/endpoints")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text) == []
    for address in re.findall(r'(?:src|href)="(/console/static/[^"]+)"', answer.text):
        file = await visitor.client.get(address)
        assert (file.status_code, "immutable" in file.headers["cache-control"]) == (200, True)
    assert (await visitor.client.get("/console/static/x/..%2f..%2fapp.py")).status_code == 404


async def test_cookie_behind_https_is_bound_to_the_host(secure: World) -> None:
    tenant = await secure.tenant("Acme")
    started = await secure.client().post(await portal_link(tenant))
    cookie = started.headers["set-cookie"]
    assert cookie.startswith("__Host-portal-")
    for attribute in ("Path=/", "HttpOnly", "Secure", "SameSite=Lax"):
        assert attribute in cookie
    assert "Partitioned" not in cookie


async def test_embedded_portal_is_framed_by_exactly_the_allowed_origins(secure: World) -> None:
    tenant = await secure.tenant("Acme")
    await allow_origins(secure, tenant, ORIGIN, "https://other.acme.example")
    path = await portal_link(tenant, embed_origins=[ORIGIN])
    looked = await secure.client().get(path)
    assert f"frame-ancestors {ORIGIN}" in looked.headers["content-security-policy"].split("; ")
    assert "x-frame-options" not in looked.headers
    started = await secure.client().post(path)
    name, _, rest = started.headers["set-cookie"].partition("=")
    assert rest.endswith("Secure; SameSite=None; Partitioned")
    client = secure.client(cookie=f"{name}={rest.partition(';')[0]}")
    page = await client.get(started.headers["location"])
    assert f"frame-ancestors {ORIGIN}" in page.headers["content-security-policy"].split("; ")
    refused = await tenant.post("/webhooks/portal-link", {"embed_origins": ["https://evil.example"]})
    assert refused.json()["code"] == "embedding_refused"


async def test_language_follows_the_reader_and_can_be_changed(world: World, tenant: Tenant) -> None:
    client = world.client(**{"accept-language": "de-AT,en;q=0.5"})
    started = await client.post(await portal_link(tenant))
    visitor = Visitor(client, started.headers["location"].rpartition("/")[0])
    assert 'lang="de"' in await visitor.get("/endpoints")
    changed = await visitor.post(
        "/language", {"language": "en", "here": f"{visitor.base}/deliveries?state=any"}
    )
    assert changed.headers["location"] == f"{visitor.base}/deliveries?state=any"
    assert 'lang="en"' in await visitor.get("/endpoints")
    for elsewhere in ("https://evil.example", "//evil.example", f"{visitor.base}/\\evil"):
        away = await visitor.post("/language", {"language": "en", "here": elsewhere})
        assert away.headers["location"] == f"{visitor.base}/endpoints"
