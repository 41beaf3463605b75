"""The built-in engine's ways in, through the gateway: embedding lists, signing URLs, methods added, unlocking."""

from typing import Any
from uuid import UUID

import httpx
import pytest

from engine.ceremony.authenticate import answer
from engine.ceremony.links import find_link, start_session
from engine.ceremony.sessions import Session, find_session
from engine.envelopes.visitor import Visitor
from engine.store import load_envelope
from gateway.jobs.kinds import KINDS
from normalizer.recipient import AuthenticationMethod
from tests.gateway.bodies import envelope, signer
from tests.gateway.world import ADMIN, Tenant, World

ORIGIN, RETURN = "https://dms.acme.example", "https://dms.acme.example/back?case=7"
ANN = Visitor(ip_address="203.0.113.7", user_agent="Laptop/1.0")


async def engine_tenant(world: World, name: str = "Acme") -> Tenant:
    tenant = await world.tenant(name)
    await tenant.route(await tenant.connect("internal", credentials={}))
    return tenant


async def set_lists(
    world: World, tenant: Tenant, administrator: httpx.AsyncClient | None = None, **lists: list[str]
) -> httpx.Response:
    administrator = administrator or await world.administrator()
    return await administrator.put(f"{ADMIN}/tenants/{tenant.printed}/embedding", json=lists)


def path_of(made: dict[str, Any], word: str, number: int = 0) -> str:
    return f"/envelopes/{made['id']}/recipients/{made['recipients'][number]['id']}/{word}"


async def signing_session(world: World, tenant: Tenant, made: dict[str, Any]) -> Session:
    body = {"return_url": RETURN, "origins": [ORIGIN]}
    url = (await tenant.made(body, path_of(made, "signing-url")))["url"]
    link = await find_link(world.services.engine, url.rpartition("/")[2], ANN)
    assert link is not None
    assert (link.origins, link.return_url) == ((ORIGIN,), RETURN)
    started = await start_session(world.services.engine, link, ANN)
    session = await find_session(world.services.engine, started.handle, started.secret, ANN)
    assert session is not None
    return session


async def test_lists_are_set_whole_read_back_and_recorded(world: World) -> None:
    acme = await engine_tenant(world)
    administrator = await world.administrator()
    both = {"origins": [ORIGIN, "https://a.example"], "return_urls": [RETURN]}
    answered = await set_lists(world, acme, administrator, **both)
    assert answered.json() == {"origins": ["https://a.example", ORIGIN], "return_urls": [RETURN]}
    path = f"{ADMIN}/tenants/{acme.printed}/embedding"
    assert (await administrator.get(path)).json() == answered.json()
    assert (await set_lists(world, acme, administrator)).json() == {"origins": [], "return_urls": []}
    trail = (await acme.get("/audit/events")).text
    assert trail.count('"embedding"') == 2
    assert RETURN not in trail


@pytest.mark.parametrize(
    "lists", [{"origins": ["*"]}, {"origins": ["http://a.example"]}, {"return_urls": ["x"]}]
)
async def test_lists_that_are_not_exact_are_refused(world: World, lists: dict[str, list[str]]) -> None:
    acme = await engine_tenant(world)
    refused = await set_lists(world, acme, **lists)
    assert (refused.status_code, refused.json()["code"]) == (422, "validation_failed")


async def test_only_administrators_set_lists(world: World) -> None:
    acme = await engine_tenant(world)
    refused = await acme.client.put(f"{ADMIN}/tenants/{acme.printed}/embedding", json={})
    assert refused.status_code == 403


async def test_signing_url_off_the_lists_is_refused_and_on_them_opens_once(world: World) -> None:
    acme = await engine_tenant(world)
    made = await acme.made(envelope(recipients=[signer(embedded=True)], send=True))
    body = {"return_url": RETURN, "origins": [ORIGIN]}
    refused = await acme.post(path_of(made, "signing-url"), body)
    assert refused.status_code == 422, refused.text
    await set_lists(world, acme, origins=[ORIGIN], return_urls=[RETURN])
    session = await signing_session(world, acme, made)
    assert session.embedded


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["email", "email_otp"]),
        ({"phone": {"country_code": "49", "number": "1701234567"}}, ["email", "sms"]),
        ({"phone": {"country_code": "882", "number": "1701234567"}}, ["email", "email_otp"]),
        ({"authentication": "access_code", "access_code": "4711"}, ["email", "access_code"]),
        ({"role": "approver", "fields": []}, ["email"]),
    ],
)
async def test_signers_get_a_second_method_where_the_installation_demands_it(
    world: World, given: dict[str, Any], expected: list[str]
) -> None:
    acme = await engine_tenant(world)
    people = [signer(**given), signer("Ben Nevis", email="ben@example.com")]
    made = await acme.made(envelope(recipients=people, send=True))
    held = await load_envelope(world.services.database, acme.id, UUID(made["provider_ref"]))
    assert [str(one) for one in held.recipients[0].authentication] == expected


