"""Checks of identity over real HTTP: the verdict is the provider's own, and nothing else of it is kept."""

import dataclasses
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.clock import FixedClock
from config.errors import ConfigError
from config.secret import Secret
from config.settings import GeneralSettings, Mode, Settings
from config.settings_access import AccessSettings
from engine.ceremony.authenticate import AnswerResult, NotAsked, answer, next_method
from engine.ceremony.identity import begin_identity, end_identity, has_open_check
from engine.ceremony.identity_client import HttpIdentityProvider
from engine.development.identity_sandbox import WARNING, identity_app
from normalizer.errors import ProviderContractBroken, ProviderUnavailable, TooManyTries, UnsupportedFeature
from normalizer.recipient import AuthenticationMethod
from tests.engine.access.gate import BEN, LAPTOP, Gate

ID = AuthenticationMethod.ID_VERIFICATION
KEY = "identity-key-canary"


def settings_for(url: str, **access: object) -> Settings:
    return Settings(
        countersign=GeneralSettings(loopback_allow_list=("127.0.0.1:*",)),
        access=AccessSettings(identity_url=url, identity_key=Secret(KEY), **access),
    )


def connect(gate: Gate, url: str, **access: object) -> HttpIdentityProvider:
    provider = HttpIdentityProvider(settings_for(url, **access), gate.clock)
    gate.engine = dataclasses.replace(gate.engine, identity=provider)
    return provider


@pytest_asyncio.fixture
async def sandbox(gate: Gate) -> AsyncIterator[TestServer]:
    mounted = web.Application()  # as among the other services of development
    mounted.add_subapp("/identity", identity_app(KEY))
    async with TestServer(mounted, host="127.0.0.1") as server:
        provider = connect(gate, str(server.make_url("/identity")))
        await gate.methods(ID)
        yield server
        await provider.aclose()


async def choose(url: str, verdict: str) -> str:
    """What the person does on the provider's page; where it leads back to."""
    async with aiohttp.ClientSession() as browser:
        async with browser.get(url) as page:
            assert WARNING in await page.text()
        async with browser.post(url, data={"verdict": verdict}, allow_redirects=False) as response:
            assert response.status == 303
            return response.headers["location"]


async def test_person_who_passes_there_is_authenticated_here(gate: Gate, sandbox: TestServer) -> None:
    started = await gate.started()
    session = await gate.again(started)
    url = await begin_identity(gate.engine, session, LAPTOP)
    assert await end_identity(gate.engine, session, LAPTOP) == AnswerResult(passed=False)  # not decided yet
    assert await has_open_check(gate.engine, session)
    back = await choose(url, "passed")
    assert back == f"http://127.0.0.1:8400/sign/s/{session.handle}/authenticate"
    assert (await end_identity(gate.engine, session, LAPTOP)).passed
    assert next_method(await gate.again(started), await gate.recipient()) is None
    assert await end_identity(gate.engine, session, LAPTOP) == AnswerResult(passed=True)
    assert not await has_open_check(gate.engine, session)
    row = await gate.store.hub.fetchrow("SELECT * FROM identity_checks")
    assert row["verdict"] == "passed"
    assert row["provider_ref"].startswith("chk_")
    assert "Ada" not in str(dict(row))
    assert (await gate.ledger()).count("mfa_completed") == 1


async def test_three_failed_checks_lock_and_the_browser_cannot_say_otherwise(
    gate: Gate, sandbox: TestServer
) -> None:
    session = await gate.session()
    left = []
    for _ in range(3):
        await choose(await begin_identity(gate.engine, session, LAPTOP), "failed")
        result = await end_identity(gate.engine, session, LAPTOP)
        left.append(result.tries_left)
        # The same verdict, asked for again, is no further failure.
        await end_identity(gate.engine, session, LAPTOP)
    assert left == [2, 1, 0]
    assert result.locked_until is not None
    with pytest.raises(TooManyTries):
        await begin_identity(gate.engine, session, LAPTOP)
    said = {"answer": "passed", "status": "passed"}
    assert not (await answer(gate.engine, session, ID, said, LAPTOP)).passed
    gate.clock.advance(1800)
    with pytest.raises(NotAsked):  # nothing can be typed for it
        await answer(gate.engine, await gate.session(), ID, said, LAPTOP)


