"""Who calls, whether they may, how often, and on whose behalf."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
import redis.asyncio

from config.settings import LimitSettings, Settings
from gateway.http.edge import check_routes
from gateway.tenants.issue_keys import revoke_key
from tests.gateway.bodies import envelope
from tests.gateway.fake_provider import FakeProvider
from tests.gateway.world import ADMIN, API, OPERATOR, Tenant, World, open_world

LIST = f"{API}/envelopes"


def damage(key: str) -> dict[str, str]:
    head, crc = key.rsplit("_", 1)
    start, secret = head.rsplit("_", 1)
    import zlib

    other = f"{start}_{secret[:-1]}{'A' if secret[-1] != 'A' else 'B'}"
    return {
        "none": "",
        "not a key": "hello",
        "wrong checksum": f"{head}_{'0' * 8 if crc != '0' * 8 else '1' * 8}",
        "wrong secret": f"{other}_{zlib.crc32(other.encode()):08x}",
        "unknown id": (unknown := f"cs_test_ABCDEFGH_{secret}") + f"_{zlib.crc32(unknown.encode()):08x}",
    }


@pytest.mark.parametrize("how", ["none", "not a key", "wrong checksum", "wrong secret", "unknown id"])
async def test_a_key_that_is_not_ours_is_refused_401_in_the_same_words(
    world: World, acme: Tenant, how: str
) -> None:
    answer = await world.client(damage(acme.key)[how]).get(LIST)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (401, "not_authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert acme.key not in answer.text
    if how != "none":
        assert problem["detail"] == "The API key is not valid."


async def test_an_expired_key_is_refused(world: World, acme: Tenant) -> None:
    issued = await acme.new_key("envelopes:read", expires_at=datetime.now(UTC) + timedelta(hours=1))
    client = world.client(issued.secret.reveal())
    await world.services.hub.execute(
        "UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE id = $1", issued.facts.id
    )
    answer = await client.get(LIST)
    assert (answer.status_code, answer.json()["detail"]) == (401, "The API key has expired.")


async def test_a_revoked_key_stops_within_three_seconds(gateway_settings: Settings) -> None:
    from config.clock import FixedClock

    clock = FixedClock(datetime.now(UTC))
    async with open_world(gateway_settings, FakeProvider("alpha")) as opened:
        services = dataclasses.replace(opened.services, clock=clock)
        async with World(services) as world:
            tenant = await world.tenant()
            assert (await tenant.get("/envelopes")).status_code == 200
            await revoke_key(services, OPERATOR, tenant.id, tenant.key_id)
            clock.advance(3.1)
            assert (await tenant.get("/envelopes")).status_code == 401


async def test_a_deactivated_tenants_keys_do_nothing(world: World, acme: Tenant) -> None:
    admin = await world.administrator()
    changed = await admin.patch(f"{ADMIN}/tenants/{acme.printed}", json={"active": False})
    assert changed.json()["active"] is False
    assert (await acme.get("/envelopes")).status_code == 401


@pytest.mark.parametrize(
    ("scopes", "method", "path"),
    [
        (("envelopes:read",), "POST", f"{API}/envelopes"),
        (("envelopes:write",), "GET", f"{API}/envelopes"),
        (("envelopes:read", "envelopes:write"), "GET", f"{API}/audit/events"),
        (("documents:read",), "POST", f"{API}/documents"),
        (("envelopes:read",), "GET", f"{API}/webhooks"),
        (("envelopes:read", "envelopes:write", "audit:read"), "GET", f"{ADMIN}/tenants"),
    ],
)
async def test_a_key_without_the_routes_scope_is_refused_403(
    world: World, acme: Tenant, scopes: tuple[str, ...], method: str, path: str
) -> None:
    key = (await acme.new_key(*scopes)).secret.reveal()
    answer = await world.client(key).request(method, path, json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


async def test_a_tenants_key_cannot_be_given_the_administrators_scope(world: World, acme: Tenant) -> None:
    admin = await world.administrator()
    answer = await admin.post(
        f"{ADMIN}/tenants/{acme.printed}/keys", json={"label": "x", "scopes": ["admin"]}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_scope")


async def test_two_keys_of_a_label_may_live_and_a_third_is_refused(acme: Tenant, world: World) -> None:
    admin = await world.administrator()
    keys = [
        await admin.post(
            f"{ADMIN}/tenants/{acme.printed}/keys", json={"label": "r", "scopes": ["envelopes:read"]}
        )
        for _ in range(3)
    ]
    assert [one.status_code for one in keys] == [201, 201, 409]
    gone = await admin.delete(f"{ADMIN}/tenants/{acme.printed}/keys/{keys[0].json()['id']}")
    assert gone.status_code == 204
    listed = (await admin.get(f"{ADMIN}/tenants/{acme.printed}/keys")).json()
    assert [one["secret"] for one in listed] == [None] * len(listed)


async def test_the_acting_user_goes_into_envelope_and_ledger(acme: Tenant) -> None:
    actor = {
        "x-actor-id": "u-17",
        "x-actor-email": "gr%C3%BCn@example.com",
        "x-actor-name": "J%C3%BCrgen%20Gr%C3%BCn",
        "x-actor-ip": "203.0.113.9",
        "x-actor-user-agent": "DMS/7",
    }
    made = await acme.made(envelope(), headers=actor)
    assert made["sender_id"] == "u-17"
    trail = (await acme.get(f"/envelopes/{made['id']}/events")).json()
    who = trail["entries"][0]["actor"]
    assert (who["type"], who["id"], who["name"]) == ("user", "u-17", "Jürgen Grün")
    assert (who["email"], who["ip_address"], who["user_agent"]) == (
        "grün@example.com",
        "203.0.113.9",
        "DMS/7",
    )
    assert who["credential_id"].startswith("key_")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-actor-name": "Somebody"}, 400),
        ({"x-actor-id": "u", "x-actor-name": "a%00b"}, 400),
        ({"x-actor-id": "u" * 201}, 400),
    ],
)
async def test_an_actor_that_is_not_named_properly_is_refused(
    acme: Tenant, headers: dict[str, str], status: int
) -> None:
    answer = await acme.post("/envelopes", envelope(), headers=headers)
    assert answer.status_code == status


async def test_a_key_without_act_as_may_not_say_who_acts(world: World, acme: Tenant) -> None:
    key = (await acme.new_key("envelopes:write")).secret.reveal()
    answer = await world.client(key).post(LIST, json=envelope(), headers={"x-actor-id": "boss"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


async def limited(settings: Settings, **limits: int) -> Settings:
    import msgspec

    return msgspec.structs.replace(settings, limit=LimitSettings(**limits))


async def test_too_many_calls_are_refused_429_with_the_time_to_wait(gateway_settings: Settings) -> None:
    settings = await limited(gateway_settings, requests_per_minute=60, requests_burst=3)
    async with open_world(settings, FakeProvider("alpha")) as world:
        tenant, other = await world.tenant("A"), await world.tenant("B")
        answers = [await tenant.get("/envelopes") for _ in range(5)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
        assert answers[0].headers["ratelimit-policy"] == '"key";q=60;w=60'
        assert answers[0].headers["ratelimit"].startswith('"key";r=2;')
        assert answers[-1].headers["ratelimit"].startswith('"key";r=0;')
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert answers[-1].json()["code"] == "rate_limited"
        assert (await other.get("/envelopes")).status_code == 200


async def test_a_keys_own_rate_overrides_the_installations(gateway_settings: Settings) -> None:
    settings = await limited(gateway_settings, requests_per_minute=600, requests_burst=100)
    async with open_world(settings, FakeProvider("alpha")) as world:
        tenant = await world.tenant()
        slow = await tenant.new_key("envelopes:read", rate_per_minute=2)
        client = world.client(slow.secret.reveal())
        assert [(await client.get(LIST)).status_code for _ in range(3)] == [200, 200, 429]


async def test_without_redis_calls_are_still_limited(gateway_settings: Settings) -> None:
    settings = await limited(gateway_settings, requests_per_minute=60, requests_burst=8)
    nobody = redis.asyncio.Redis(host="127.0.0.1", port=1)
    async with open_world(settings, FakeProvider("alpha"), redis=nobody) as world:
        tenant = await world.tenant()
        answers = [(await tenant.get("/envelopes")).status_code for _ in range(5)]
        assert answers == [200, 200, 429, 429, 429]
    await nobody.aclose()


async def test_every_answer_names_its_request_and_a_harmless_id_is_kept(world: World, acme: Tenant) -> None:
    kept = await acme.get("/envelopes", headers={"x-request-id": "dms-12345678"})
    assert kept.headers["x-request-id"] == "dms-12345678"
    made = await acme.get("/envelopes", headers={"x-request-id": "x" * 500})
    assert made.headers["x-request-id"].startswith("req_")
    missing = await world.client().get("/nowhere")
    assert missing.json()["request_id"] == missing.headers["x-request-id"]


async def test_a_route_without_a_scope_does_not_start(world: World) -> None:
    from litestar import Litestar, get

    @get("/api/v1/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(RuntimeError, match="/api/v1/forgotten"):
        check_routes(Litestar([forgotten], openapi_config=None), "/api/")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "seen"),
    [
        ((), "203.0.113.5", "127.0.0.1"),
        (("127.0.0.1/32",), "203.0.113.5", "203.0.113.5"),
        (("127.0.0.1/32",), "6.6.6.6, 203.0.113.5", "203.0.113.5"),
        (("127.0.0.0/8", "10.0.0.0/8"), "6.6.6.6, 203.0.113.5, 10.0.0.7", "203.0.113.5"),
    ],
)
async def test_a_forwarded_address_is_believed_from_trusted_proxies_only(
    gateway_settings: Settings, trusted: tuple[str, ...], forwarded: str, seen: str
) -> None:
    import msgspec

    from config.settings import HttpSettings

    settings = msgspec.structs.replace(gateway_settings, http=HttpSettings(trusted_proxies=trusted))
    async with open_world(settings, FakeProvider("alpha")) as world:
        tenant = await world.tenant()
        made = await tenant.made(envelope(), headers={"x-forwarded-for": forwarded})
        trail = (await tenant.get(f"/envelopes/{made['id']}/events")).json()
        assert trail["entries"][0]["actor"]["ip_address"] == seen