@pytest.mark.parametrize(
    "given",
    [
        {"authentication": "id_verification"},
        {"authentication": "sms", "phone": {"country_code": "882", "number": "1701234567"}},
        {"authentication": "knowledge"},
    ],
)
async def test_method_that_cannot_be_asked_is_refused_before_anybody_is_mailed(
    world: World, given: dict[str, Any]
) -> None:
    acme = await engine_tenant(world)
    refused = await acme.post("/envelopes", envelope(recipients=[signer(**given)], send=True))
    assert refused.status_code == 422, refused.text
    assert await world.services.hub.fetchval("SELECT count(*) FROM engine_notices") == 0


async def test_sender_unlocks_a_recipient_through_the_api(world: World) -> None:
    acme, other = await engine_tenant(world), await engine_tenant(world, "Other")
    await set_lists(world, acme, origins=[ORIGIN], return_urls=[RETURN])
    person = signer(embedded=True, authentication="access_code", access_code="Swordfish")
    made = await acme.made(envelope(recipients=[person], send=True))
    assert (await acme.post(path_of(made, "unlock"))).json() == {"was_locked": False}
    session = await signing_session(world, acme, made)
    method, engine = AuthenticationMethod.ACCESS_CODE, world.services.engine
    for _ in range(3):
        result = await answer(engine, session, method, {"answer": "wrong"}, ANN)
    assert result.locked_until is not None
    assert (await other.post(path_of(made, "unlock"))).status_code == 404
    assert (await acme.post(path_of(made, "unlock"))).json() == {"was_locked": True}
    assert (await answer(engine, session, method, {"answer": "Swordfish"}, ANN)).passed
    types = await world.ledger_types(acme, made["id"])
    assert [one for one in types if one in {"recipient_locked", "recipient_unlocked", "mfa_completed"}] == [
        "recipient_locked",
        "recipient_unlocked",
        "mfa_completed",
    ]


async def test_every_failure_to_authenticate_is_in_the_ledger(world: World) -> None:
    acme = await engine_tenant(world)
    await set_lists(world, acme, origins=[ORIGIN], return_urls=[RETURN])
    person = signer(embedded=True, authentication="access_code", access_code="Swordfish")
    made = await acme.made(envelope(recipients=[person], send=True))
    session = await signing_session(world, acme, made)
    method, engine = AuthenticationMethod.ACCESS_CODE, world.services.engine
    for given in ("wrong", "wrong", "Swordfish"):
        await answer(engine, session, method, {"answer": given}, ANN)
    await KINDS["process_inbox"].run(world.services, {})
    types = await world.ledger_types(acme, made["id"])
    assert types.count("authentication_failed") == 2
    assert types.count("authentication_success") == 1


async def test_other_providers_unlock_by_themselves(acme: Tenant) -> None:
    made = await acme.made(envelope(send=True))
    refused = await acme.post(path_of(made, "unlock"))
    assert (refused.status_code, refused.json()["code"]) == (422, "unsupported_feature")


async def test_what_has_served_is_reaped_and_what_holds_is_kept(world: World) -> None:
    hub, job = world.services.hub, KINDS["reap_access"]
    for age in ("5 days", "1 hour"):
        await hub.execute(
            "INSERT INTO ceremony_counters (tenant_id, kind, subject, starts_at, amount)"
            " VALUES ('00000000-0000-0000-0000-000000000000', 'bad_token', '\\x00', now() - $1::text::interval, 1)",
            age,
        )
    await job.run(world.services, {})
    assert await hub.fetchval("SELECT count(*) FROM ceremony_counters") == 1