async def test_check_of_another_session_counts_for_nothing(gate: Gate, sandbox: TestServer) -> None:
    await gate.methods(ID, recipient_id=BEN)
    ada, ben = await gate.session(), await gate.session(recipient_id=BEN)
    await choose(await begin_identity(gate.engine, ada, LAPTOP), "passed")
    with pytest.raises(NotAsked):
        await end_identity(gate.engine, ben, LAPTOP)
    await begin_identity(gate.engine, ben, LAPTOP)
    await gate.store.hub.execute(  # as if the references had been mixed up
        "UPDATE identity_checks b SET provider_ref = a.provider_ref FROM identity_checks a"
        " WHERE b.recipient_id = $1 AND a.recipient_id <> $1",
        BEN,
    )
    with pytest.raises(ProviderContractBroken):
        await end_identity(gate.engine, ben, LAPTOP)


async def test_checks_begun_are_limited_by_the_day(gate: Gate, sandbox: TestServer) -> None:
    gate.with_settings(identity_starts_per_day=2)
    session = await gate.session()
    await begin_identity(gate.engine, session, LAPTOP)
    await begin_identity(gate.engine, session, LAPTOP)
    with pytest.raises(TooManyTries):
        await begin_identity(gate.engine, session, LAPTOP)
    gate.clock.advance(86_400)
    await begin_identity(gate.engine, await gate.session(), LAPTOP)


async def test_provider_that_is_away_stops_nobody_for_good_and_is_left_alone_after_a_while(
    gate: Gate,
) -> None:
    asked = []

    async def refuse(request: web.Request) -> web.Response:
        asked.append(request.path)
        raise web.HTTPBadGateway

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    await gate.methods(ID)
    async with TestServer(app, host="127.0.0.1") as server:
        provider = connect(gate, str(server.make_url("")))
        session = await gate.session()
        for _ in range(8):
            with pytest.raises(ProviderUnavailable) as refused:
                await begin_identity(gate.engine, session, LAPTOP)
        assert KEY not in str(refused.value)
        await provider.aclose()
    assert len(asked) == 5  # the circuit is open
    assert not await has_open_check(gate.engine, session)


@pytest.mark.parametrize(
    "answered",
    [
        {"id": "chk_1", "url": "javascript:alert(1)"},
        {"id": "chk_1", "url": "http://evil.example/"},
        {"id": "../checks/other", "url": "https://idp.example/"},
        {"id": "chk_1"},
        [],
    ],
)
async def test_provider_that_names_no_page_is_not_followed(gate: Gate, answered: object) -> None:
    async def start(_: web.Request) -> web.Response:
        return web.json_response(answered, status=201)

    app = web.Application()
    app.router.add_post("/checks", start)
    await gate.methods(ID)
    async with TestServer(app, host="127.0.0.1") as server:
        provider = connect(gate, str(server.make_url("")))
        with pytest.raises(ProviderContractBroken):
            await begin_identity(gate.engine, await gate.session(), LAPTOP)
        await provider.aclose()


async def test_without_a_provider_the_method_is_refused(gate: Gate) -> None:
    await gate.methods(ID)
    with pytest.raises(UnsupportedFeature):
        await begin_identity(gate.engine, await gate.session(), LAPTOP)


def test_address_of_the_provider_is_https() -> None:
    for url in ("http://idp.example", "ftp://idp.example", "https://u@idp.example", "", "https://"):
        with pytest.raises(ConfigError):
            HttpIdentityProvider(settings_for(url), FixedClock())
    HttpIdentityProvider(settings_for("https://idp.example/v1"), FixedClock())


async def test_sandbox_refuses_production_and_callers_without_its_key() -> None:
    with pytest.raises(ConfigError):
        identity_app(mode=Mode.PRODUCTION)
    async with TestServer(identity_app(KEY), host="127.0.0.1") as server, aiohttp.ClientSession() as caller:
        async with caller.get(server.make_url("/checks/x")) as response:
            assert response.status == 401
        async with caller.get(server.make_url("/verify/x")) as response:
            assert response.status == 404


def test_key_of_the_provider_does_not_show() -> None:
    assert KEY not in repr(settings_for("https://idp.example"))
