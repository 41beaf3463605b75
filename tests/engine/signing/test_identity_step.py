"""The way to the identity provider and back, as a browser goes it, against the provider's sandbox over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from config.secret import Secret

if TYPE_CHECKING:
    from tests.engine.signing.house import House
    from tests.fixtures.store import Store

ADA = "ada@example.com"
KEY = "identity-key-canary"


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[TestServer]:
    from engine.development.identity_sandbox import identity_app

    mounted = web.Application()
    mounted.add_subapp("/identity", identity_app(KEY))
    async with TestServer(mounted, host="127.0.0.1") as server:
        yield server


@pytest_asyncio.fixture
async def checked(
    store: "Store", redis_url: Secret, gateway_folder: Path, provider: TestServer
) -> AsyncIterator["House"]:
    from config.settings import SignatureSettings
    from config.settings_access import AccessSettings
    from tests.engine.signing.house import open_house
    from tests.gateway.bodies import envelope, signer
    from tests.gateway.world import make_settings, open_world

    settings = make_settings(
        store,
        redis_url,
        gateway_folder,
        signature=SignatureSettings(require_mfa_for_signatures=False),
        access=AccessSettings(
            identity_url=str(provider.make_url("/identity")), identity_key=Secret(KEY), answer_tries=2
        ),
    )
    async with open_world(settings) as world, open_house(world) as house:
        await house.send(envelope(recipients=[signer(authentication="id_verification")]))
        yield house


async def choose(url: str, verdict: str) -> None:
    import aiohttp

    async with aiohttp.ClientSession() as browser:
        async with browser.post(url, data={"verdict": verdict}, allow_redirects=False) as response:
            assert response.status == 303


async def test_checked_identity_leads_on_and_a_look_before_changes_nothing(checked: "House") -> None:
    browser = await checked.browser(ADA)
    page = await browser.look("authenticate")
    assert "form-action 'self' http://127.0.0.1:" in page.headers["content-security-policy"]
    before = await checked.dump()
    await browser.look("authenticate")
    assert await checked.dump() == before
    gone = await browser.post("authenticate")
    assert gone.status_code == 303
    url = gone.headers["location"]
    assert "/identity/" in url
    assert (await browser.look("authenticate")).status_code == 200  # back before it is decided
    await choose(url, "passed")
    assert (await browser.look("authenticate")).status_code == 303
    await browser.consent()
    assert browser.field("signature")


async def test_identity_that_is_not_confirmed_says_so_and_locks_in_the_end(checked: "House") -> None:
    browser = await checked.browser(ADA)
    for said in ("Your identity could not be confirmed", "This step is locked"):
        url = (await browser.post("authenticate")).headers["location"]
        await choose(url, "failed")
        assert said in (await browser.look("authenticate")).text
    assert (await browser.look("document")).headers["location"].endswith("/authenticate")


async def test_provider_that_is_away_is_told_as_such(checked: "House", provider: TestServer) -> None:
    browser = await checked.browser(ADA)
    await provider.close()
    told = await browser.call("POST", "authenticate")
    assert (told.status_code, told.json()["code"]) == (503, "provider_unavailable")
    answer = await browser.post("authenticate")
    assert answer.status_code == 503
    assert 'role="alert"' in answer.text
    assert "127.0.0.1" not in answer.text
