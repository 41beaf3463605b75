"""The page for placing fields, as a stranger and as a house that is closed would come to it."""

import dataclasses

import httpx

from config.settings_signing import SigningSettings
from tests.engine.signing.house import House
from tests.gateway.bodies import envelope
from tests.gateway.world import World, replace_settings


async def test_address_that_guesses_at_links_for_placing_has_to_wait(house: House) -> None:
    services = replace_settings(
        house.world.services, signing=SigningSettings(visits_per_minute=3, visits_burst=3)
    )
    services = dataclasses.replace(
        services, engine=dataclasses.replace(services.engine, settings=services.settings)
    )
    async with World(services) as busy:
        client = busy.client(**{"user-agent": "F"})
        seen = [(await client.get(f"/prepare/guess-{number}")).status_code for number in range(6)]
        posted = await client.post("/prepare/s/guess/fields", json={})
    assert seen[0] == 404
    assert seen[-1] == 429
    assert posted.status_code == 429


async def test_tenant_that_is_closed_places_nothing(house: House) -> None:
    used, unused = await minted(house), await minted(house)
    browser = house.world.client()
    base = (await browser.post(used)).headers["location"]
    assert (await browser.get(f"{base}/documents/1.pdf")).status_code == 200
    await house.world.services.hub.execute("UPDATE tenants SET active = false WHERE id = $1", house.tenant.id)
    assert (await browser.get(base)).status_code == 404
    assert (await browser.get(f"{base}/documents/1.pdf")).status_code == 401
    assert (await browser.get(unused)).status_code == 404
    assert (await browser.post(unused)).status_code == 404


async def test_documents_of_a_draft_that_was_sent_are_not_shown_for_placing(house: House) -> None:
    path = await minted(house)
    browser = house.world.client()
    base = (await browser.post(path)).headers["location"]
    sent = await house.tenant.post(f"/envelopes/{house.made['id']}/send")
    assert sent.status_code == 200, sent.text
    assert (await browser.get(f"{base}/documents/1.pdf")).status_code == 404


async def minted(house: House) -> str:
    """The path of a link to a draft of its own."""
    house.made = await house.tenant.made(envelope())
    answer = await house.tenant.post(
        f"/envelopes/{house.made['id']}/prepare-url", {"return_url": "https://dms.example/drafts/1"}
    )
    assert answer.status_code == 201, answer.text
    return httpx.URL(answer.json()["url"]).path
